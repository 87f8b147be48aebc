//! What version 1 leaves on a disk: its databases with its own statements, its config,
//! its trees, its links.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rusqlite::{Connection, params};

use crate::package::Package;

/// The statement with which version 1 makes index.db.
pub const INDEX: &str = "CREATE TABLE packages(name TEXT, realname TEXT UNIQUE NOT NULL, version TEXT NOT NULL, hash TEXT NOT NULL, description TEXT NOT NULL,
  dependencies TEXT, mirrors TEXT NOT NULL, family TEXT NOT NULL, serial INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT);";

/// The statement with which version 1 makes installed.db.
pub const INSTALLED: &str = "CREATE TABLE packages(realname TEXT NOT NULL UNIQUE PRIMARY KEY, version TEXT NOT NULL, dependencies TEXT, name TEXT, family TEXT NOT NULL, serial INTEGER);";

/// The config.toml that version 1 writes.
pub const CONFIG: &str = "[Config]
httpPort = 9123
cacheDir = \"/var/cache/packets\"
dayToDeleteCacheDir = false
daysToDelete = -1
dataDir = \"/opt/packets\"
binDir = \"/usr/bin\"
lastDataDir = \"/opt/packets\"
";

/// A row of version 1's index.db.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct IndexRow {
    pub name: String,
    pub realname: String,
    pub version: String,
    pub hash: String,
    pub dependencies: String,
    pub mirrors: String,
    pub family: String,
    pub serial: i64,
}

/// Writes an index.db as version 1 does.
pub fn write_index(path: &Path, rows: &[IndexRow]) {
    let _ = fs::remove_file(path);
    let database = Connection::open(path).unwrap();
    database.execute_batch(INDEX).unwrap();
    for row in rows {
        let values = params![
            row.name,
            row.realname,
            row.version,
            row.hash,
            row.dependencies,
            row.mirrors,
            row.family,
            row.serial
        ];
        database
            .execute(
                "INSERT INTO packages(name, realname, version, hash, description, dependencies, mirrors, family, serial)
                 VALUES(?1, ?2, ?3, ?4, 'a package', ?5, ?6, ?7, ?8)",
                values,
            )
            .unwrap();
    }
}

/// A package as version 1 installed it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The package; its name is the realname.
    pub package: &'a Package,
    /// Its version.
    pub version: &'a str,
    /// Separated by spaces.
    pub dependencies: &'a str,
    /// What people type.
    pub name: &'a str,
    /// Its family.
    pub family: &'a str,
    /// Version 1's one counter.
    pub serial: i64,
}

/// Leaves a system below `root` on which version 1 has installed these packages: each
/// with an absolute link in /usr/bin to the file of `data/` that is named as it is.
pub fn leave(root: &Path, rows: &[Row<'_>]) {
    let folder = root.join("etc/packets");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::write(folder.join("config.toml"), CONFIG).unwrap();
    write_index(&folder.join("index.db"), &[]);
    let database = Connection::open(folder.join("installed.db")).unwrap();
    database.execute_batch(INSTALLED).unwrap();
    for row in rows {
        let name = row.package.name();
        let values = params![name, row.version, row.dependencies, row.name, row.family, row.serial];
        database.execute("INSERT INTO packages VALUES(?1, ?2, ?3, ?4, ?5, ?6)", values).unwrap();
        row.package.write(&root.join("opt/packets"));
        if root.join("opt/packets").join(name).join("data").join(name).exists() {
            symlink(format!("/opt/packets/{name}/data/{name}"), root.join("usr/bin").join(name)).unwrap();
        }
    }
}
