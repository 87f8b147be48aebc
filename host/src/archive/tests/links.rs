use std::os::unix::fs::MetadataExt;

use super::builder::{Head, Tar};
use super::{Site, accepted, good, refused};

#[test]
fn a16_link_then_a_file_of_the_same_name() {
    refused("A16", good().symlink("data/x", "../../../outside/secret").file("data/x", "new"), "comes twice");
    refused("A16", good().symlink("data/x", "/etc/passwd").file("data/x", "new"), "comes twice");
    refused("A16", good().file("data/x", "").symlink("data/x", "y"), "comes twice");
}

#[test]
fn a17_file_through_a_link_to_a_folder() {
    for target in ["../../../outside", "/tmp", "inner", "."] {
        let tar = good().folder("data/inner").symlink("data/x", target).file("data/x/moo", "");
        refused("A17", tar, "behind a symbolic link");
    }
}

#[test]
fn a18_a19_links_through_links() {
    let part = "behind a symbolic link";
    let a18 = good().symlink("data/cur", ".").symlink("data/par", "cur/..").file("data/par/moo", "");
    refused("A18", a18, part);
    refused("A19", good().symlink("data/cur", ".").symlink("data/cur/par", "..").file("data/par/moo", ""), part);
    refused("A19 last", good().symlink("data/cur", ".").file("data/cur/moo", ""), part);
}

#[test]
fn a20_no_folder_through_a_link() {
    let tar = good().symlink("data/symlink", "../../../outside").folder("data/symlink/exploit/foo/");
    refused("A20", tar, "behind a symbolic link");
    let tar = good().symlink("data/symlink", "../../../outside").file("data/symlink/exploit/foo/bar", "");
    refused("A20", tar, "behind a symbolic link");
}

#[test]
fn a21_link_then_a_folder_of_the_same_name() {
    let folder = || Head::new(b'5', b"data/x/", 0).mode(0o777);
    refused("A21", good().symlink("data/x", "../../../outside").entry(folder(), b""), "comes twice");
    refused("A21", good().entry(folder(), b"").symlink("data/x", "../../../outside"), "comes twice");
}

#[test]
fn a22_a23_a24_hard_links_to_what_is_not_in_the_package() {
    refused("A22", good().hard_link("data/x", "/etc/shadow").file("data/x", ""), "absolute");
    refused("A23", good().hard_link("data/x", "../outside/secret"), "'..'");
    refused("A23", good().hard_link("data/x", "data/../../../outside/secret"), "'..'");
    refused("A23", good().hard_link("data/x", "../../../outside/secret"), "'..'");
    let tar = good().symlink("data/s", "../../../outside").hard_link("data/x", "data/s/secret");
    refused("A24", tar, "no earlier file");
    refused(
        "A24",
        good().symlink("data/s", "../../../outside/secret").hard_link("data/x", "data/s"),
        "no earlier file",
    );
}

#[test]
fn a25_hard_links_to_nothing() {
    let part = "no earlier file";
    refused("A25 absent", good().hard_link("data/x", "data/y"), part);
    refused("A25 later", good().hard_link("data/x", "data/y").file("data/y", ""), part);
    refused("A25 itself", good().hard_link("data/x", "data/x"), part);
    refused("A25 a folder", good().folder("data/y").hard_link("data/x", "data/y"), part);
    refused("A25 no name", good().hard_link("data/x", ""), "has no name");
    refused("A25 twice", good().file("data/y", "").hard_link("data/y", "data/y"), "comes twice");
    let with_content = Head::new(b'1', b"data/x", 3).link(b"data/y");
    refused("A25 with content", good().file("data/y", "abc").entry(with_content, b"abc"), "no file");
}

#[test]
fn a26_hard_links_join_files_of_the_package_only() {
    let site = Site::new();
    let tar = good().file("data/y", "abc").hard_link("data/d/x", "./data/y").hard_link("./data/z", "data/d/x");
    let staged = site.unpack(&tar.package()).unwrap();
    let stat = std::fs::metadata(site.staging().join("a/data/z")).unwrap();
    assert_eq!((stat.nlink(), stat.len(), staged.size()), (3, 3, 3 + super::MANIFEST.len() as u64));
    let kinds: Vec<_> =
        staged.files().iter().filter(|file| !file.path.as_str().ends_with('d')).map(|file| &file.kind).collect();
    assert!(kinds[2] == kinds[3] && kinds[3] == kinds[4], "{kinds:?}");
    refused("A26 a hook", good().file("data/y", "").hard_link("x.lua", "data/y"), "outside data/");
    refused("A26 the manifest", good().hard_link("data/x", "manifest.toml"), "outside data/");
    refused(
        "A26 a right",
        good().file("data/y", "").entry(Head::new(b'1', b"data/x", 0).link(b"data/y").mode(0o4755), b""),
        "setuid",
    );
}

