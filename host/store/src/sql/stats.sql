SELECT (SELECT count(*) FROM ready) + (SELECT count(*) FROM delayed),
       (SELECT count(*) FROM lease),
       (SELECT count(*) FROM finished WHERE state = 'done'),
       (SELECT count(*) FROM finished WHERE state = 'skipped'),
       (SELECT count(*) FROM finished WHERE state = 'error')
