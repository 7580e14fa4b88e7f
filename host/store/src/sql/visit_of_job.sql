SELECT h.job, j.artifact_id, h.sha256, f.size, f.media_type, h.name, f.stored_ms, j.artifact, v.at_ms
FROM holding h CROSS JOIN job j ON j.id = h.job CROSS JOIN file f ON f.sha256 = h.sha256
LEFT JOIN visit v ON v.job = h.job
WHERE h.job = ?1
