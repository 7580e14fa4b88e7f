DELETE FROM ready WHERE (key, prio, id) IN (SELECT key, prio, id FROM ready WHERE id = ?1)
RETURNING id, key, prio, attempts, plan
