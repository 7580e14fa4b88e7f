INSERT INTO process (id, pid, started_ms, alive_until_ms) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET alive_until_ms = excluded.alive_until_ms
