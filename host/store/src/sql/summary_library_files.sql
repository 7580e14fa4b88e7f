WITH held (sha256) AS (SELECT DISTINCT sha256 FROM holding)
SELECT count(*), coalesce(sum(f.size), 0) FROM held CROSS JOIN file f ON f.sha256 = held.sha256
