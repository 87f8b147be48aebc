//! Writes Debian's archive, from the lists of apt on this machine, into the folder that it is given: as an index of
//! ours (`index.db`), as apt reads it (`repository/Packages`), and the names of 500 packages that go together (`goals`).
//! Exits with 1 where apt has no lists.
#![expect(clippy::disallowed_methods, reason = "who calls it names the folder")]
#![expect(clippy::unwrap_used, reason = "it lays out its own folder")]

use std::path::PathBuf;
use std::process::ExitCode;

#[path = "../../solver/debian.rs"]
mod debian;
#[cfg_attr(not(test), expect(dead_code, reason = "the tests use all of it"))]
#[path = "../../solver/model.rs"]
mod model;

const GOALS: usize = 500;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else { return ExitCode::from(2) };
    let (Some(archive), Some(list)) = (debian::archive(), debian::list()) else { return ExitCode::FAILURE };
    std::fs::create_dir_all(folder.join("repository")).unwrap();
    std::fs::copy(&archive.file, folder.join("index.db")).unwrap();
    std::fs::write(folder.join("repository/Packages"), list).unwrap();
    let goals = model::Model::new(&archive.entries).sample(GOALS, 1);
    std::fs::write(folder.join("goals"), goals.join("\n") + "\n").unwrap();
    ExitCode::SUCCESS
}
