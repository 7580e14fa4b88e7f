DELETE FROM delayed WHERE (due_ms, id) IN (SELECT due_ms, id FROM delayed WHERE id = ?1)
RETURNING id, key, prio, attempts, plan
