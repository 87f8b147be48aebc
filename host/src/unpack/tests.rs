//! Unpacking, from bytes that the tests of the archive reader build.

#![expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]

use std::os::unix::fs::PermissionsExt;

use packets_plugin_api::storage::FileKind;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::archive::tests::builder::{MANIFEST, Tar};
use crate::archive::tests::{Site, expected, good, walk};
use crate::error::ErrorKind;

fn unpack_as(site: &Site, tar: &Tar, expected: &Expected) -> Result<Staged> {
    let package = tar.package();
    into(&Folder::open_ambient(&site.staging()).unwrap(), &package[..], package.len() as u64, expected)
}

#[track_caller]
fn refused(manifest: &str, expected: &Expected, part: &str) {
    let site = Site::new();
    let error =
        unpack_as(&site, &Tar::new().file("manifest.toml", manifest).file("data/x", "y"), expected).unwrap_err();
    assert!(error.to_string().contains(part), "{error}");
    assert_eq!(std::fs::read_dir(site.staging()).unwrap().count(), 0, "{error}");
}

#[test]
fn everything_is_on_disk_and_on_record() {
    let site = Site::new();
    let tar = good().file("data/bin/x", "abc").symlink("data/l", "bin/x").file("data/empty", "");
    let staged = unpack_as(&site, &tar, &expected()).unwrap();
    let at = site.staging().join("a");
    assert_eq!(std::fs::read(at.join("data/bin/x")).unwrap(), b"abc");
    assert_eq!(staged.manifest().info.name.as_str(), "a");
    assert_eq!(staged.size(), 3 + MANIFEST.len() as u64);
    for record in staged.files() {
        let path = at.join(record.path.as_str());
        match &record.kind {
            FileKind::File { mode, size, sha256 } => {
                let bytes = std::fs::read(&path).unwrap();
                assert_eq!(sha256.as_bytes(), &<[u8; 32]>::from(Sha256::digest(&bytes)), "{}", record.path);
                assert_eq!(
                    (bytes.len() as u64, path.metadata().unwrap().permissions().mode() & 0o7777),
                    (*size, *mode)
                );
            }
            FileKind::Symlink { asked, stored } => {
                assert_eq!(asked, stored);
                assert_eq!(std::fs::read_link(&path).unwrap().to_str(), Some(stored.as_str()));
            }
            FileKind::Folder { mode } => assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, *mode),
        }
    }
    assert_eq!(staged.files().len(), walk(&at).len() - 1);
}

#[test]
fn the_folder_data_is_always_there() {
    let site = Site::new();
    let staged = unpack_as(&site, &Tar::new().file("manifest.toml", MANIFEST), &expected()).unwrap();
    assert!(site.staging().join("a/data").is_dir());
    assert_eq!(staged.files().last().unwrap().path.as_str(), "data");
}

#[test]
fn m08_m10_m11_the_manifest_is_the_expected_one() {
    let info =
        |name: &str, version: &str, rest: &str| format!("[Info]\nname = \"{name}\"\nversion = \"{version}\"\n{rest}");
    refused(&info("b", "1", ""), &expected(), "manifest says name b, expected was a");
    refused(&info("A", "1", ""), &expected(), "name A");
    refused(&info("a", "0.9", ""), &expected(), "manifest says version 0.9, expected was 1");
    refused(&info("a", "1", "dependencies = [\"evil\"]"), &expected(), "dependencies [evil], expected was []");
    let requires = |list: &[&str]| Expected {
        requires: Some(list.iter().map(|one| one.parse().unwrap()).collect()),
        ..expected()
    };
    refused(&info("a", "1", ""), &requires(&["b"]), "dependencies [], expected was [b]");
    refused(&info("a", "1", "dependencies = [\"b>=1\"]"), &requires(&["b>=2"]), "[b>=1]");
    let site = Site::new();
    let twice = Tar::new().file("manifest.toml", info("a", "1", "dependencies = [\"c | d\", \"b >= 1\", \"b>=1\"]"));
    assert!(unpack_as(&site, &twice, &requires(&["b>=1", "c|d"])).is_ok(), "M08 compares sets");
    let site = Site::new();
    let unknown = Expected { requires: None, ..expected() };
    assert!(
        unpack_as(&site, &Tar::new().file("manifest.toml", info("a", "1", "dependencies = [\"b\"]")), &unknown).is_ok()
    );
}

#[test]
fn packages_for_other_machines() {
    let arch = |arch: &str| format!("[Info]\nname = \"a\"\nversion = \"1\"\narch = \"{arch}\"\n");
    refused(&arch("pdp11"), &expected(), "it is made for pdp11");
    let site = Site::new();
    assert!(unpack_as(&site, &Tar::new().file("manifest.toml", arch(ARCH)), &expected()).is_ok());
}

