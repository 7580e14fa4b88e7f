-- When the leases of a key end that other processes hold.
SELECT until_ms FROM lease WHERE key = ?1 AND process <> ?2 AND until_ms > ?3
