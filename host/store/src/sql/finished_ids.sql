SELECT id FROM finished WHERE state = ?3 AND reason = ?4 AND id > ?1 ORDER BY id LIMIT ?2
