-- Whether the library has that table: one of an earlier version that is only read may not.
SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'earlier'
