INSERT INTO file (sha256, size, media_type, stored_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING
