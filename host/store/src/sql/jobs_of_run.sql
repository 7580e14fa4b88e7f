SELECT DISTINCT job FROM attempt
WHERE id > (SELECT first_attempt FROM run WHERE id = ?1) AND run = ?1
