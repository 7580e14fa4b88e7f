-- ?1 is a JSON array of job numbers.
WITH wanted (id) AS (SELECT value FROM json_each(?1)),
     held (sha256) AS (SELECT DISTINCT h.sha256 FROM wanted w CROSS JOIN holding h ON h.job = w.id)
SELECT count(*), coalesce(sum(f.size), 0) FROM held CROSS JOIN file f ON f.sha256 = held.sha256
