DELETE FROM finished WHERE id = ?1
