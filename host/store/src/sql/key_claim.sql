INSERT INTO key (name, process) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET process = excluded.process
