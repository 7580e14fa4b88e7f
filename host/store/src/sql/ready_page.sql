-- CROSS JOIN keeps the order of the loops: at most ?4 rows of the key behind a place, then their jobs.
SELECT r.prio, r.id, r.plan, j.artifact_id, j.artifact
FROM ready r CROSS JOIN job j ON j.id = r.id
WHERE r.key = ?1 AND (r.prio, r.id) > (?2, ?3)
ORDER BY r.prio, r.id
LIMIT ?4
