SELECT e.job, j.artifact_id, e.sha256, f.size, f.media_type, e.name, f.stored_ms, e.replaced_ms, e.id
FROM earlier e CROSS JOIN job j ON j.id = e.job CROSS JOIN file f ON f.sha256 = e.sha256
WHERE e.job = ?1
ORDER BY e.id DESC
