INSERT INTO key (name, concurrency, rate, burst) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET concurrency = excluded.concurrency, rate = excluded.rate, burst = excluded.burst
