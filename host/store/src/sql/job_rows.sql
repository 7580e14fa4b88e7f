SELECT id, artifact_id, state, key, reason, detail, attempts, at_ms, artifact ->> '$.title'
FROM job_state
WHERE id > ?2 AND (?1 IS NULL OR state = ?1)
ORDER BY id
LIMIT ?3
