-- Plugins that failed too often in a row by their own doing, and are not called for a while.
CREATE TABLE suspension (
    resolver TEXT    NOT NULL PRIMARY KEY,
    sha256   TEXT    NOT NULL, -- of the component; another one of that name is not suspended
    until_ms INTEGER NOT NULL,
    pause_ms INTEGER NOT NULL CHECK (pause_ms > 0), -- how long this one is; the next is twice as long
    failures INTEGER NOT NULL CHECK (failures > 0), -- in a row
    because  TEXT    NOT NULL -- the last of them
) STRICT, WITHOUT ROWID;
