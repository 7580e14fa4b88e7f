INSERT INTO backlog (key, ready, delayed) VALUES (?1, ?2, ?3)