#[test]
fn a34_what_stands_in_staging_is_never_taken_over() {
    let site = Site::new();
    std::fs::create_dir(site.staging().join("a")).unwrap();
    std::fs::write(site.staging().join("a/keep"), "").unwrap();
    let error = unpack_as(&site, &good(), &expected()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(site.staging().join("a/keep").exists());
}

#[test]
fn hooks_are_read_from_the_staged_tree() {
    let hooked = [MANIFEST, b"[Hooks]\ninstall = \"s/in.lua\"\n"].concat();
    let site = Site::new();
    let staged =
        unpack_as(&site, &Tar::new().file("manifest.toml", hooked).file("s/in.lua", "print(1)"), &expected()).unwrap();
    let name = staged.manifest().hooks.install.clone().unwrap();
    assert_eq!(staged.hook(&name).unwrap().text, b"print(1)");
    assert!(staged.hook(&"none".parse().unwrap()).is_err());
}

#[test]
fn a35_only_handles_are_changed() {
    // A folder that is swapped for a link while a package is unpacked leads nowhere: the writer holds handles.
    let site = Site::new();
    let staging = Folder::open_ambient(&site.staging()).unwrap();
    staging.make("a", 0o755).unwrap();
    let mut writer = Writer::new(staging.open("a").unwrap()).unwrap();
    let path = |text: &str| -> RelPath { text.parse().unwrap() };
    use crate::archive::Sink;
    writer.folder(&path("data"), 0o755).unwrap();
    std::fs::remove_dir(site.staging().join("a/data")).unwrap();
    std::os::unix::fs::symlink("../../outside", site.staging().join("a/data")).unwrap();
    assert!(writer.file(&path("data/x"), 0o644, 0).is_err());
    assert!(writer.folder_mode(&path("data"), 0o700).is_err());
    assert!(writer.folder(&path("data/x"), 0o755).is_err());
    site.outside_is_untouched();
}

#[test]
fn modes_hold_under_any_umask() {
    // The umask belongs to the process, so this runs in one of its own.
    let name = "unpack::tests::modes_hold_under_any_umask";
    if std::env::var_os("PACKETS_TEST_UMASK").is_none() {
        let program = std::env::current_exe().unwrap();
        let output = std::process::Command::new(program)
            .args(["--exact", name])
            .env("PACKETS_TEST_UMASK", "1")
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
        return;
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let site = Site::new();
    let tar = Tar::new().file("manifest.toml", MANIFEST).file("data/d/x", "");
    let staged = unpack_as(&site, &tar, &expected()).unwrap();
    for record in staged.files() {
        let mode = std::fs::metadata(site.staging().join("a").join(record.path.as_str())).unwrap().permissions().mode()
            & 0o7777;
        let (FileKind::File { mode: recorded, .. } | FileKind::Folder { mode: recorded }) = record.kind else {
            panic!()
        };
        assert_eq!(mode, recorded, "C31 {}", record.path);
    }
    let mode = std::fs::metadata(site.staging().join("a")).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o755);
}

#[test]
fn large_files_come_whole_by_several_threads() {
    // Their pieces are written in any order, and hard links when all files are there.
    let large: Vec<u8> = (0..20_000_000_u32).map(|number| (number / 7) as u8).collect();
    let mut tar = good().file("data/large", &large);
    for number in 0..300 {
        tar = tar.file(format!("data/{number}"), vec![number as u8; number * 10]);
    }
    let package = tar.hard_link("data/again", "data/large").package();
    let mut found = Vec::new();
    for threads in [1, 2, 9] {
        let site = Site::new();
        let staging = Folder::open_ambient(&site.staging()).unwrap();
        let staged = with_threads(threads, &staging, &package[..], package.len() as u64, &expected()).unwrap();
        let at = site.staging().join("a/data");
        assert!(std::fs::read(at.join("again")).unwrap() == large, "{threads}");
        for number in 0..300 {
            assert_eq!(std::fs::read(at.join(number.to_string())).unwrap(), vec![number as u8; number * 10]);
        }
        found.push((staged.files().to_vec(), walk(&site.staging())));
    }
    assert!(found.iter().all(|one| *one == found[0]));
}

#[test]
fn c12_a_writer_that_fails_fails_the_package() {
    // A file stands where one is to be made: only the writing thread can see that.
    let site = Site::new();
    let staging = Folder::open_ambient(&site.staging()).unwrap();
    staging.make("a", 0o755).unwrap();
    let root = staging.open("a").unwrap();
    root.make("data", 0o755).unwrap();
    root.open("data").unwrap().create("x", 0o644).unwrap();
    let writer = Writer::new(root).unwrap();
    let result = std::thread::scope(|scope| {
        use crate::archive::Sink;
        let mut behind = Behind::new(writer, 2, scope).unwrap();
        let path: RelPath = "data/x".parse().unwrap();
        behind.file(&path, 0o644, 3)?;
        behind.content(b"abc")?;
        behind.file_done()?;
        behind.finish().map(|_| ())
    });
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Storage, "cannot unpack data/x"));
}

#[test]
fn c12_a_piece_that_cannot_be_written_names_its_file() {
    // The only file that cannot be written to without a limit of the whole process: one that is open for reading.
    let site = Site::new();
    std::fs::write(site.staging().join("x"), "").unwrap();
    let file = std::fs::File::open(site.staging().join("x")).unwrap();
    let error = behind::piece(&"data/large".parse().unwrap(), &file, 0, b"abc").unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Storage, "cannot unpack data/large"));
}
