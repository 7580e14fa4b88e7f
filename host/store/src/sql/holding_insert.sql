INSERT INTO holding (job, sha256, name) VALUES (?1, ?2, ?3)
