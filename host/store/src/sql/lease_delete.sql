DELETE FROM lease WHERE id = ?1
