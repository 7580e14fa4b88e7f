INSERT INTO suspension (resolver, sha256, until_ms, pause_ms, failures, because) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT DO UPDATE SET sha256 = excluded.sha256, until_ms = excluded.until_ms, pause_ms = excluded.pause_ms,
                          failures = excluded.failures, because = excluded.because
