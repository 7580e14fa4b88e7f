-- Those of the highest priority first, and no more than ?3.
UPDATE ready SET key = ?2 WHERE id IN (SELECT id FROM ready WHERE key = ?1 ORDER BY prio, id LIMIT ?3)
