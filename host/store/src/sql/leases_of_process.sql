-- How many leases a process holds.
SELECT count(*) FROM lease WHERE process = ?1
