//! What the databases cost: medians, on the folder in `PACKETS_BENCH_DIR` (or the
//! temporary one), beside the floor of writing and syncing the same bytes.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "it measures beside plain writes to files of its own")]
#![expect(clippy::unwrap_used, reason = "a figure that cannot be taken is no figure")]

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use packets_plugin_api::conformance::storage::NothingToAdopt;
use packets_plugin_api::ident::{Digest, Family, PackageName, TransactionId};
use packets_plugin_api::storage::{
    Access, FileKind, FileRecord, IndexEntry, InstalledPackage, InstalledRow, MadeBy, PackageIndex, Reason, Rows,
    Storage, StorageFormat, TransactionRow,
};
use packets_plugin_sqlite::SqliteFormat;

/// As many packages as Debian has.
const INDEX: usize = 63_000;

fn median(rounds: usize, mut run: impl FnMut(usize) -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..rounds).map(&mut run).collect();
    times.sort();
    times[rounds / 2]
}

fn print(what: &str, time: Duration) {
    println!("{what:<64} {:>10.3} ms", time.as_secs_f64() * 1e3);
}

fn timed<T>(run: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(run());
    start.elapsed()
}

fn package(name: &str) -> InstalledPackage {
    InstalledPackage {
        name: name.parse().unwrap(),
        alias: None,
        version: "1.0-1".parse().unwrap(),
        description: "A package of a usual length of description".to_owned(),
        requires: vec!["libc6>=2.36".parse().unwrap(), "p0".parse().unwrap()],
        conflicts: Vec::new(),
        provides: Vec::new(),
        family: format!("{name}-family").parse().unwrap(),
        serial: 1,
        digest: Some(Digest::from_bytes([1; 32])),
        reason: Reason::Asked,
        folder: format!("opt/packets/{name}").parse().unwrap(),
        installed_at: 1,
        installed_size: 1,
        held: false,
    }
}

fn rows(number: u64, packages: std::ops::Range<usize>, files: usize) -> Rows {
    let file = |name: &str, at: usize| FileRecord {
        path: format!("opt/packets/{name}/data/usr/share/something/long/{}/file-{at}.txt", at % 7).parse().unwrap(),
        made_by: MadeBy::Data,
        kind: FileKind::File { mode: 0o644, size: at as u64, sha256: Digest::from_bytes([at as u8; 32]) },
        displaced: None,
    };
    let installed = packages
        .map(|at| {
            let name = format!("p{at}");
            InstalledRow { package: package(&name), files: (0..files).map(|at| file(&name, at)).collect() }
        })
        .collect();
    let id = TransactionId::from_bytes(number.to_be_bytes());
    let transaction = TransactionRow {
        id,
        time: 1,
        command: "install".into(),
        summary: Vec::new(),
        origins: Vec::new(),
        undoes: None,
    };
    Rows { transaction, gone: Vec::new(), installed, approved: Vec::new() }
}

fn write(file: &Path) -> Box<dyn Storage> {
    SqliteFormat.open_installed(file, Access::Write(&NothingToAdopt)).unwrap()
}

fn read(file: &Path) -> Box<dyn Storage> {
    SqliteFormat.open_installed(file, Access::Read).unwrap()
}

fn installed(folder: &Path) {
    let fresh = |round: usize| folder.join(format!("installed-{round}.db"));
    print("installed.db: create", median(9, |round| timed(|| write(&fresh(round)))));
    let ten_thousand = rows(1, 0..200, 50);
    let finish = median(9, |round| {
        let mut storage = write(&fresh(round));
        timed(|| storage.finish(&ten_thousand).unwrap())
    });
    print("installed.db: finish of 200 packages, 10,000 files, first", finish);
    let bytes = fresh(0).metadata().unwrap().len();
    let floor = median(9, |round| {
        let content = vec![7; usize::try_from(bytes).unwrap()];
        timed(|| {
            let mut file = File::create(folder.join(format!("floor-{round}"))).unwrap();
            file.write_all(&content).unwrap();
            file.sync_all().unwrap();
        })
    });
    print(&format!("floor: write and sync of the same {bytes} bytes"), floor);

    let many = folder.join("many.db");
    write(&many).finish(&rows(1, 0..2000, 50)).unwrap();
    let into = median(5, |round| {
        let mut storage = write(&many);
        timed(|| storage.finish(&rows(10 + round as u64, 5000..5200, 50)).unwrap())
    });
    print("installed.db: the same beside 2,000 packages, replacing", into);
    let one = median(9, |round| {
        let mut storage = write(&many);
        timed(|| storage.finish(&rows(100 + round as u64, 0..1, 10)).unwrap())
    });
    print("installed.db: finish of one package, 10 files, beside 2,200", one);
    let name: PackageName = "p77".parse().unwrap();
    print(
        "installed.db: open for reading + one package",
        median(99, |_| timed(|| read(&many).package(&name).unwrap())),
    );
    let path = "opt/packets/p77/data/usr/share/something/long/3/file-3.txt".parse().unwrap();
    print("installed.db: open for reading + one owner", median(99, |_| timed(|| read(&many).owners(&path).unwrap())));
    print(
        "installed.db: open for reading + all 2,200 packages",
        median(19, |_| timed(|| read(&many).installed().unwrap())),
    );
    print("installed.db: open for writing, nothing to migrate", median(99, |_| timed(|| write(&many))));
    beside_finish(folder, &fresh(0), &ten_thousand);
}

