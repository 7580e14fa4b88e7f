-- How a key fares, as the process that used it last wrote it down.
ALTER TABLE key ADD COLUMN broken INTEGER NOT NULL DEFAULT 0 CHECK (broken IN (0, 1)); -- the pause is a breaker's
ALTER TABLE key ADD COLUMN pace INTEGER NOT NULL DEFAULT 100 CHECK (pace BETWEEN 1 AND 100); -- per cent of its limit
ALTER TABLE key ADD COLUMN day INTEGER NOT NULL DEFAULT 0; -- since 1970-01-01, UTC
ALTER TABLE key ADD COLUMN used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0); -- on that day, at most
