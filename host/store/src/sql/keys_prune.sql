-- Keys that nobody owns, or owned since ?2, and for which nothing holds at ?1.
DELETE FROM key
WHERE process IS NULL AND NOT paused AND concurrency IS NULL AND rate IS NULL AND burst IS NULL
  AND cooldown_until_ms <= ?1 AND released_ms <= ?2 AND NOT (used > 0 AND day >= ?1 / 86400000)
