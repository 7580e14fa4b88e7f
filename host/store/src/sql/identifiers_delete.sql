DELETE FROM identifier WHERE job = ?1
