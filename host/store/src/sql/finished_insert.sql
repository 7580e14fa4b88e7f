INSERT INTO finished (id, state, reason, detail, at_ms, prio, attempts, plan)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
