INSERT INTO earlier (job, sha256, name, replaced_ms) VALUES (?1, ?2, ?3, ?4)
