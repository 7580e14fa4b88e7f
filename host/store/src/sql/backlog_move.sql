UPDATE backlog SET ready = ready + ?2, delayed = delayed + ?3 WHERE key = ?1
