//! Packing, read back by the reader.

#![expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::archive::tests::builder::MANIFEST;
use crate::archive::tests::{Site, listing, walk};
use crate::error::ErrorKind;

const HOOKED: &str =
    "[Info]\nname = \"a\"\nversion = \"1\"\n[Hooks]\ninstall = \"scripts/in.lua\"\nremove = \"scripts/out.lua\"\n";

fn write(at: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = at.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn folder() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "manifest.toml", MANIFEST);
    home
}

fn pack_folder(at: &Path) -> Result<(Vec<u8>, PackSummary)> {
    let mut out = Vec::new();
    let summary = pack(&Folder::open_ambient(at).unwrap(), &mut out)?;
    assert_eq!(summary.compressed, out.len() as u64);
    Ok((out, summary))
}

#[track_caller]
fn refused(at: &Path, part: &str) {
    let error = pack_folder(at).unwrap_err();
    assert!(error.to_string().contains(part), "{error}");
    assert!(matches!(error.kind(), ErrorKind::Request | ErrorKind::Integrity), "{error}");
}

#[test]
fn a_package_in_order() {
    let home = tempfile::tempdir().unwrap();
    let at = home.path();
    write(at, "manifest.toml", HOOKED);
    write(at, "scripts/out.lua", "out");
    write(at, "scripts/in.lua", "in");
    write(at, "scripts/notes.txt", "");
    write(at, "README", "");
    write(at, "data/b.c", "");
    write(at, "data/b/x", vec![1; 512]);
    write(at, "data/a", vec![2; 513]);
    write(at, &format!("data/{}/y", "n".repeat(200)), "");
    symlink("/etc/shadow", at.join("data/l")).unwrap();
    symlink("t".repeat(300), at.join("data/z")).unwrap();
    std::fs::set_permissions(at.join("data/a"), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::set_permissions(at.join("data/b"), PermissionsExt::from_mode(0o777)).unwrap();
    let (bytes, summary) = pack_folder(at).unwrap();
    assert_eq!(summary.warnings, ["README is not packed"]);
    let (lines, read) = listing(&bytes).unwrap();
    let size = HOOKED.len();
    let (name, target) = ("n".repeat(200), "t".repeat(300));
    let wanted = [
        format!("f manifest.toml 644 {size}"),
        "d scripts 755".into(),
        "f scripts/in.lua 644 2".into(),
        "f scripts/out.lua 644 3".into(),
        "d data 755".into(),
        "f data/a 755 513".into(),
        "d data/b 755".into(),
        "f data/b/x 644 512".into(),
        "f data/b.c 644 0".into(),
        "l data/l /etc/shadow".into(),
        format!("d data/{name} 755"),
        format!("f data/{name}/y 644 0"),
        format!("l data/z {target}"),
    ];
    assert_eq!(lines.lines, wanted);
    assert_eq!((summary.entries, summary.files, summary.size), (13, read.files, read.size));
    assert_eq!(summary.manifest, read.manifest);
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let make = |order: &[&str]| {
        let home = folder();
        for name in order {
            write(home.path(), &format!("data/{name}"), name);
        }
        home
    };
    let (one, other) = (make(&["a", "b", "c/d"]), make(&["c/d", "b", "a"]));
    let past = std::time::SystemTime::UNIX_EPOCH;
    std::fs::File::open(other.path().join("data/a")).unwrap().set_modified(past).unwrap();
    std::fs::set_permissions(other.path().join("data/b"), PermissionsExt::from_mode(0o600)).unwrap();
    let bytes = pack_folder(one.path()).unwrap().0;
    assert_eq!(bytes, pack_folder(other.path()).unwrap().0);
    assert_eq!(bytes, pack_folder(one.path()).unwrap().0);
    write(other.path(), "data/a", "A");
    assert_ne!(bytes, pack_folder(other.path()).unwrap().0);
}

#[test]
fn a12_case_twins_are_packed_with_a_warning() {
    let home = folder();
    write(home.path(), "data/A", "");
    write(home.path(), "data/a", "");
    let (bytes, summary) = pack_folder(home.path()).unwrap();
    assert_eq!(summary.warnings, ["data/a differs from another name only by case"]);
    assert_eq!(listing(&bytes).unwrap().1.files, 3);
}

#[test]
fn one_frame_that_states_its_size_and_has_a_checksum() {
    let home = folder();
    let bytes = pack_folder(home.path()).unwrap().0;
    assert_eq!(bytes[4] & 0b0000_0111, 0b100, "a checksum, no dictionary");
    let size = zstd::zstd_safe::get_frame_content_size(&bytes).unwrap();
    assert_eq!(size, Some(zstd::decode_all(&bytes[..]).unwrap().len() as u64));
    for level in [1, 19] {
        let mut out = Vec::new();
        pack_at_level(&Folder::open_ambient(home.path()).unwrap(), &mut out, level).unwrap();
        assert!(listing(&out).is_ok(), "level {level}");
    }
    for level in [0, 20, -5] {
        assert!(pack_at_level(&Folder::open_ambient(home.path()).unwrap(), Vec::new(), level).is_err());
    }
}

#[test]
fn what_a_reader_would_refuse_is_not_packed() {
    let home = tempfile::tempdir().unwrap();
    refused(home.path(), "there is none in the folder");
    write(home.path(), "m", MANIFEST);
    symlink("m", home.path().join("manifest.toml")).unwrap();
    refused(home.path(), "not a regular file");

    let home = folder();
    write(home.path(), "data/x", "");
    std::fs::set_permissions(home.path().join("data/x"), PermissionsExt::from_mode(0o4755)).unwrap();
    refused(home.path(), "setuid");

    let home = folder();
    write(home.path(), "data/\u{1b}[2J", "");
    refused(home.path(), "control character");

    let home = folder();
    write(home.path(), "data/\u{e9}", "");
    write(home.path(), "data/e\u{301}", "");
    refused(home.path(), "cannot be told");

    let home = folder();
    let bad: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"bad\xff");
    std::fs::create_dir(home.path().join("data")).unwrap();
    std::fs::write(home.path().join("data").join(bad), "").unwrap();
    refused(home.path(), "not UTF-8");

    let home = folder();
    std::fs::create_dir(home.path().join("data")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        home.path().join("data/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    refused(home.path(), "device, FIFO or socket");

    let home = folder();
    write(home.path(), "data", "");
    refused(home.path(), "must be a folder");

    let home = folder();
    write(home.path(), &format!("data{}/x", "/d".repeat(128)), "");
    refused(home.path(), "too deep");
}

#[test]
fn hooks_must_be_files_that_are_there() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "manifest.toml", HOOKED);
    refused_or_storage(home.path());
    write(home.path(), "scripts/in.lua", "");
    refused(home.path(), "it is not there");
    symlink("in.lua", home.path().join("scripts/out.lua")).unwrap();
    refused(home.path(), "does not belong");
    std::fs::remove_file(home.path().join("scripts/out.lua")).unwrap();
    std::fs::create_dir(home.path().join("scripts/out.lua")).unwrap();
    refused(home.path(), "scripts/out.lua");
    std::fs::remove_dir_all(home.path().join("scripts")).unwrap();
    write(home.path(), "real/in.lua", "");
    write(home.path(), "real/out.lua", "");
    symlink("real", home.path().join("scripts")).unwrap();
    refused_or_storage(home.path());
}

