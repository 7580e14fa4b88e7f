DELETE FROM process WHERE id = ?1
