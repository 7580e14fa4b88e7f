-- ?1 is a JSON array of job numbers.
WITH wanted (id) AS (SELECT value FROM json_each(?1))
SELECT a.resolver, count(*)
FROM wanted w CROSS JOIN attempt a ON a.job = w.id
WHERE a.outcome = 'accepted'
GROUP BY 1
ORDER BY 2 DESC, 1
