-- Files that were replaced at their source, when files were last asked for again, and numbers of attempts that are never
-- given twice, so that whoever reads the manifest bit by bit misses nothing.

-- Files that a job held before the one it holds now. They and their names stay.
CREATE TABLE earlier (
    id          INTEGER PRIMARY KEY,
    job         INTEGER NOT NULL REFERENCES job (id),
    sha256      TEXT    NOT NULL REFERENCES file (sha256),
    name        TEXT    NOT NULL,
    replaced_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX earlier_by_job ON earlier (job);

-- When a job's file was last asked for again.
CREATE TABLE visit (
    job   INTEGER PRIMARY KEY REFERENCES job (id),
    at_ms INTEGER NOT NULL
) STRICT;

-- The greatest number that an attempt had when one was last deleted: later ones get greater numbers.
CREATE TABLE attempt_end (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id  INTEGER NOT NULL
) STRICT;

INSERT INTO attempt_end (one, id)
    SELECT 1, max(coalesce((SELECT max(id) FROM attempt), 0), coalesce((SELECT max(first_attempt) FROM run), 0));
