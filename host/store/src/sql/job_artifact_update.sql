UPDATE job SET artifact = ?2 WHERE id = ?1
