-- Several processes on one library, what an operator sets for a key, and counts that nobody has to make.

-- How many jobs wait under each key. Written in the transaction that moves them, once for all moves of a commit.
CREATE TABLE backlog (
    key     TEXT    NOT NULL PRIMARY KEY,
    ready   INTEGER NOT NULL CHECK (ready >= 0),
    delayed INTEGER NOT NULL CHECK (delayed >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO backlog (key, ready, delayed)
    SELECT key, sum(ready), sum(delayed)
    FROM (SELECT key, 1 AS ready, 0 AS delayed FROM ready UNION ALL SELECT key, 0, 1 FROM delayed)
    GROUP BY key;

-- How many jobs have ended how.
CREATE TABLE tally (
    state TEXT    NOT NULL PRIMARY KEY CHECK (state IN ('done', 'skipped', 'error')),
    jobs  INTEGER NOT NULL CHECK (jobs >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO tally (state, jobs)
    SELECT s.column1, (SELECT count(*) FROM finished f WHERE f.state = s.column1)
    FROM (VALUES ('done'), ('skipped'), ('error')) s;

-- Whether a process lives is told by the lock it holds on a file. One that lives and has not said so in time
-- is stopped or hangs, and its keys may be taken from it.
ALTER TABLE process ADD COLUMN alive_until_ms INTEGER NOT NULL DEFAULT 0;

DROP TABLE key;
CREATE TABLE key (
    name              TEXT    NOT NULL PRIMARY KEY CHECK (name GLOB 'resolver:?*' OR name GLOB 'host:?*'),
    cooldown_until_ms INTEGER NOT NULL DEFAULT 0,
    paused            INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    concurrency       INTEGER CHECK (concurrency BETWEEN 1 AND 4294967295),
    rate              TEXT CHECK (length(rate) > 0),
    burst             INTEGER CHECK (burst BETWEEN 1 AND 4294967295),
    released_ms       INTEGER NOT NULL DEFAULT 0, -- when an owner let go of it
    process           INTEGER REFERENCES process (id) -- who alone leases its jobs and sends its requests
) STRICT, WITHOUT ROWID;

CREATE INDEX key_by_process ON key (process) WHERE process IS NOT NULL;

-- Keys that a process would use if their owner let go of them.
CREATE TABLE wish (
    key     TEXT    NOT NULL,
    process INTEGER NOT NULL REFERENCES process (id) ON DELETE CASCADE,
    until_ms INTEGER NOT NULL, -- forgotten then
    needed  INTEGER NOT NULL CHECK (needed IN (0, 1)), -- a step cannot go on without it
    PRIMARY KEY (key, process)
) STRICT, WITHOUT ROWID;

CREATE INDEX wish_by_process ON wish (process);

-- For purging: without it every job that is deleted would cost a look at all identifiers.
CREATE INDEX identifier_by_job ON identifier (job);
