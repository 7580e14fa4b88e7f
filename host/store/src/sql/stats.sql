SELECT (SELECT coalesce(sum(ready) + sum(delayed), 0) FROM backlog),
       (SELECT count(*) FROM lease),
       (SELECT jobs FROM tally WHERE state = 'done'),
       (SELECT jobs FROM tally WHERE state = 'skipped'),
       (SELECT jobs FROM tally WHERE state = 'error')
