-- ?1 is a JSON array of job numbers.
WITH wanted (id) AS (SELECT value FROM json_each(?1))
SELECT iif(f.id IS NOT NULL, f.state, iif(l.id IS NOT NULL, 'in_progress', 'queued')), f.reason, count(*)
FROM wanted w
CROSS JOIN job j ON j.id = w.id
LEFT JOIN lease l ON l.id = w.id
LEFT JOIN finished f ON f.id = w.id
GROUP BY 1, 2