fn refused_or_storage(at: &Path) {
    assert!(pack_folder(at).unwrap_err().to_string().contains("scripts/in.lua"));
}

#[test]
fn sizes_are_held_against_the_manifest() {
    let home = folder();
    write(home.path(), "data/zeros", vec![0; 8 << 20]);
    refused(home.path(), "1000 times");
    write(home.path(), "manifest.toml", [MANIFEST, b"installed_size = 8388640\n"].concat());
    let bytes = pack_folder(home.path()).unwrap().0;
    assert!(listing(&bytes).is_ok());
    write(home.path(), "manifest.toml", [MANIFEST, b"installed_size = 5\n"].concat());
    refused(home.path(), "that it states");
}

#[test]
fn a_file_that_changes_while_it_is_packed_is_an_error() {
    let home = folder();
    write(home.path(), "data/x", "12345");
    let source = Folder::open_ambient(home.path()).unwrap();
    let (manifest, _) = Manifest::parse(MANIFEST).unwrap();
    for content in ["123", "1234567"] {
        let items = Listing::of(&source, &manifest).unwrap();
        write(home.path(), "data/x", content);
        let mut cursor = Cursor::new(source.again().unwrap());
        let written: Result<()> = items.iter().try_for_each(|item| item.write(&mut cursor, &mut io::sink()));
        assert!(written.unwrap_err().to_string().contains("cannot pack data/x"));
        write(home.path(), "data/x", "12345");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// What is packed is what is read back and what is unpacked.
    #[test]
    fn packing_and_unpacking_are_inverse(
        entries in proptest::collection::vec(("[a-c\u{e9}]{1,3}(/[a-c]{1,60}){0,3}", 0u8..4, proptest::collection::vec(any::<u8>(), 0..1500)), 0..10),
    ) {
        let home = folder();
        for (path, kind, content) in &entries {
            let path = home.path().join("data").join(path);
            let _ = path.parent().map(std::fs::create_dir_all);
            match kind {
                0 => drop(std::fs::create_dir_all(&path)),
                1 => drop(symlink("../".repeat(40), &path)),
                _ if path.symlink_metadata().is_ok() => {}
                _ => if std::fs::write(&path, content).is_ok() {
                    std::fs::set_permissions(&path, PermissionsExt::from_mode(if *kind == 2 { 0o644 } else { 0o755 })).unwrap();
                },
            }
        }
        let _ = std::fs::create_dir(home.path().join("data"));
        let (bytes, summary) = pack_folder(home.path()).unwrap();
        let (lines, read) = listing(&bytes).unwrap();
        prop_assert_eq!(lines.lines.len() as u64, summary.entries);
        let site = Site::new();
        let staged = site.unpack(&bytes).unwrap();
        prop_assert_eq!(staged.files(), &read.records[..]);
        prop_assert_eq!(walk(&site.staging().join("a/data")), walk(&home.path().join("data")));
        let again = pack_folder(&site.staging().join("a")).unwrap().0;
        prop_assert_eq!(bytes, again, "the unpacked tree packs to the same bytes");
    }
}

#[test]
fn a60_levels_up_to_one_that_readers_must_support() {
    let home = folder();
    let at_level = |level| pack_at_level(&Folder::open_ambient(home.path()).unwrap(), std::io::sink(), level);
    for level in [1, MAX_COMPRESSION_LEVEL] {
        at_level(level).unwrap();
    }
    for level in [0, MAX_COMPRESSION_LEVEL + 1, i32::MIN, i32::MAX] {
        let error = at_level(level).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request);
        assert!(error.to_string().contains("no compression level from 1 to 19"), "{error}");
    }
}
