-- The record clears the charge, and the step that now begins is charged.
UPDATE lease SET key = ?3, plan = ?4, steps = steps + ?5, attempts = 1, until_ms = ?6
WHERE id = ?1 AND token = ?2
RETURNING steps - ?5
