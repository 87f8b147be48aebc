//! What any [`StorageFormat`] must do, and one that keeps everything in memory.
//!
//! ```
//! use packets_plugin_api::conformance::storage::{MemoryFormat, index_suite, storage_suite};
//! let folder = std::env::temp_dir();
//! storage_suite(&MemoryFormat::default(), &folder);
//! index_suite(&MemoryFormat::default(), &folder);
//! ```

mod ahead;
mod index;
mod memory;
mod sample;

use std::path::Path;

use crate::hook::Grant;
use crate::ident::{Family, PackageName};
use crate::relpath::RelPath;
use crate::storage::{
    Access, Adopted, Adopter, Approval, InstalledPackage, MadeBy, Rows, Storage, StorageError, StorageErrorKind,
    StorageFormat,
};

pub use index::index_suite;
pub use memory::MemoryFormat;
use sample::{data, family, folder as folder_record, hook_link, id, installed, must, must_fail, name, path, row, rows};

/// An adopter for files that version 1 never wrote: it is never asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingToAdopt;

impl Adopter for NothingToAdopt {
    fn adopt(&self, name: &PackageName) -> Result<Adopted, StorageError> {
        Err(StorageError::new(StorageErrorKind::NotFound, format!("nothing is known of the package {name}")))
    }
}

/// Runs every check of the record of installed packages in `folder`, which must be
/// empty for a format that writes files.
///
/// # Panics
/// At the first guarantee of [`Storage`] or [`StorageFormat::open_installed`] that
/// does not hold; the message says which.
pub fn storage_suite(format: &dyn StorageFormat, folder: &Path) {
    reading_creates_nothing(format, &folder.join("absent"));
    everything_is_found_again(format, &folder.join("found"));
    the_same_transaction_is_recorded_once(format, &folder.join("once"));
    a_package_is_replaced_and_goes_with_all_its_paths(format, &folder.join("replaced"));
    owners_are_of_this_very_path(format, &folder.join("owners"));
    answers_are_sorted(format, &folder.join("sorted"));
    approvals_are_kept_by_name_and_family(format, &folder.join("approvals"));
    a_refused_transaction_leaves_nothing(format, &folder.join("refused"));
    readers_see_what_writers_finished(format, &folder.join("readers"));
    ahead::what_does_not_happen_is_not_recorded(format, &folder.join("happens"));
    what_is_recorded_is_said(format, &folder.join("recorded"));
    the_history_keeps_every_word(format, &folder.join("history"));
    a_copy_is_a_record_of_its_own(format, &folder.join("copied"), &folder.join("copy"));
}

fn write(format: &dyn StorageFormat, file: &Path) -> Box<dyn Storage> {
    must("opening for writing", format.open_installed(file, Access::Write(&NothingToAdopt)))
}

fn read(format: &dyn StorageFormat, file: &Path) -> Box<dyn Storage> {
    must("opening for reading", format.open_installed(file, Access::Read))
}

fn names(storage: &dyn Storage) -> Vec<String> {
    must("installed", storage.installed()).into_iter().map(|package| package.name.to_string()).collect()
}

fn reading_creates_nothing(format: &dyn StorageFormat, file: &Path) {
    let mut storage = read(format, file);
    assert_eq!(names(&*storage), Vec::<String>::new(), "an absent file is an empty storage");
    assert_eq!(must("package", storage.package(&name("a"))), None);
    assert_eq!(must("files", storage.files(&name("a"))), []);
    assert_eq!(must("owners", storage.owners(&path("usr/bin/a"))), []);
    assert_eq!(must("approvals", storage.approvals(&name("a"), &Family::none())), []);
    assert_eq!(must("history", storage.history(9)), []);
    assert!(!must("recorded", storage.recorded(&id(1))));
    let copy = file.with_extension("copy");
    let error = must_fail("copying what is not there", storage.copy_to(&copy));
    assert_eq!(error.kind, StorageErrorKind::NotFound);
    assert!(!copy.exists(), "of nothing there is no copy");
    assert!(storage.finish(&rows(1)).is_err(), "what was opened for reading refuses to record");
    drop(storage);
    assert!(!file.exists(), "an open for reading creates no file");
}

