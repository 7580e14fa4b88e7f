-- ?1 is a JSON array of job numbers, in order. A parameter that is NULL does not restrict.
SELECT s.id, s.artifact_id, s.state, s.key, s.reason, s.detail, s.attempts, s.at_ms, s.artifact ->> '$.title', s.artifact
FROM json_each(?1) w CROSS JOIN job_state s ON s.id = w.value
WHERE (?2 IS NULL
       OR s.key = 'resolver:' || ?2
       OR EXISTS (SELECT 1 FROM attempt a WHERE a.job = s.id AND a.resolver = ?2))
  AND (?3 IS NULL
       OR s.key = 'host:' || ?3
       OR EXISTS (SELECT 1 FROM attempt a WHERE a.job = s.id AND a.host = ?3))
