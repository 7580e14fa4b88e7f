-- Every key that has jobs, an owner, or something that was set for it.
WITH leased (key, jobs) AS MATERIALIZED (SELECT key, count(*) FROM lease GROUP BY key),
named (name) AS (SELECT name FROM key UNION SELECT key FROM backlog UNION SELECT key FROM leased)
SELECT n.name, coalesce(b.ready, 0), coalesce(b.delayed, 0), coalesce(l.jobs, 0),
       coalesce(k.cooldown_until_ms, 0), coalesce(k.paused, 0), k.concurrency, k.rate, k.burst,
       coalesce(k.broken, 0), coalesce(k.pace, 100), coalesce(k.day, 0), coalesce(k.used, 0),
       p.pid, k.process IS NOT NULL
FROM named n
LEFT JOIN key k ON k.name = n.name
LEFT JOIN backlog b ON b.key = n.name
LEFT JOIN leased l ON l.key = n.name
LEFT JOIN process p ON p.id = k.process
ORDER BY n.name
