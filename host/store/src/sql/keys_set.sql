-- What holds for keys beyond the configuration, whoever owns them, at ?1.
SELECT name, cooldown_until_ms, paused, concurrency, rate, burst, broken, pace, day, used
FROM key
WHERE paused OR concurrency IS NOT NULL OR rate IS NOT NULL OR burst IS NOT NULL OR cooldown_until_ms > ?1
   OR used > 0 AND day >= ?1 / 86400000
