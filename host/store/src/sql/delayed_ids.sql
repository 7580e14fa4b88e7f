SELECT id FROM delayed WHERE id > ?1 ORDER BY id LIMIT ?2
