DELETE FROM suspension WHERE resolver = ?1