/// What a commit asks for besides, and what a reader pays for a writer that was killed.
fn beside_finish(folder: &Path, file: &Path, ten_thousand: &Rows) {
    let storage = write(file);
    let id = &ten_thousand.transaction.id;
    print("installed.db: recorded", median(99, |_| timed(|| assert!(storage.recorded(id).unwrap()))));
    let copy = folder.join("copy.db");
    print("installed.db: copy_to, 10,000 files", median(29, |_| timed(|| storage.copy_to(&copy).unwrap())));
    let bytes = std::fs::read(file).unwrap();
    print("floor: write of the same bytes", median(29, |_| timed(|| std::fs::write(&copy, &bytes).unwrap())));

    let killed = folder.join("killed.db");
    let living = rusqlite::Connection::open(file).unwrap();
    living.execute_batch("PRAGMA cache_size=5; BEGIN IMMEDIATE; UPDATE files SET mode = 0").unwrap();
    let journal = |file: &Path| file.with_extension("db-journal");
    std::fs::copy(file, &killed).unwrap();
    std::fs::copy(journal(file), journal(&killed)).unwrap();
    let sizes = [&killed, &journal(&killed)].map(|file| file.metadata().unwrap().len());
    let name: PackageName = "p77".parse().unwrap();
    print(
        &format!("installed.db: open + one package, half written, {} + {} bytes", sizes[0], sizes[1]),
        median(29, |_| timed(|| assert!(read(&killed).package(&name).unwrap().is_some()))),
    );
    let reader = read(&killed);
    print("installed.db: one package more of the same open", median(99, |_| timed(|| reader.package(&name).unwrap())));
}

fn entries() -> Vec<IndexEntry> {
    let entry = |at: usize| IndexEntry {
        name: format!("package-{}-{at}", at * 7919 % INDEX).parse().unwrap(),
        alias: at.is_multiple_of(3).then(|| format!("alias-{}", at / 2).parse().unwrap()),
        version: format!("1.{at}-2+deb13u1").parse().unwrap(),
        digest: Digest::from_bytes([at as u8; 32]),
        description: "The description of a package is one line that says what it is good for".to_owned(),
        requires: (1..6).map(|n| format!("package-{}-{}>=1.0", at * 7919 % INDEX, at / n).parse().unwrap()).collect(),
        conflicts: Vec::new(),
        provides: if at.is_multiple_of(6) {
            ["virtual", "other"].map(|n| format!("{n}-{at}").parse().unwrap()).to_vec()
        } else {
            Vec::new()
        },
        mirrors: vec![format!("https://mirror.example.org/pool/main/p/package-{at}.pkt.tar.zst")],
        family: format!("1f84ca15-5077-4f1d-a370-{at:012}").parse().unwrap(),
        serial: 0,
        size: Some(1000),
        installed_size: Some(2000),
        arch: Some("x86_64".to_owned()),
    };
    (0..INDEX).map(entry).collect()
}

fn index(folder: &Path) {
    let entries = entries();
    let path = |round: usize| -> PathBuf { folder.join(format!("index-{round}.db")) };
    print(
        "index.db: write 63,000",
        median(3, |round| timed(|| SqliteFormat.write_index(&path(round), &entries).unwrap())),
    );
    let file = path(0);
    println!("index.db: {} bytes", file.metadata().unwrap().len());
    assert!(std::fs::read(&file).unwrap() == std::fs::read(path(1)).unwrap(), "the same entries, the same bytes");
    print("index.db: verify", median(3, |_| timed(|| SqliteFormat.verify_index(&file).unwrap())));
    let open = || SqliteFormat.open_index(&file).unwrap();
    let each = |what: &str, run: &dyn Fn(&dyn PackageIndex)| {
        print(&format!("index.db: open + {what}"), median(49, |_| timed(|| run(&*open()))));
    };
    each("nothing", &|_| ());
    each("one package", &|index| assert!(index.package(&entries[777].name).unwrap().is_some()));
    let alias: PackageName = "alias-300".parse().unwrap();
    each("one alias", &|index| assert_eq!(index.aliased(&alias).unwrap().len(), 1));
    let provided: PackageName = "virtual-600".parse().unwrap();
    each("one provided name", &|index| assert_eq!(index.providing(&provided).unwrap().len(), 1));
    let family: Family = entries[5].family.clone();
    each("one family", &|index| assert_eq!(index.family(&family).unwrap().len(), 1));
    print("index.db: open + all", median(5, |_| timed(|| open().all().unwrap())));
}

fn main() {
    let folder = match std::env::var_os("PACKETS_BENCH_DIR") {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    installed(folder.path());
    index(folder.path());
}