#[test]
fn a27_targets_are_only_text() {
    let site = Site::new();
    let tar =
        good().symlink("data/x", "/etc/shadow").symlink("data/y", "../../../outside/secret").symlink("data/z", "none");
    let staged = site.unpack(&tar.package()).unwrap();
    site.outside_is_untouched();
    let read = |name: &str| std::fs::read_link(site.staging().join("a/data").join(name)).unwrap();
    assert_eq!(read("x").to_str(), Some("/etc/shadow"));
    assert_eq!(read("y").to_str(), Some("../../../outside/secret"));
    assert_eq!(staged.files().len(), 5);
    assert_eq!(staged.size(), super::MANIFEST.len() as u64, "nothing behind a link is counted or hashed");
}

#[test]
fn a28_bad_targets() {
    refused("A28", good().symlink("data/x", ""), "link to nothing");
    refused("A28", good().symlink("data/x", "a\nb"), "control character");
    refused("A28", good().symlink("data/x", "\u{1b}[2J"), "control character");
    refused("A28", good().symlink("data/x", b"\xff"), "not UTF-8");
    refused("A28", good().long(b'K', "x".repeat(4096)).symlink("data/x", "y"), "4095 bytes");
    refused("A28", good().pax(b'x', &[("linkpath", b"")]).symlink("data/x", "y"), "empty");
    refused("A28 no link", good().long(b'K', "x").file("data/x", ""), "no link");
    refused("A28 no link", good().pax(b'x', &[("linkpath", b"y")]).file("data/x", ""), "no link");
    let long = "x/".repeat(2000);
    let lines = accepted(
        "A28",
        good().long(b'K', &long).long(b'L', format!("data/{}", "y".repeat(200))).symlink("data/y", "z"),
    );
    assert_eq!(lines[2], format!("l data/{} {long}", "y".repeat(200)));
    assert_eq!(accepted("A28 pax", good().pax(b'x', &[("linkpath", b"t")]).symlink("data/x", "y"))[2], "l data/x t");
}

#[test]
fn a29_loops_are_stored_and_never_followed() {
    accepted("A29", good().symlink("data/x", "y").symlink("data/y", "x").symlink("data/z", "z"));
    let chain = (0..41).fold(good(), |tar, n| tar.symlink(format!("data/{n}"), (n + 1).to_string()));
    accepted("A29", chain.clone());
    refused("A29", chain.file("data/0/x", ""), "behind a symbolic link");
    refused("A29", good().symlink("data/x", "x").file("data/x/y", ""), "behind a symbolic link");
}

#[test]
fn a30_no_path_is_resolved() {
    // Folders with long names and a link to each, then a way back: a reader that resolves paths fails at PATH_MAX.
    let long = "d".repeat(247);
    let mut tar = good();
    let mut at = String::from("data");
    let mut steps = String::new();
    for step in "abcdefghijklmnop".chars() {
        tar = tar
            .long(b'L', format!("{at}/{long}/"))
            .folder("x/")
            .long(b'K', &long)
            .long(b'L', format!("{at}/{step}"))
            .symlink("x", "y");
        at = format!("{at}/{long}");
        steps = format!("{steps}{step}/");
        if at.len() > 3500 {
            break;
        }
    }
    let tar = tar.long(b'K', "../".repeat(16)).symlink("data/trampoline", "x");
    refused("A30", tar.clone().file(format!("data/{steps}x"), ""), "behind a symbolic link");
    refused("A30", tar.file("data/trampoline/outside/secret", "new"), "behind a symbolic link");
}

#[test]
fn a31_nothing_is_written_through_what_another_package_brought() {
    // Each package has a folder of its own in staging; what stands there already is an error.
    let site = Site::new();
    std::os::unix::fs::symlink("../outside", site.staging().join("a")).unwrap();
    let error = site.unpack(&good().file("data/x", "").package()).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Storage, "{error}");
    site.outside_is_untouched();
    assert!(site.staging().join("a").is_symlink(), "what was there is not removed");
}

#[test]
fn a16_nothing_below_a_file() {
    refused("A16", good().file("data/x", "").file("data/x/y", ""), "below a file");
    refused("A16", good().file("manifest.toml/x", ""), "below a file");
    refused("A16", Tar::new().file("manifest.toml/x", ""), "");
}
