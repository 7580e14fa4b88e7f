UPDATE key SET process = NULL, released_ms = ?2 WHERE process = ?1
