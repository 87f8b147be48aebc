-- Version 1's table, to the letter. It has no `user_version`.
CREATE TABLE packages(realname TEXT NOT NULL UNIQUE PRIMARY KEY, version TEXT NOT NULL, dependencies TEXT, name TEXT, family TEXT NOT NULL, serial INTEGER);
