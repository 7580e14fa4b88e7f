-- Jobs with a file that was stored, and if it was asked for again, last asked for, at ?2 or before.
SELECT h.job, j.artifact_id, h.sha256, f.size, f.media_type, h.name, f.stored_ms, j.artifact, v.at_ms
FROM holding h CROSS JOIN job j ON j.id = h.job CROSS JOIN file f ON f.sha256 = h.sha256
LEFT JOIN visit v ON v.job = h.job
WHERE h.job > ?1 AND coalesce(v.at_ms, f.stored_ms) <= ?2
ORDER BY h.job
LIMIT ?3
