DELETE FROM delayed
WHERE (due_ms, id) IN (SELECT due_ms, id FROM delayed WHERE due_ms <= ?1 ORDER BY due_ms, id LIMIT ?2)
RETURNING id, key, prio, attempts, plan
