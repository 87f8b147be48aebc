//! What a journal says is believed only as it was written.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use packets_plugin_api::storage::{Rows, TransactionRow};

use super::*;

fn id() -> TransactionId {
    TransactionId::from_bytes([9; 8])
}

fn pending(home: &Path) -> Folder {
    Folder::open_ambient(home).unwrap()
}

fn staging() -> Record {
    let parent = FolderId { path: "opt/packets/.packets".parse().unwrap(), device: 1, inode: 2, comes: false };
    Record::Staging { command: "install".to_owned(), time: 1, parent, name: id().to_string() }
}

fn decided() -> Record {
    let folder = |path: &str| FolderId { path: path.parse().unwrap(), device: 1, inode: 2, comes: false };
    let standing = Standing {
        kind: Kind::File,
        device: 1,
        inode: 7,
        mode: 0o644,
        size: 3,
        modified: -5,
        content: Some("x".to_owned()),
    };
    let spot = |folder| Spot { folder, name: "a".to_owned() };
    let put = Put::swap(spot(0), (standing.clone(), spot(1)), (standing, spot(1)));
    let transaction = TransactionRow {
        id: id(),
        time: 1,
        command: "install".to_owned(),
        summary: vec!["install a 1".to_owned()],
        origins: Vec::new(),
        undoes: None,
    };
    Record::Decided(Arc::new(Decision {
        places: vec![folder("opt/packets/.packets/x")],
        folders: vec![folder("usr/bin"), folder("opt/packets/.packets/x/old")],
        steps: vec![Step::Put(put), Step::Mode { folder: 0, before: 0o755, after: 0o700 }],
        rows: Arc::new(Rows { transaction, gone: Vec::new(), installed: Vec::new(), approved: Vec::new() }),
        before: Inverse { gone: vec!["a".parse().unwrap()], installed: Vec::new(), approved: Vec::new() },
    }))
}

/// A journal with these records; its bytes.
fn written(home: &Path, records: &[Record]) -> Vec<u8> {
    let mut journal = Journal::begin(pending(home), &id(), staging()).unwrap();
    records.iter().for_each(|record| journal.append(record).unwrap());
    std::fs::read(home.join(id().as_str())).unwrap()
}

fn opened(home: &Path) -> Found {
    Journal::open(&pending(home), id().as_str()).unwrap()
}

#[track_caller]
fn unsound(home: &Path, part: &str) {
    match opened(home) {
        Found::Unsound(why) => assert!(why.contains(part), "{why}"),
        Found::Of(user) => panic!("of another user: {user}"),
        Found::Journal(journal, _) => panic!("believed: {:?}", journal.records()),
    }
}

#[test]
fn says_what_was_written() {
    let home = tempfile::tempdir().unwrap();
    let done = Record::Done { end: End::Reverted };
    written(home.path(), &[decided(), Record::Undoing, done.clone()]);
    let Found::Journal(journal, Tail::Whole) = opened(home.path()) else { panic!("not whole") };
    assert_eq!(journal.records(), [staging(), decided(), Record::Undoing, done]);
    assert_eq!((journal.command(), journal.id()), ("install", &id()));
}

#[test]
fn c25_every_flipped_bit_is_seen() {
    let home = tempfile::tempdir().unwrap();
    let bytes = written(home.path(), &[decided(), Record::Done { end: End::Committed }]);
    let file = home.path().join(id().as_str());
    let (mut refused, mut torn) = (0, 0);
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&file, &damaged).unwrap();
        match opened(home.path()) {
            Found::Unsound(_) | Found::Of(_) => refused += 1,
            // A line feed: as a record that was not written to its end. What stands before it holds.
            Found::Journal(journal, Tail::Torn) => {
                let whole = ends.iter().position(|end| *end == at).unwrap();
                assert_eq!(journal.records(), &[staging(), decided()][..whole]);
                torn += 1;
            }
            Found::Journal(journal, Tail::Whole) => panic!("byte {at} is not missed: {:?}", journal.records()),
        }
    }
    assert_eq!((refused, torn), (bytes.len() - 2, 2), "the first line feed makes one long line of two");
}

#[test]
fn c06_only_the_last_line_may_be_torn_and_only_before_the_decision_holds() {
    let home = tempfile::tempdir().unwrap();
    let bytes = written(home.path(), &[decided()]);
    let file = home.path().join(id().as_str());
    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    for at in first + 1..bytes.len() - 1 {
        let mut damaged = bytes.clone();
        damaged[at..].iter_mut().take(16).for_each(|byte| *byte = 0);
        *damaged.last_mut().unwrap() = b'\n';
        std::fs::write(&file, &damaged).unwrap();
        let Found::Journal(journal, Tail::Torn) = opened(home.path()) else { panic!("byte {at}") };
        assert_eq!(journal.records(), [staging()]);
    }
}

#[test]
fn c25_every_truncation_leaves_whole_records() {
    let home = tempfile::tempdir().unwrap();
    let bytes = written(home.path(), &[decided(), Record::Undoing]);
    let file = home.path().join(id().as_str());
    let all = [staging(), decided(), Record::Undoing];
    for length in 0..=bytes.len() {
        std::fs::write(&file, &bytes[..length]).unwrap();
        let Found::Journal(mut journal, tail) = opened(home.path()) else { panic!("{length}") };
        let whole = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(journal.records(), &all[..whole]);
        assert_eq!(tail == Tail::Whole, length == 0 || bytes[length - 1] == b'\n');
        journal.cut().unwrap();
        let next = if whole == 0 { staging() } else { Record::Undoing };
        if whole != 3 && whole != 1 {
            journal.append(&next).unwrap();
            let Found::Journal(again, Tail::Whole) = opened(home.path()) else { panic!("{length} again") };
            assert_eq!(again.records().last(), Some(&next), "what was torn is written over");
        }
    }
}

