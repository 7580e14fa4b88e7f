-- Numbers of attempts that were deleted are given again: a run begins no later than where the table ends.
UPDATE run SET first_attempt = (SELECT coalesce(max(id), 0) FROM attempt)
WHERE first_attempt > (SELECT coalesce(max(id), 0) FROM attempt)
