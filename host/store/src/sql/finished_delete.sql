DELETE FROM finished WHERE id = ?1 RETURNING state
