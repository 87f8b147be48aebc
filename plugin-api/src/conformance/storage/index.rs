//! What any index must do.

use std::path::Path;

use super::sample::{entry, family, must, must_fail, name};
use crate::ident::{Digest, Family};
use crate::storage::{IndexEntry, IndexSummary, PackageIndex, StorageErrorKind, StorageFormat};

/// Runs every check of the index in `folder`, which must be empty for a format that
/// writes files.
///
/// # Panics
/// At the first guarantee of [`PackageIndex`] or of the index's part of
/// [`StorageFormat`] that does not hold; the message says which.
pub fn index_suite(format: &dyn StorageFormat, folder: &Path) {
    what_is_written_is_found(format, &folder.join("index"));
    an_empty_index_is_one(format, &folder.join("empty"));
    nothing_is_overwritten(format, &folder.join("taken"));
    a_name_stands_once(format, &folder.join("twice"));
    absent_files_are_said_to_be_absent(format, &folder.join("absent"));
}

fn samples() -> Vec<IndexEntry> {
    let release = |text: &str| IndexEntry { alias: Some(name("go")), family: family("go-family"), ..entry(text) };
    let full = IndexEntry {
        description: "'; DROP TABLE x; \" \u{1b}[2J \u{202e} ä\n".to_owned(),
        requires: ["zlib>=1.3", "go1.23 | go>=2"].map(|text| must("a sample", text.parse())).to_vec(),
        conflicts: vec![must("a sample", "go1.23".parse())],
        provides: vec![name("golang"), name("gofmt")],
        mirrors: vec!["https://example.org/a%20b.pkt".to_owned(), "packages/ä.pkt".to_owned()],
        size: Some(1),
        installed_size: Some(5_000_000_000),
        arch: Some("x86_64".to_owned()),
        ..release("go1.24")
    };
    let also = IndexEntry { provides: vec![name("golang")], family: family("other"), ..entry("A-go") };
    let nearly = IndexEntry { provides: vec![name("golang-x"), name("x-golang")], ..entry("near") };
    vec![release("go1.23"), full, entry("zlib"), also, nearly]
}

fn names(entries: &[IndexEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.as_str()).collect()
}

fn what_is_written_is_found(format: &dyn StorageFormat, file: &Path) {
    let mut entries = samples();
    must("writing", format.write_index(file, &entries));
    assert_eq!(must("verifying", format.verify_index(file)), IndexSummary { packages: 5 });
    for (entry, serial) in entries.iter_mut().zip(1..) {
        entry.serial = serial;
    }
    let index: Box<dyn PackageIndex> = must("opening", format.open_index(file));
    for entry in &entries {
        let found = must("package", index.package(&entry.name));
        assert_eq!(found.as_ref(), Some(entry), "found as written, numbered in the order given");
        assert!(must("is_release", index.is_release(&entry.name, &entry.digest)), "its own digest");
        assert!(!must("is_release", index.is_release(&entry.name, &Digest::from_bytes([0x5a; 32]))), "another digest");
    }
    for none in ["go", "golang", "Zlib", "no-such"] {
        assert_eq!(must("package", index.package(&name(none))), None, "a package is found by its exact name");
        assert!(!must("is_release", index.is_release(&name(none), &entries[0].digest)), "a name that is no package's");
    }
    let aliased = |text: &str| must("aliased", index.aliased(&name(text)));
    assert_eq!(names(&aliased("go")), ["go1.24", "go1.23"], "the highest serial first");
    assert_eq!(names(&aliased("zlib")), Vec::<&str>::new(), "a name is no alias");
    let providing = |text: &str| must("providing", index.providing(&name(text)));
    assert_eq!(names(&providing("golang")), ["A-go", "go1.24"], "the highest serial first, and no part of a name");
    assert_eq!(names(&providing("golan")), Vec::<&str>::new());
    assert_eq!(names(&providing("gofmt")), ["go1.24"]);
    let answering = |text: &str| must("answering", index.answering(&name(text)));
    assert_eq!(names(&answering("golang")), ["A-go", "go1.24"], "what provides it, the highest serial first");
    assert_eq!(names(&answering("go")), ["go1.24", "go1.23"], "what has it as its alias");
    assert_eq!(answering("zlib"), [entries[2].clone()], "what has it as its name, once");
    assert_eq!(names(&answering("golan")), Vec::<&str>::new(), "and no part of a name");
    let releases = |family: &Family| must("family", index.family(family));
    assert_eq!(names(&releases(&family("go-family"))), ["go1.24", "go1.23"]);
    assert_eq!(releases(&Family::none()), [], "of no family: none");
    let all = must("all", index.all());
    assert_eq!(names(&all), ["A-go", "go1.23", "go1.24", "near", "zlib"], "every package, by name");
    for entry in all {
        assert!(entries.contains(&entry), "{}", entry.name);
    }
    searches(index.as_ref());
}

fn searches(index: &dyn PackageIndex) {
    let search = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let found = must("search", index.search(&words));
        found.iter().map(|found| found.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(search(&["go"]), ["A-go", "go1.23", "go1.24"], "names and aliases, in whatever case, by name");
    assert_eq!(search(&["drop", "table"]), ["go1.24"], "words of the description, every one of them");
    assert_eq!(search(&["drop", "zlib"]), Vec::<String>::new());
    assert_eq!(search(&["golang"]), Vec::<String>::new(), "what is provided is not looked through");
    assert_eq!(search(&[]).len(), 5, "no word is in all");
    let found = must("search", index.search(&["go1.24".to_owned()])).remove(0);
    assert_eq!((found.alias, found.version), (Some(name("go")), entry("go1.24").version));
    let beginning = |prefix: &str, most| {
        let names = must("names", index.names(prefix, most));
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(beginning("go", 9), ["go", "go1.23", "go1.24", "gofmt", "golang", "golang-x"], "all names, in order");
    assert_eq!(beginning("go", 2), ["go", "go1.23"], "no more than wanted");
    assert_eq!(beginning("gO", 9), Vec::<String>::new(), "as they are written");
}

fn an_empty_index_is_one(format: &dyn StorageFormat, file: &Path) {
    must("writing", format.write_index(file, &[]));
    assert_eq!(must("verifying", format.verify_index(file)), IndexSummary { packages: 0 });
    assert_eq!(must("all", must("opening", format.open_index(file)).all()), []);
}

fn nothing_is_overwritten(format: &dyn StorageFormat, file: &Path) {
    must("writing", format.write_index(file, &[entry("first")]));
    must_fail("writing over an index", format.write_index(file, &[entry("second")]));
    let all = must("all", must("opening", format.open_index(file)).all());
    assert_eq!(names(&all), ["first"], "a file that is there stays as it is");
}

fn a_name_stands_once(format: &dyn StorageFormat, file: &Path) {
    must_fail("a name that is there twice", format.write_index(file, &[entry("a"), entry("b"), entry("a")]));
}

fn absent_files_are_said_to_be_absent(format: &dyn StorageFormat, file: &Path) {
    let error = must_fail("opening nothing", format.open_index(file));
    assert_eq!(error.kind, StorageErrorKind::NotFound);
    let error = must_fail("verifying nothing", format.verify_index(file));
    assert_eq!(error.kind, StorageErrorKind::NotFound);
    assert!(!file.exists(), "looking for an index creates none");
}
