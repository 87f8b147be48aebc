//! Sizes and doors.

use std::collections::BTreeSet;

use super::{own_files, sources, text_of};

const CODE: [&str; 5] = ["plugin-api", "hook-runtime", "plugins", "host", "tests"];

#[test]
fn no_file_is_over_800_lines() {
    for (path, text) in sources(&CODE) {
        let lines = text.lines().count();
        assert!(lines <= 800, "{} has {lines} lines", path.display());
    }
}

#[test]
fn the_top_holds_only_what_belongs_there() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "clippy.toml",
        "rustfmt.toml",
        "deny.toml",
    ];
    let folders = ["plugin-api", "hook-runtime", "plugins", "host", "tests", ".ci"];
    for path in own_files() {
        let top = path.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        let is_file = path.components().count() == 1;
        assert!(
            if is_file { allowed.contains(&top.as_str()) } else { folders.contains(&top.as_str()) },
            "{top} at the top"
        );
    }
}

#[test]
fn no_binaries_but_the_guest() {
    for path in own_files() {
        let bytes = std::fs::read(packets_tests::workspace().join(&path)).unwrap();
        let is_text = std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains('\0'));
        assert!(is_text || path.ends_with("hook-runtime/guest/guest.wasm"), "{} is no text", path.display());
    }
}

/// Where `std::fs` is used outside of tests, each a door before the first handle.
const DOORS: [&str; 3] = ["host/src/given.rs", "host/src/target.rs", "plugins/file/src/lib.rs"];
/// What tests inside those folders say.
const IN_A_TEST: [&str; 3] = ["cfg_attr(test", "reason = \"a test ", "reason = \"tests "];

#[test]
fn the_doors_to_the_disk_are_these() {
    let mut found = BTreeSet::new();
    for (path, text) in sources(&["host/src", "hook-runtime/src", "hook-runtime/wire", "plugin-api/src", "plugins"]) {
        let path = path.to_str().unwrap().to_owned();
        if path.contains("/tests/") || path.contains("/benches/") || path.ends_with("tests.rs") {
            continue;
        }
        let is_door = |line: &str| {
            line.contains("clippy::disallowed_methods") && !IN_A_TEST.iter().any(|part| line.contains(part))
        };
        if text.lines().any(is_door) {
            found.insert(path);
        }
    }
    assert_eq!(found, DOORS.map(str::to_owned).into());
}

/// Where `unsafe` stands: each block has its argument beside it.
const UNSAFE: [&str; 12] = [
    "hook-runtime/src/precompiled.rs",
    "hook-runtime/guest/src/exports.rs",
    "hook-runtime/guest/src/door.rs",
    "host/src/plugin/worker/load.rs",
    "host/src/plugin/worker/slots.rs",
    "plugin-api/benches/abi.rs",
    "plugin-api/src/native/abi.rs",
    "plugin-api/src/native/export.rs",
    "plugin-api/src/native/foreign.rs",
    "plugin-api/src/native/tests.rs",
    "plugins/lan/src/serve/connections/queue.rs",
    "plugins/sqlite/tests/faults/vfs.rs",
];

#[test]
fn unsafe_stands_only_where_it_must() {
    for (path, text) in sources(&CODE) {
        let path = path.to_str().unwrap();
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let marks = [
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe extern",
            "unsafe(",
            "allow(unsafe_code",
            "expect(unsafe_code",
        ];
        let count = code.filter(|line| marks.iter().any(|mark| line.contains(mark) && !line.contains('"'))).count();
        assert!(count == 0 || UNSAFE.contains(&path), "{path} is unsafe");
        if count > 0 {
            assert!(text.contains("SAFETY:") || text.contains("# Safety"), "{path} has no argument");
        }
    }
}

#[test]
fn libraries_do_not_print() {
    for (path, text) in sources(&["plugin-api/src", "hook-runtime/src", "plugins", "host/src"]) {
        let inside = path.to_str().unwrap();
        if inside.contains("/tests/") || inside.contains("/benches/") {
            continue;
        }
        for word in ["println!(", "eprintln!(", "dbg!("] {
            assert!(!text.contains(word), "{inside} prints");
        }
    }
}

#[test]
fn the_guest_is_the_one_of_the_lock() {
    let lock = text_of("hook-runtime/guest/guest.lock".as_ref());
    let wasm = std::fs::read(packets_tests::workspace().join("hook-runtime/guest/guest.wasm")).unwrap();
    assert!(lock.contains(&packets_tests::hash(&wasm)), "guest.wasm is not the one of guest.lock");
}
