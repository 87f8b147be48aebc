-- From version 1 of Packets to `user_version` 1. Its table `packages` stays as it
-- is and stays filled; a package has a row there and one in `package_details`.
CREATE TABLE package_details(
  id INTEGER PRIMARY KEY,
  realname TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  requires TEXT NOT NULL,           -- JSON array, as the manifest writes them
  conflicts TEXT NOT NULL,          -- JSON array
  provides TEXT NOT NULL,           -- JSON array
  sha256 BLOB,                      -- of the package file; NULL for what version 1 installed
  reason TEXT NOT NULL,             -- asked, needed
  folder TEXT NOT NULL,             -- below the target's root
  installed_at INTEGER NOT NULL,    -- seconds since 1970
  installed_size INTEGER NOT NULL   -- bytes
);

CREATE TABLE files(
  package INTEGER NOT NULL,         -- package_details.id
  path TEXT NOT NULL,               -- below the target's root
  made_by TEXT NOT NULL,            -- data, hook
  kind TEXT NOT NULL,               -- file, symlink, folder
  mode INTEGER,                     -- of files and folders
  size INTEGER,                     -- of files
  sha256 BLOB,                      -- of files
  asked TEXT,                       -- of links: the target that was asked for
  target TEXT,                      -- of links: the target that the link holds
  displaced TEXT,                   -- where the content of others that stood here is kept
  PRIMARY KEY(package, path)
) WITHOUT ROWID;
CREATE INDEX files_by_path ON files(path);

CREATE TABLE approvals(
  name TEXT NOT NULL,
  family TEXT NOT NULL,
  approved TEXT NOT NULL,           -- JSON: lists of paths, by what is granted there
  PRIMARY KEY(name, family)
) WITHOUT ROWID;

CREATE TABLE transactions(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  time INTEGER NOT NULL,            -- seconds since 1970
  command TEXT NOT NULL,
  summary TEXT NOT NULL             -- JSON array, one text a package
);
