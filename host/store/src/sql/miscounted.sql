-- Keys and states whose count is not what is there.
WITH counted (name, jobs) AS (
    SELECT 'ready ' || key, ready FROM backlog WHERE ready > 0
    UNION ALL SELECT 'delayed ' || key, delayed FROM backlog WHERE delayed > 0
    UNION ALL SELECT state, jobs FROM tally WHERE jobs > 0
), found (name, jobs) AS (
    SELECT 'ready ' || key, count(*) FROM ready GROUP BY key
    UNION ALL SELECT 'delayed ' || key, count(*) FROM delayed GROUP BY key
    UNION ALL SELECT state, count(*) FROM finished GROUP BY state
)
SELECT coalesce(c.name, f.name), coalesce(c.jobs, 0), coalesce(f.jobs, 0)
FROM counted c FULL JOIN found f ON f.name = c.name
WHERE c.jobs IS NOT f.jobs
LIMIT 20
