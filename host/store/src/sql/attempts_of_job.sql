SELECT record FROM attempt WHERE job = ?1 ORDER BY id
