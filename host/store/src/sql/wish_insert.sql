INSERT INTO wish (key, process, until_ms, needed) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET until_ms = excluded.until_ms, needed = max(needed, excluded.needed)
