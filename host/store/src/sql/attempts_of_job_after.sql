SELECT id, job, run, record FROM attempt WHERE job = ?1 AND id > ?2 ORDER BY id LIMIT ?3
