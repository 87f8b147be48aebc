-- The index. The first nine columns are version 1's, to the letter; later
-- versions only ever add plain columns behind the last.
CREATE TABLE packages(name TEXT, realname TEXT UNIQUE NOT NULL, version TEXT NOT NULL, hash TEXT NOT NULL, description TEXT NOT NULL,
  dependencies TEXT, mirrors TEXT NOT NULL, family TEXT NOT NULL, serial INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  size INTEGER, installed_size INTEGER, arch TEXT, requires TEXT, conflicts TEXT, provides TEXT);
