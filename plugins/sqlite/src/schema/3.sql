-- From `user_version` 2 to 3.
ALTER TABLE package_details ADD COLUMN held INTEGER NOT NULL DEFAULT 0;    -- 1: it stays as it is
