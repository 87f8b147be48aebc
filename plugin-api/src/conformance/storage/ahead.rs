//! What is written before it has happened, and recorded when it has.

use std::path::Path;

use super::sample::{data, installed, must, must_fail, name, row, rows};
use super::{names, read, write};
use crate::storage::StorageFormat;

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
            writer.finish_when(&first, &mut || {
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
    assert!(must("again", writer.finish_when(&first, &mut || false)), "what is recorded stays so");
    assert_eq!(must("history", reader.history(9)).len(), 1);
    must_fail("finishing for reading", read(format, file).finish_when(&rows(2), &mut || true));
}
