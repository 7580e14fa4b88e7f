-- Keys of this process that others wish for, who, and how many keys with work those hold.
SELECT w.key, w.process, p.busy_keys, w.needed
FROM key k CROSS JOIN wish w ON w.key = k.name CROSS JOIN process p ON p.id = w.process
WHERE k.process = ?1 AND w.process <> ?1 AND w.until_ms > ?2 AND p.alive_until_ms > ?2
