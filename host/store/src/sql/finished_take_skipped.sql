DELETE FROM finished WHERE id = ?1 AND state = 'skipped' AND at_ms <= ?2