#[test]
fn c25_records_of_another_place_are_not_taken() {
    let home = tempfile::tempdir().unwrap();
    let bytes = written(home.path(), &[decided(), Record::Undoing]);
    let file = home.path().join(id().as_str());
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for (order, what) in
        [(vec![0, 0, 1], "a line that stands twice"), (vec![1, 2], "no beginning"), (vec![0, 2, 1], "another order")]
    {
        let moved: Vec<u8> = order.iter().flat_map(|at| lines[*at].iter().copied()).collect();
        std::fs::write(&file, moved).unwrap();
        assert!(matches!(opened(home.path()), Found::Unsound(_)), "{what}");
    }
    std::fs::write(&file, [lines[0], lines[2]].concat()).unwrap();
    let Found::Journal(journal, Tail::Torn) = opened(home.path()) else { panic!("a line that was left out") };
    assert_eq!(journal.records(), [staging()]);
    let other = TransactionId::from_bytes([8; 8]);
    std::fs::write(home.path().join(other.as_str()), &bytes).unwrap();
    let found = Journal::open(&pending(home.path()), other.as_str()).unwrap();
    assert!(matches!(found, Found::Unsound(_)), "a journal under another's name");
}

#[test]
fn c25_whole_lines_in_a_wrong_order_are_refused() {
    for records in [
        vec![Record::Undoing],
        vec![Record::Done { end: End::Committed }],
        vec![decided(), decided()],
        vec![decided(), Record::Done { end: End::Reverted }],
        vec![decided(), Record::Undoing, Record::Done { end: End::Committed }],
        vec![decided(), staging()],
    ] {
        let home = tempfile::tempdir().unwrap();
        written(home.path(), &records);
        unsound(home.path(), "not in order");
    }
}

#[test]
fn c25_what_others_could_have_written_is_refused() {
    let home = tempfile::tempdir().unwrap();
    written(home.path(), &[]);
    let file = home.path().join(id().as_str());
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o620);
    unsound(home.path(), "others may write");
    mode(0o600);
    std::fs::hard_link(&file, home.path().join("second")).unwrap();
    unsound(home.path(), "second name");
    std::fs::remove_file(home.path().join("second")).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
        unsound(home.path(), "belongs to the user 12345");
    }
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    unsound(home.path(), "no regular file");
    let found = Journal::open(&pending(home.path()), "../x").unwrap();
    assert!(matches!(found, Found::Unsound(_)), "a name that is no id");
}

#[test]
fn c25_decisions_name_only_what_is_there() {
    let Record::Decided(decision) = decided() else { panic!("not decided") };
    let bad = |change: &dyn Fn(&mut Put)| {
        let mut decision = Decision::clone(&decision);
        let Step::Put(put) = &mut decision.steps[0] else { panic!("no put") };
        change(put);
        assert!(!decision.is_sound());
        let home = tempfile::tempdir().unwrap();
        written(home.path(), &[Record::Decided(Arc::new(decision))]);
        unsound(home.path(), "names what is not there");
    };
    bad(&|put| put.at.folder = 2);
    for name in ["", ".", "..", "a/b", "a\0b", "/etc"] {
        bad(&|put| put.at.name = name.to_owned());
        bad(&|put| put.new.as_mut().unwrap().name = name.to_owned());
    }
    bad(&|put| put.new = None);
    bad(&|put| put.before = None);
    // Paths cannot even be written down wrongly: they are parsed.
    let text = serde_json::to_string(&decided()).unwrap().replace("usr/bin", "../etc");
    assert!(serde_json::from_str::<Record>(&text).is_err());
}

#[test]
fn c25_a_journal_as_large_as_may_be() {
    let home = tempfile::tempdir().unwrap();
    written(home.path(), &[]);
    let file = File::options().write(true).open(home.path().join(id().as_str())).unwrap();
    // Holes: of what is within the bound only the size is looked at here.
    file.set_len(MAX_SIZE).unwrap();
    assert_eq!(foreign(&folder::stat(&file).unwrap()), None);
    file.set_len(MAX_SIZE + 1).unwrap();
    unsound(home.path(), "larger than 1073741824 bytes");
}

#[test]
fn c25_no_more_is_written_than_can_be_read() {
    let home = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(pending(home.path()), &id(), staging()).unwrap();
    let line = journal.chain.clone().line(&Record::Undoing).unwrap().len() as u64;
    // As if so much had been written: with what is set aside, one byte too many, and just as much as may be.
    journal.length = MAX_SIZE - SPARE - line + 1;
    let error = journal.append(&Record::Undoing).unwrap_err();
    assert!(error.to_string().contains("larger than 1073741824 bytes") && !error.hints().is_empty(), "{error}");
    assert_eq!(std::fs::metadata(home.path().join(id().as_str())).unwrap().len(), written_length(&home));
    journal.length -= 1;
    journal.append(&Record::Undoing).unwrap();
}

/// The bytes of a journal with its first record alone.
fn written_length(beside: &tempfile::TempDir) -> u64 {
    let other = tempfile::tempdir_in(beside.path()).unwrap();
    written(other.path(), &[]).len() as u64
}
