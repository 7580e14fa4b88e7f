-- ?1 is a JSON array of job numbers.
SELECT w.value FROM json_each(?1) w CROSS JOIN job j ON j.id = w.value
 WHERE NOT EXISTS (SELECT 1 FROM finished f WHERE f.id = w.value)
