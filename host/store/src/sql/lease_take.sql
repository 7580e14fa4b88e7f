DELETE FROM lease WHERE id = ?1 AND token = ?2 RETURNING id, key, prio, attempts, plan, steps
