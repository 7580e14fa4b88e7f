SELECT id, artifact_id, state, key, reason, detail, attempts, at_ms, artifact ->> '$.title', artifact, plan FROM job_state WHERE id = ?1
