INSERT INTO attempt (id, job, token, step, run, resolver, host, outcome, record)
VALUES (
    max(coalesce((SELECT max(id) FROM attempt), 0), (SELECT id FROM attempt_end WHERE one = 1)) + 1,
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
)
