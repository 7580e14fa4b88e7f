DELETE FROM attempt WHERE job = ?1
