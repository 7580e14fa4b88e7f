INSERT INTO key (name, broken, pace, day, used) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO UPDATE SET broken = excluded.broken, pace = excluded.pace, day = excluded.day, used = excluded.used
