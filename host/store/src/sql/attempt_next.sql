-- Greater than the number of any attempt that there is or ever was.
SELECT max(coalesce((SELECT max(id) FROM attempt), 0), (SELECT id FROM attempt_end WHERE one = 1)) + 1
