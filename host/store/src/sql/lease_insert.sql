INSERT INTO lease (id, token, key, prio, attempts, until_ms, process, plan)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
