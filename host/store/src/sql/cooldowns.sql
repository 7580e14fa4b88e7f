SELECT name, cooldown_until_ms FROM key WHERE cooldown_until_ms > ?1 ORDER BY name
