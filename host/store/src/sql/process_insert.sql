INSERT INTO process (id, pid, started_ms, alive_until_ms) VALUES (?1, ?2, ?3, 0) ON CONFLICT DO NOTHING
