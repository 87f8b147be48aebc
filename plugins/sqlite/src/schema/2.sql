-- From `user_version` 1 to 2.
ALTER TABLE transactions ADD COLUMN origins TEXT NOT NULL DEFAULT '[]';   -- JSON array of {package, source}
ALTER TABLE transactions ADD COLUMN undoes TEXT;                          -- the id of the transaction that it takes back
