-- Every key that has jobs, an owner, or something that was set for it.
WITH named (name) AS (SELECT name FROM key UNION SELECT key FROM backlog UNION SELECT key FROM lease)
SELECT n.name, coalesce(b.ready, 0), coalesce(b.delayed, 0),
       (SELECT count(*) FROM lease l WHERE l.key = n.name),
       coalesce(k.cooldown_until_ms, 0), coalesce(k.paused, 0), k.concurrency, k.rate, k.burst,
       coalesce(k.broken, 0), coalesce(k.pace, 100), coalesce(k.day, 0), coalesce(k.used, 0),
       p.pid, k.process IS NOT NULL
FROM named n
LEFT JOIN key k ON k.name = n.name
LEFT JOIN backlog b ON b.key = n.name
LEFT JOIN process p ON p.id = k.process
ORDER BY n.name
