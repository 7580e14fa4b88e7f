SELECT (SELECT min(due_ms) FROM delayed), (SELECT count(*) FROM lease), (SELECT min(until_ms) FROM lease)