fn everything_is_found_again(format: &dyn StorageFormat, file: &Path) {
    let bare = installed("bare");
    let mut full = installed("go1.24");
    full.alias = Some(name("go"));
    full.requires = ["zlib>=1.3", "a | b<2"].map(|text| must("parsing", text.parse())).to_vec();
    full.conflicts = vec![must("parsing", "gccgo".parse())];
    full.provides = vec![name("golang"), name("gofmt")];
    full.family = family("1f84ca15");
    full.description = "'; DROP TABLE x; \" \u{1b}[2J \u{202e} ä\n".to_owned();
    full.digest = None;
    full.serial = 7;
    let mut displaced = data("etc/a b'\"\n%\u{fc}");
    displaced.displaced = Some(path("var/lib/packets/old/1"));
    let files = vec![folder_record("opt/go"), data("opt/go/data"), displaced, hook_link("usr/bin/go", "../../opt/go")];

    let mut first = rows(1);
    first.installed = vec![row(full.clone(), &files), row(bare.clone(), &[])];
    let mut storage = write(format, file);
    must("finish", storage.finish(&first));
    for storage in [storage, read(format, file), write(format, file)] {
        assert_eq!(must("package", storage.package(&full.name)), Some(full.clone()));
        assert_eq!(must("package", storage.package(&name("go"))), None, "packages are found by name, not by alias");
        assert_eq!(must("installed", storage.installed()), [bare.clone(), full.clone()]);
        let mut expected = files.clone();
        expected.sort_by(|one, other| one.path.cmp(&other.path));
        assert_eq!(must("files", storage.files(&full.name)), expected);
        assert_eq!(must("files", storage.files(&bare.name)), []);
        assert_eq!(must("history", storage.history(9)), [first.transaction.clone()]);
    }
}

fn the_same_transaction_is_recorded_once(format: &dyn StorageFormat, file: &Path) {
    let mut storage = write(format, file);
    let mut first = rows(1);
    first.installed = vec![row(installed("a"), &[data("opt/a/data")])];
    must("finish", storage.finish(&first));
    let mut second = rows(2);
    second.gone = vec![name("a")];
    second.installed = vec![row(installed("b"), &[])];
    must("finish", storage.finish(&second));
    for _ in 0..2 {
        must("finishing again", storage.finish(&first));
        must("finishing again", write(format, file).finish(&second));
    }
    assert_eq!(names(&*storage), ["b"], "a repeated transaction changes nothing");
    assert_eq!(must("history", storage.history(9)), [second.transaction, first.transaction]);
}

fn a_package_is_replaced_and_goes_with_all_its_paths(format: &dyn StorageFormat, file: &Path) {
    let mut storage = write(format, file);
    let mut first = rows(1);
    first.installed = vec![row(installed("a"), &[data("opt/a/data/old"), data("opt/a/data/both")])];
    must("finish", storage.finish(&first));

    let mut second = rows(2);
    let mut newer = installed("a");
    newer.version = must("parsing", "2.0".parse());
    second.installed = vec![row(newer.clone(), &[data("opt/a/data/both"), data("opt/a/data/new")])];
    must("finish", storage.finish(&second));
    assert_eq!(must("installed", storage.installed()), [newer]);
    let paths: Vec<_> = must("files", storage.files(&name("a"))).into_iter().map(|file| file.path).collect();
    assert_eq!(paths, [path("opt/a/data/both"), path("opt/a/data/new")], "the paths of the old row are gone");
    assert_eq!(must("owners", storage.owners(&path("opt/a/data/old"))), []);

    let mut third = rows(3);
    third.gone = vec![name("a"), name("never-there")];
    must("finish", storage.finish(&third));
    assert_eq!(names(&*storage), Vec::<String>::new());
    assert_eq!(must("files", storage.files(&name("a"))), []);
    assert_eq!(must("owners", storage.owners(&path("opt/a/data/new"))), [], "its paths go with a package");
}

fn owners_are_of_this_very_path(format: &dyn StorageFormat, file: &Path) {
    let mut storage = write(format, file);
    let mut first = rows(1);
    let shared = folder_record("usr/share/apps");
    first.installed = vec![
        row(installed("b"), &[shared.clone(), hook_link("usr/bin/b", "x")]),
        row(installed("a"), &[shared, data("opt/a/data/x"), data("srv/a"), hook_link("opt/a/data/y", "x")]),
        // Folders of packages may lie in one another, and begin alike.
        row(InstalledPackage { folder: path("opt/a/data"), ..installed("inner") }, &[data("opt/a/data/x")]),
        row(installed("a-x"), &[data("opt/a-x"), data("opt/a-x/data")]),
        row(InstalledPackage { folder: RelPath::root(), ..installed("top") }, &[data("srv"), data("opt/a/data/x")]),
    ];
    must("finish", storage.finish(&first));
    let owners = |text: &str| must("owners", storage.owners(&path(text)));
    assert_eq!(owners("usr/share/apps"), [(name("a"), MadeBy::Hook), (name("b"), MadeBy::Hook)], "sorted by name");
    assert_eq!(owners("usr/bin/b"), [(name("b"), MadeBy::Hook)]);
    assert_eq!(owners("opt/a/data/x"), ["a", "inner", "top"].map(|text| (name(text), MadeBy::Data)));
    assert_eq!(owners("opt/a/data/y"), [(name("a"), MadeBy::Hook)]);
    assert_eq!(owners("opt/a-x/data"), [(name("a-x"), MadeBy::Data)]);
    assert_eq!(owners("opt/a-x"), [(name("a-x"), MadeBy::Data)], "the folder itself");
    assert_eq!(owners("srv/a"), [(name("a"), MadeBy::Data)], "what lies elsewhere is found too");
    assert_eq!(owners("srv"), [(name("top"), MadeBy::Data)]);
    for none in
        ["usr/share", "usr/share/apps/x", "usr/bin/B", "usr/bin/b ", "usr/bin/%", "", "opt/a", "opt", "opt/a/data"]
    {
        assert_eq!(owners(none), [], "{none:?} is nobody's");
    }
}

