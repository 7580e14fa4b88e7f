-- How many jobs of the key go first, counted up to ?4.
SELECT count(*) FROM (SELECT 1 FROM ready WHERE key = ?1 AND (prio, id) < (?2, ?3) LIMIT ?4)
