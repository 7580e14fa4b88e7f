DELETE FROM wish WHERE until_ms <= ?1
