DELETE FROM lease WHERE until_ms <= ?1 RETURNING id, key, prio, attempts, plan
