UPDATE holding SET sha256 = ?2, name = ?3 WHERE job = ?1
