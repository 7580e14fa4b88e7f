-- Who owns a key, and until when that process has said that it lives.
SELECT k.process, p.alive_until_ms, k.cooldown_until_ms, k.released_ms
FROM key k LEFT JOIN process p ON p.id = k.process
WHERE k.name = ?1
