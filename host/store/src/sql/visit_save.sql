INSERT INTO visit (job, at_ms) VALUES (?1, ?2) ON CONFLICT (job) DO UPDATE SET at_ms = ?2
