INSERT INTO process (id, pid, started_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING
