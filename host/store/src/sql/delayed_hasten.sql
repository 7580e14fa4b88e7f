UPDATE delayed SET due_ms = ?2 WHERE key = ?1 AND due_ms > ?2
