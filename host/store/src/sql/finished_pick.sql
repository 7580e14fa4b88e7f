-- Ended jobs that a filter lets through, in pages. A parameter that is NULL does not restrict.
-- NOT INDEXED: the table's own order needs no sorting, so that all pages together read it once.
SELECT f.id, f.prio
FROM finished f NOT INDEXED
WHERE f.id > ?1
  AND f.at_ms <= ?2
  AND ((f.state = 'error' AND ?3) OR (f.state = 'skipped' AND ?4))
  AND (?5 IS NULL OR f.reason = ?5)
  AND (?6 IS NULL OR EXISTS (SELECT 1 FROM attempt a WHERE a.job = f.id AND a.resolver = ?6))
  AND (?7 IS NULL OR EXISTS (SELECT 1 FROM attempt a WHERE a.job = f.id AND a.host = ?7))
ORDER BY f.id
LIMIT ?8
