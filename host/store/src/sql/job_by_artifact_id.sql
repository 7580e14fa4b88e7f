SELECT id FROM job WHERE artifact_id = ?1
