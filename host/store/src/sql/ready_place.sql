SELECT key, prio FROM ready WHERE id = ?1
