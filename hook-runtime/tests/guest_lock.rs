//! The committed guest is the one that its sources give.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking, and read sources")]

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

/// As `sources_hash` of build.sh: over the lines "SHA-256, two spaces, path below
/// hook-runtime", ordered by path.
fn sources_hash() -> String {
    let mut files = vec![here().join("guest/Cargo.toml"), here().join("guest/Cargo.lock")];
    files_below(&here().join("guest/src"), &mut files);
    files_below(&here().join("wire/src"), &mut files);
    let mut lines: Vec<(String, String)> = files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(here()).unwrap().to_str().unwrap().to_owned();
            (name, sha256(&fs::read(file).unwrap()))
        })
        .collect();
    lines.sort();
    sha256(lines.iter().map(|(name, hash)| format!("{hash}  {name}\n")).collect::<String>().as_bytes())
}

fn lock() -> toml::Table {
    fs::read_to_string(here().join("guest/guest.lock")).unwrap().parse().unwrap()
}

#[test]
fn guest_was_built_from_these_sources() {
    assert_eq!(
        lock()["sources"].as_str().unwrap(),
        sources_hash(),
        "the guest's sources have changed: build it again with hook-runtime/guest/build.sh"
    );
}

#[test]
fn guest_is_the_one_that_was_built() {
    let guest = fs::read(here().join("guest/guest.wasm")).unwrap();
    assert_eq!(lock()["wasm"].as_str().unwrap(), sha256(&guest), "guest.wasm is not what build.sh wrote");
    assert!(guest.len() < 700 << 10, "the guest has grown to {} bytes", guest.len());
}

#[test]
fn lock_names_the_toolchain() {
    for tool in ["rustc", "clang", "wasi-libc"] {
        assert!(!lock()[tool].as_str().unwrap().is_empty(), "{tool}");
    }
}
