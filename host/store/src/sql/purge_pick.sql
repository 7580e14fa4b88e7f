-- Works that ended without a file, long enough ago, in pages.
SELECT id FROM finished NOT INDEXED
WHERE id > ?1 AND at_ms <= ?2 AND ((state = 'error' AND ?3) OR (state = 'skipped' AND ?4))
ORDER BY id LIMIT ?5
