SELECT artifact_id, artifact FROM job WHERE id = ?1
