-- Jobs that do not stand in exactly one place, are done without a file, or hold one without being done.
SELECT s.id, s.places, s.state
FROM job_state s LEFT JOIN holding h ON h.job = s.id
WHERE s.places <> 1 OR (s.state = 'done') <> (h.job IS NOT NULL)
LIMIT 20
