-- A loose index scan: one seek per key, and at most ?1 rows counted of each.
WITH RECURSIVE waiting (key) AS (
    SELECT min(key) FROM ready
    UNION ALL
    SELECT (SELECT min(r.key) FROM ready r WHERE r.key > waiting.key) FROM waiting WHERE waiting.key IS NOT NULL
)
SELECT key, (SELECT count(*) FROM (SELECT 1 FROM ready r WHERE r.key = waiting.key LIMIT ?1))
FROM waiting
WHERE key IS NOT NULL
