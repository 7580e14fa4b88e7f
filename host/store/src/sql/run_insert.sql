INSERT INTO run (id, started_ms, config_hash, first_attempt)
VALUES (?1, ?2, ?3, (SELECT coalesce(max(id), 0) FROM attempt))
