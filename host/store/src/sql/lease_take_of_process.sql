DELETE FROM lease WHERE process = ?1 RETURNING id, key, prio, attempts, plan
