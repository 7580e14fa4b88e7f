-- A need that was told before holds on while its wish does, and no longer (?5 is now).
INSERT INTO wish (key, process, until_ms, needed) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE
SET until_ms = excluded.until_ms, needed = excluded.needed OR (needed AND until_ms > ?5)
