SELECT first_attempt FROM run WHERE id = ?1
