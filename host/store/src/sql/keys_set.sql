-- What holds for keys beyond the configuration, whoever owns them.
SELECT name, cooldown_until_ms, paused, concurrency, rate, burst
FROM key
WHERE paused OR concurrency IS NOT NULL OR rate IS NOT NULL OR burst IS NOT NULL OR cooldown_until_ms > ?1
