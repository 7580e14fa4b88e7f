DELETE FROM wish WHERE key = ?1 AND process = ?2
