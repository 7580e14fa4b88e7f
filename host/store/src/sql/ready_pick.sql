-- CROSS JOIN keeps the order of the loops: at most ?2 rows of the key, then their jobs.
SELECT r.id, r.prio, r.attempts, r.plan, j.artifact_id, j.artifact
FROM ready r CROSS JOIN job j ON j.id = r.id
WHERE r.key = ?1
ORDER BY r.prio, r.id
LIMIT ?2
