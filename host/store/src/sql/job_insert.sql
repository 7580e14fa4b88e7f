INSERT INTO job (artifact_id, artifact) VALUES (?1, ?2)
