INSERT INTO ready (key, prio, id, attempts, plan) VALUES (?1, ?2, ?3, ?4, ?5)
