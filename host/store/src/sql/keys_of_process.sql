SELECT name FROM key WHERE process = ?1
