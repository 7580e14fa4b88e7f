DELETE FROM lease WHERE id = ?1 RETURNING id, key, prio, attempts, plan
