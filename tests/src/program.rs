//! Where the program and the fixtures are.

use std::path::{Path, PathBuf};

/// The program that is tested. Cargo builds it before any test of this crate, beside
/// the folder `deps` that the tests themselves run from. `PACKETS_PROGRAM` names
/// another one, e.g. an installed `packets`.
pub fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("PACKETS_PROGRAM") {
        return PathBuf::from(program);
    }
    beside_program("packets-under-test")
}

/// A program of this crate.
pub(crate) fn beside_program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).expect("tests run from target/PROFILE/deps");
    let program = folder.join(name);
    assert!(program.exists(), "{} is missing; run the tests with `cargo test`", program.display());
    program
}

/// The top of the workspace. `PACKETS_WORKSPACE` names another one, for tests that were
/// built in one place and run from a copy.
pub fn workspace() -> PathBuf {
    match std::env::var_os("PACKETS_WORKSPACE") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in a workspace").to_owned(),
    }
}

/// A path in tests/fixtures.
pub fn fixtures(path: &str) -> PathBuf {
    workspace().join("tests/fixtures").join(path)
}