fn answers_are_sorted(format: &dyn StorageFormat, file: &Path) {
    let mut storage = write(format, file);
    let mut first = rows(1);
    let files = ["opt/x/a.c", "opt/x/a/b", "opt/x/a", "opt/x/B"].map(data);
    first.installed = vec![row(installed("x"), &files), row(installed("A"), &[]), row(installed("0"), &[])];
    must("finish", storage.finish(&first));
    assert_eq!(names(&*storage), ["0", "A", "x"]);
    let paths: Vec<_> = must("files", storage.files(&name("x"))).into_iter().map(|file| file.path).collect();
    assert_eq!(
        paths,
        ["opt/x/B", "opt/x/a", "opt/x/a/b", "opt/x/a.c"].map(path),
        "by path, a folder before its content"
    );

    for number in 2..6 {
        must("finish", storage.finish(&rows(number)));
    }
    let history: Vec<_> = must("history", storage.history(3)).into_iter().map(|row| row.id).collect();
    assert_eq!(history, [5, 4, 3].map(|number| rows(number).transaction.id), "the newest first, at most so many");
    assert_eq!(must("history", storage.history(0)), []);
    assert_eq!(must("history", storage.history(usize::MAX)).len(), 5);
}

fn approvals_are_kept_by_name_and_family(format: &dyn StorageFormat, file: &Path) {
    let approval = |family: &Family, folder: &str| Approval {
        name: name("nginx"),
        family: family.clone(),
        grant: Grant { write: vec![path(folder)], ..Grant::default() },
    };
    let (one, other) = (family("one"), family("two"));
    let mut storage = write(format, file);
    let mut first = rows(1);
    first.installed = vec![row(installed("nginx"), &[])];
    first.approved = vec![approval(&one, "etc/nginx"), approval(&other, "etc/other")];
    must("finish", storage.finish(&first));
    let mut second = rows(2);
    second.approved = vec![approval(&one, "etc/ssl")];
    must("finish", storage.finish(&second));
    let mut third = rows(3);
    third.gone = vec![name("nginx")];
    must("finish", storage.finish(&third));
    let found = |family: &Family| must("approvals", read(format, file).approvals(&name("nginx"), family));
    assert_eq!(found(&one), [approval(&one, "etc/ssl")], "the later takes the place of the earlier, and stays");
    assert_eq!(found(&other), [approval(&other, "etc/other")]);
    assert_eq!(found(&Family::none()), []);
    let all = || must("all approvals", read(format, file).all_approvals());
    assert_eq!(all(), [approval(&one, "etc/ssl"), approval(&other, "etc/other")], "all, by name and family");

    let mut fourth = rows(4);
    fourth.approved = vec![Approval { grant: Grant::default(), ..approval(&one, "") }];
    must("finish", storage.finish(&fourth));
    assert_eq!(found(&one), [], "an empty grant withdraws");
    assert_eq!(found(&other), [approval(&other, "etc/other")]);
    assert_eq!(all(), [approval(&other, "etc/other")]);
}

