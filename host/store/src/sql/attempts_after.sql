SELECT id, job, run, record FROM attempt WHERE id > ?1 ORDER BY id LIMIT ?2
