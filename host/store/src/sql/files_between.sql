-- Hashes from ?1 on and below ?2: one folder of blobs.
SELECT sha256 FROM file WHERE sha256 >= ?1 AND sha256 < ?2
