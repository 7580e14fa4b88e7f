-- Keys of this process that others wish for, and who.
SELECT w.key, w.process, w.needed
FROM key k CROSS JOIN wish w ON w.key = k.name CROSS JOIN process p ON p.id = w.process
WHERE k.process = ?1 AND w.process <> ?1 AND w.until_ms > ?2 AND p.alive_until_ms > ?2
