SELECT id, key, prio, attempts, plan, steps FROM lease WHERE id = ?1 AND token = ?2
