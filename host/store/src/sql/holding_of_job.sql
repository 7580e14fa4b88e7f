SELECT sha256, name FROM holding WHERE job = ?1
