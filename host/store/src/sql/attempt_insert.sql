INSERT INTO attempt (id, job, token, step, run, resolver, host, outcome, record)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
