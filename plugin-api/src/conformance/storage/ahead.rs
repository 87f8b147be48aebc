//! What is written before it is known, and recorded when it has happened.

use std::path::Path;
use std::sync::Arc;

use super::sample::{data, folder, hook_link, installed, must, must_fail, name, path, row, rows};
use super::{names, read, write};
use crate::ident::PackageName;
use crate::storage::{InstalledPackage, InstalledRow, MadeBy, Rows, Storage, StorageError, StorageFormat};

pub(super) fn what_does_not_happen_is_not_recorded(format: &dyn StorageFormat, file: &Path) {
    let mut writer = write(format, file);
    let reader = must("reading it", writer.reader());
    let many: Vec<_> = (0..5000).map(|at| data(&format!("opt/a/data/a-file-of-many-{at}"))).collect();
    let mut first = rows(1);
    first.installed = vec![row(installed("a"), &many)];
    let nobody_sees_it = || {
        assert_eq!(names(&*reader), Vec::<String>::new(), "nobody sees what is not sure to happen");
        assert!(!must("recorded", reader.recorded(&first.transaction.id)));
    };
    let mut asked = 0;
    let mut answer = |does: bool| {
        must(
            "finishing",
            writer.finish_when(&first.installed, &mut || Some(Arc::new(first.clone())), &mut || {
                asked += 1;
                nobody_sees_it();
                does
            }),
        )
    };
    assert!(!answer(false), "what does not happen is not said to be recorded");
    nobody_sees_it();
    assert!(answer(true));
    assert_eq!(asked, 2, "it is asked once each time");
    for storage in [&reader, &read(format, file)] {
        assert_eq!(names(&**storage), ["a"], "from then on everybody sees it");
        assert_eq!(must("files", storage.files(&name("a"))).len(), many.len());
    }
    let mut again = || Some(Arc::new(first.clone()));
    assert!(must("again", writer.finish_when(&[], &mut again, &mut || false)), "what is recorded stays so");
    assert_eq!(must("history", reader.history(9)).len(), 1);
    let mut second = || Some(Arc::new(rows(2)));
    must_fail("finishing for reading", read(format, file).finish_when(&[], &mut second, &mut || true));
}

/// The record of two packages, of which one gets a new release whose hook makes a link; and what can be thought before.
pub(super) fn what_was_likely_counts_for_nothing(format: &dyn StorageFormat, file: &Path) {
    let mut first = rows(1);
    let old = [folder("opt/a"), data("opt/a/one"), data("opt/a/two")];
    first.installed = vec![row(installed("a"), &old), row(installed("b"), &[data("opt/b/one")])];
    let new = [folder("opt/a"), data("opt/a/one"), data("opt/a/zwei"), hook_link("usr/bin/a", "../../opt/a")];
    let mut release = installed("a");
    release.version = must("parsing", "7".parse());
    let mut second = rows(2);
    second.installed = vec![row(release.clone(), &new), row(installed("c"), &[data("opt/c/one")])];
    let second = Arc::new(second);

    let mut held = release.clone();
    held.held = false;
    let mut displaced = new[..3].to_vec();
    displaced[1].displaced = Some(path("var/lib/packets/old/1"));
    let guesses = [
        ("nothing", Vec::new()),
        ("all of it", second.installed.clone()),
        ("without the link", vec![row(release.clone(), &new[..3])]),
        ("without paths", vec![row(release.clone(), &[])]),
        ("too many paths", vec![row(release.clone(), &[&new[..], &[data("usr/bin/b")]].concat())]),
        ("other paths", vec![row(release.clone(), &old)]),
        ("of one path something else", vec![row(release.clone(), &displaced)]),
        ("in another order", vec![row(release.clone(), &[new[2].clone(), new[0].clone(), new[1].clone()])]),
        ("another package", vec![row(held, &new[..3])]),
        ("one that stays as it is", vec![row(release.clone(), &new[..3]), row(installed("b"), &[])]),
        ("one that is never installed", vec![row(installed("d"), &[data("opt/d/one")])]),
    ];
    let expected = all_of(&*recorded(format, &file.with_extension("finish"), &first, |writer| writer.finish(&second)));
    for (number, (what, likely)) in guesses.iter().enumerate() {
        let file = file.with_extension(number.to_string());
        let storage = recorded(format, &file, &first, |writer| {
            let before = all_of(writer);
            let mut told = 0;
            assert!(!writer.finish_when(likely, &mut || None, &mut || panic!("there is nothing that could happen"))?);
            let mut second_rows = || {
                told += 1;
                Some(second.clone())
            };
            assert!(!writer.finish_when(likely, &mut second_rows, &mut || false)?);
            assert_eq!(all_of(writer), before, "{what} was likely, and nothing happened");
            assert!(writer.finish_when(likely, &mut second_rows, &mut || true)?);
            assert_eq!(told, 2, "rows are asked for once");
            Ok(())
        });
        assert_eq!(all_of(&*storage), expected, "{what} was likely");
    }
}

/// A record in which this is recorded, and then what `next` does; opened anew.
fn recorded(
    format: &dyn StorageFormat,
    file: &Path,
    first: &Rows,
    next: impl FnOnce(&mut dyn Storage) -> Result<(), StorageError>,
) -> Box<dyn Storage> {
    let mut writer = write(format, file);
    must("finish", writer.finish(first));
    must("finishing", next(&mut *writer));
    read(format, file)
}

/// Everything that is on record of packages, and how many transactions were.
fn all_of(storage: &dyn Storage) -> (Vec<InstalledRow>, Vec<(PackageName, MadeBy)>, usize) {
    let of_package = |package: InstalledPackage| {
        let files = must("files", storage.files(&package.name));
        InstalledRow { package, files }
    };
    let rows = must("installed", storage.installed()).into_iter().map(of_package).collect();
    let owners = ["opt/a/one", "opt/a/two", "opt/a/zwei", "usr/bin/a", "usr/bin/b", "opt/b/one", "opt/d/one"];
    let owners = owners.iter().flat_map(|owned| must("owners", storage.owners(&path(owned)))).collect();
    (rows, owners, must("history", storage.history(9)).len())
}
