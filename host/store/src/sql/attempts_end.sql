-- Before attempts are deleted: their numbers are not given again.
UPDATE attempt_end SET id = max(id, coalesce((SELECT max(id) FROM attempt), 0)) WHERE one = 1
