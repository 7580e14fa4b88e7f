INSERT INTO key (name, paused) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET paused = excluded.paused
