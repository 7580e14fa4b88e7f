INSERT INTO key (name, cooldown_until_ms) VALUES (?1, ?2)
ON CONFLICT DO UPDATE SET cooldown_until_ms = excluded.cooldown_until_ms
