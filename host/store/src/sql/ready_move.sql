UPDATE ready SET key = ?2 WHERE key = ?1 AND prio = ?3 AND id = ?4
