DELETE FROM ready WHERE key = ?1 AND prio = ?2 AND id = ?3
