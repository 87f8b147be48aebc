//! Copies of the record of installed packages (catalogue C24).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "the test makes and looks at files of its own")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use packets_plugin_api::storage::StorageErrorKind;
use support::crash::{assert_old, good, names};
use support::record::{read, write};
use support::whole;

#[test]
fn c24_a_damaged_record_replaces_no_good_copy() {
    let home = tempfile::tempdir().unwrap();
    let file = good(home.path());
    let copy = home.path().join("copy.db");
    read(&file).copy_to(&copy).unwrap();
    let before = fs::read(&copy).unwrap();
    let pages = fs::metadata(&file).unwrap().len() / 4096;
    let mut bytes = fs::read(&file).unwrap();
    for page in 3..pages as usize {
        bytes[page * 4096..page * 4096 + 512].fill(0xee);
    }
    fs::write(&file, bytes).unwrap();
    let error = read(&file).copy_to(&copy).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Corrupt, "C24 {}", whole(&error));
    assert!(fs::read(&copy).unwrap() == before);
    assert_eq!(names(home.path()), ["copy.db", "installed.db"], "C24: and leaves nothing behind");
}

#[test]
fn c24_a_copy_is_whole_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let file = good(home.path());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let copy = home.path().join("copies").join("copy.db");
    assert!(read(&file).copy_to(&copy).is_err(), "a folder that is not there is not made");
    fs::create_dir(home.path().join("copies")).unwrap();
    // What a copy that was killed left, and a link that was planted there.
    let victim = home.path().join("victim");
    fs::write(&victim, "keep me").unwrap();
    let new = home.path().join("copies").join("copy.db.new");
    for _ in 0..2 {
        symlink(&victim, &new).unwrap();
        write(&file).copy_to(&copy).unwrap();
        assert_old(&*read(&copy));
        assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o777, 0o600, "no more open than the record");
        fs::write(&new, "half").unwrap();
        read(&file).copy_to(&copy).unwrap();
    }
    assert_eq!(names(&home.path().join("copies")), ["copy.db"]);
    assert_eq!(fs::read(&victim).unwrap(), b"keep me");
    fs::remove_file(&copy).unwrap();
    symlink(&victim, &copy).unwrap();
    assert!(read(&file).copy_to(&copy).is_err(), "a link is not replaced");
}
