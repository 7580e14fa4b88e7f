INSERT INTO identifier (scheme, value, job) VALUES (?1, ?2, ?3)