fn a_refused_transaction_leaves_nothing(format: &dyn StorageFormat, file: &Path) {
    let mut storage = write(format, file);
    let mut first = rows(1);
    first.installed = vec![row(installed("a"), &[data("opt/a/data/x")])];
    must("finish", storage.finish(&first));
    let mut second = rows(2);
    second.gone = vec![name("a")];
    second.approved = vec![Approval {
        name: name("b"),
        family: Family::none(),
        grant: Grant { read: vec![path("etc")], ..Grant::default() },
    }];
    second.installed = vec![row(installed("c"), &[]), row(installed("b"), &[data("opt/b/x"), data("opt/b/x")])];
    assert!(storage.finish(&second).is_err(), "a path stands once in a package");
    for storage in [storage, read(format, file)] {
        assert_eq!(names(&*storage), ["a"], "what was refused is not found in part");
        assert_eq!(must("files", storage.files(&name("a"))).len(), 1);
        assert_eq!(must("approvals", storage.approvals(&name("b"), &Family::none())), []);
        assert_eq!(must("history", storage.history(9)).len(), 1);
        assert!(!must("recorded", storage.recorded(&second.transaction.id)), "what was refused is not recorded");
    }
    let mut again = second;
    again.installed.truncate(1);
    must("the same transaction, mended", write(format, file).finish(&again));
    assert_eq!(names(&*read(format, file)), ["c"]);
}

fn readers_see_what_writers_finished(format: &dyn StorageFormat, file: &Path) {
    let mut writer = write(format, file);
    let reader = read(format, file);
    assert_eq!(names(&*reader), Vec::<String>::new());
    for number in 1..4 {
        let mut rows: Rows = rows(number);
        rows.installed = vec![row(installed(&format!("p{number}")), &[])];
        must("finish", writer.finish(&rows));
        assert_eq!(names(&*reader).len() as u64, number, "an open reader sees what has been finished");
    }
}

fn what_is_recorded_is_said(format: &dyn StorageFormat, file: &Path) {
    let mut writer = write(format, file);
    let reader = read(format, file);
    for number in 1..4 {
        for storage in [&writer, &reader] {
            assert!(!must("recorded", storage.recorded(&id(number))), "not before it is finished");
        }
        must("finish", writer.finish(&rows(number)));
        for storage in [&writer, &reader, &read(format, file), &write(format, file)] {
            assert!(must("recorded", storage.recorded(&id(number))), "from then on, for every open of the file");
            assert!(must("recorded", storage.recorded(&id(1))), "an older one too");
            assert!(!must("recorded", storage.recorded(&id(number + 1))));
        }
    }
}

fn the_history_keeps_every_word(format: &dyn StorageFormat, file: &Path) {
    let mut storage = write(format, file);
    let mut third = rows(3);
    third.transaction.origins.clear();
    third.transaction.undoes = Some(id(77));
    for rows in [rows(1), rows(2), third.clone()] {
        must("finish", storage.finish(&rows));
    }
    let expected = [third.transaction, rows(2).transaction, rows(1).transaction];
    assert_eq!(expected[1].undoes, Some(expected[2].id.clone()));
    for storage in [storage, read(format, file)] {
        let history = must("history", storage.history(9));
        assert_eq!(history, expected, "origins in their order, what is undone even where nothing is known of it");
    }
}

fn a_copy_is_a_record_of_its_own(format: &dyn StorageFormat, file: &Path, copy: &Path) {
    let mut storage = write(format, file);
    let mut first = rows(1);
    first.installed = vec![row(installed("a"), &[data("opt/a/data/x")])];
    must("finish", storage.finish(&first));
    must("copying", storage.copy_to(copy));
    let mut second = rows(2);
    second.gone = vec![name("a")];
    must("finish", storage.finish(&second));
    let copied = read(format, copy);
    assert_eq!(names(&*copied), ["a"], "a copy does not follow its record");
    assert_eq!(must("files", copied.files(&name("a"))), [data("opt/a/data/x")]);
    assert_eq!(must("history", copied.history(9)), [first.transaction]);

    let mut third = rows(3);
    third.installed = vec![row(installed("b"), &[])];
    must("finishing in the copy", write(format, copy).finish(&third));
    assert_eq!(names(&*storage), Vec::<String>::new(), "a record does not follow its copy");
    must("copying over a copy", read(format, file).copy_to(copy));
    assert_eq!(names(&*read(format, copy)), Vec::<String>::new(), "a copy takes the place of an older one");
    assert!(!must("recorded", read(format, copy).recorded(&third.transaction.id)));
    must("finishing once more", storage.finish(&rows(4)));
    drop(must("preparing a copy", storage.prepare_copy(copy)));
    assert_eq!(must("history", read(format, copy).history(9)).len(), 2, "what is not kept takes nobody's place");
    let prepared = must("preparing a copy", storage.prepare_copy(copy));
    assert_eq!(must("history", read(format, copy).history(9)).len(), 2, "until it is kept the old one stands there");
    must("finishing meanwhile", storage.finish(&rows(5)));
    must("keeping a copy", prepared.keep());
    assert_eq!(must("history", read(format, copy).history(9)).len(), 3, "it is as it was when it was made");
    must_fail("copying a record over itself", storage.copy_to(file));
    assert_eq!(must("history", storage.history(9)).len(), 4);
}
