-- To nobody where ?3 is NULL, else to that process if it is still there.
UPDATE key SET process = (SELECT id FROM process WHERE id = ?3), released_ms = ?4 WHERE name = ?1 AND process = ?2
