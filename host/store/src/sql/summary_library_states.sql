SELECT 'queued', NULL, ready + delayed
FROM (SELECT coalesce(sum(ready), 0) AS ready, coalesce(sum(delayed), 0) AS delayed FROM backlog)
WHERE ready + delayed > 0
UNION ALL
SELECT 'in_progress', NULL, leased FROM (SELECT count(*) AS leased FROM lease) WHERE leased > 0
UNION ALL
SELECT state, reason, count(*) FROM finished GROUP BY state, reason
