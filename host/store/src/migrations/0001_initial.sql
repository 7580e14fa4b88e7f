-- The first schema. Migrations are only ever added: a released file is never changed.
--
-- State is where the row is: a job stands in exactly one of ready, delayed, lease and finished, and moves
-- inside one transaction. Times are milliseconds since 1970 in UTC. Plans, artifacts and records are JSON;
-- an empty plan is the empty text. Checks are what costs next to nothing for each row: a list of three with IN would
-- build a table for each row, and JSON is parsed by whoever reads it.

CREATE TABLE job (
    id          INTEGER PRIMARY KEY,
    artifact_id TEXT NOT NULL UNIQUE CHECK (length(artifact_id) > 0),
    artifact    TEXT NOT NULL CHECK (length(artifact) > 0)
) STRICT;

-- Identifiers as given: each names one job.
CREATE TABLE identifier (
    scheme TEXT    NOT NULL CHECK (length(scheme) > 0),
    value  TEXT    NOT NULL CHECK (length(value) > 0),
    job    INTEGER NOT NULL REFERENCES job (id),
    PRIMARY KEY (scheme, value)
) STRICT, WITHOUT ROWID;

-- May run when its key may.
CREATE TABLE ready (
    key      TEXT    NOT NULL CHECK (key = 'plan' OR key GLOB 'resolver:?*' OR key GLOB 'host:?*'),
    prio     INTEGER NOT NULL,
    id       INTEGER NOT NULL UNIQUE REFERENCES job (id),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    plan     TEXT    NOT NULL,
    PRIMARY KEY (key, prio, id)
) STRICT, WITHOUT ROWID;

-- Not before due_ms.
CREATE TABLE delayed (
    due_ms   INTEGER NOT NULL,
    id       INTEGER NOT NULL UNIQUE REFERENCES job (id),
    key      TEXT    NOT NULL CHECK (key = 'plan' OR key GLOB 'resolver:?*' OR key GLOB 'host:?*'),
    prio     INTEGER NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    plan     TEXT    NOT NULL,
    PRIMARY KEY (due_ms, id)
) STRICT, WITHOUT ROWID;

-- Processes that have leased. Whether one lives is told by the lock it holds on a file, not by its row.
CREATE TABLE process (
    id         INTEGER PRIMARY KEY,
    pid        INTEGER NOT NULL,
    started_ms INTEGER NOT NULL
) STRICT;

-- Being worked on. The lease that is current charges one of its attempts.
CREATE TABLE lease (
    id       INTEGER PRIMARY KEY REFERENCES job (id),
    token    INTEGER NOT NULL,
    key      TEXT    NOT NULL CHECK (key = 'plan' OR key GLOB 'resolver:?*' OR key GLOB 'host:?*'),
    prio     INTEGER NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 1),
    until_ms INTEGER NOT NULL,
    process  INTEGER NOT NULL REFERENCES process (id),
    steps    INTEGER NOT NULL DEFAULT 0 CHECK (steps >= 0), -- manifest records written under this token
    plan     TEXT    NOT NULL
) STRICT;

CREATE TABLE finished (
    id       INTEGER PRIMARY KEY REFERENCES job (id),
    state    TEXT    NOT NULL CHECK (state = 'done' OR state = 'skipped' OR state = 'error'),
    reason   TEXT    NOT NULL CHECK (length(reason) > 0),
    detail   TEXT    NOT NULL,
    at_ms    INTEGER NOT NULL,
    prio     INTEGER NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    plan     TEXT    NOT NULL
) STRICT;

CREATE INDEX finished_by_reason ON finished (state, reason);

-- Every job with where it stands; places is 1 for each, or something is broken.
CREATE VIEW job_state (id, artifact_id, artifact, state, key, reason, detail, attempts, at_ms, plan, places) AS
    SELECT j.id, j.artifact_id, j.artifact,
           CASE WHEN f.id IS NOT NULL THEN f.state WHEN l.id IS NOT NULL THEN 'in_progress' ELSE 'queued' END,
           coalesce(r.key, d.key, l.key),
           f.reason,
           coalesce(f.detail, ''),
           coalesce(r.attempts, d.attempts, l.attempts, f.attempts),
           coalesce(d.due_ms, l.until_ms, f.at_ms),
           coalesce(r.plan, d.plan, l.plan, f.plan),
           (r.id IS NOT NULL) + (d.id IS NOT NULL) + (l.id IS NOT NULL) + (f.id IS NOT NULL)
    FROM job j
    LEFT JOIN ready r ON r.id = j.id
    LEFT JOIN delayed d ON d.id = j.id
    LEFT JOIN lease l ON l.id = j.id
    LEFT JOIN finished f ON f.id = j.id;

CREATE TABLE key (
    name              TEXT    NOT NULL PRIMARY KEY,
    cooldown_until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id            TEXT    NOT NULL PRIMARY KEY,
    started_ms    INTEGER NOT NULL,
    config_hash   TEXT    NOT NULL,
    first_attempt INTEGER NOT NULL -- its attempts have greater numbers
) STRICT, WITHOUT ROWID;

-- The manifest: one row per attempt, never changed. The columns repeat what is searched for.
CREATE TABLE attempt (
    id       INTEGER PRIMARY KEY,
    job      INTEGER NOT NULL REFERENCES job (id),
    token    INTEGER NOT NULL,
    step     INTEGER NOT NULL CHECK (step >= 0),
    run      TEXT    NOT NULL,
    resolver TEXT    NOT NULL,
    host     TEXT,
    outcome  TEXT    NOT NULL
        CHECK (outcome = 'answered' OR outcome = 'accepted' OR outcome = 'rejected' OR outcome = 'failed'),
    record   TEXT    NOT NULL CHECK (length(record) > 0),
    UNIQUE (job, token, step)
) STRICT;

-- Whose proposals became files.
CREATE INDEX attempt_accepted ON attempt (resolver) WHERE outcome = 'accepted';

CREATE TABLE file (
    sha256     TEXT    NOT NULL PRIMARY KEY CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
    size       INTEGER NOT NULL CHECK (size >= 0),
    media_type TEXT    NOT NULL,
    stored_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which file a done job holds, under which readable name.
CREATE TABLE holding (
    job    INTEGER PRIMARY KEY REFERENCES job (id),
    sha256 TEXT NOT NULL REFERENCES file (sha256),
    name   TEXT NOT NULL
) STRICT;
