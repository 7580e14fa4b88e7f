-- The others, each with how many keys it owns that have jobs.
SELECT p.id, p.pid, p.alive_until_ms,
       (SELECT count(*) FROM key k CROSS JOIN backlog b ON b.key = k.name WHERE k.process = p.id AND b.ready > 0)
FROM process p
WHERE p.id <> ?1
