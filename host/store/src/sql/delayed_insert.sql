INSERT INTO delayed (due_ms, key, prio, id, attempts, plan) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
