SELECT id, pid, alive_until_ms, busy_keys FROM process WHERE id <> ?1
