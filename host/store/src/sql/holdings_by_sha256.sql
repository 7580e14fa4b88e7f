SELECT h.job, j.artifact_id, h.sha256, f.size, f.media_type, h.name, f.stored_ms
FROM holding h CROSS JOIN job j ON j.id = h.job CROSS JOIN file f ON f.sha256 = h.sha256
WHERE h.sha256 = ?1
ORDER BY h.job
