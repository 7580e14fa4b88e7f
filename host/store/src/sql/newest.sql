-- The latest time written down: of a run's start, a job's end, a stored file.
SELECT max(t) FROM (
    SELECT max(started_ms) AS t FROM run
    UNION ALL SELECT max(at_ms) FROM finished
    UNION ALL SELECT max(stored_ms) FROM file
)
