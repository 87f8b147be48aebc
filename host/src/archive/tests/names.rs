use super::builder::{Head, Tar, noise};
use super::{Site, accepted, good, listing, refused};

#[test]
fn a01_absolute_names() {
    refused("A01", good().file("/tmp/moo", ""), "absolute name");
    refused("A01", good().folder("/data/x/"), "absolute name");
    refused("A01", good().long(b'L', "/tmp/moo").file("x", ""), "absolute name");
    refused("A01", good().pax(b'x', &[("path", b"/tmp/moo")]).file("data/x", ""), "absolute name");
}

#[test]
fn a02_several_slashes() {
    for name in ["//tmp/moo", "///x", ".//x", "./\0/x"] {
        refused("A02", good().file(name, ""), "");
    }
}

#[test]
fn a03_leading_dot_dot() {
    for name in ["../moo", "..", "../../etc/moo", "./../x"] {
        refused("A03", good().file(name, ""), "'..'");
    }
    refused("A03", good().folder("../outside/"), "'..'");
}

#[test]
fn a04_inner_dot_dot() {
    for name in ["tmp/../../moo", "data/..", "data/a/../../x", "data/../x", "./data/.."] {
        refused("A04", good().file(name, ""), "'..'");
    }
    let lines = accepted("A04 legal", good().file("data/...", "").file("data/..x", "").file("data/x..", ""));
    assert_eq!(lines[2..], ["f data/... 644 0", "f data/..x 644 0", "f data/x.. 644 0"]);
}

const HOOKS: &[u8] =
    b"[Info]\nname = \"a\"\nversion = \"1\"\n[Hooks]\ninstall = \"scripts/install.lua\"\nremove = \"r.lua\"\n";

#[test]
fn a05_what_does_not_belong_into_a_package() {
    let part = "does not belong";
    for name in ["Data/x", "data2/x", ".git/x", "x", "install.lua", "Manifest.toml", "scripts/install.lua"] {
        refused("A05", good().file(name, ""), part);
        refused("A05 manifest last", Tar::new().file(name, "").file("manifest.toml", super::MANIFEST), part);
    }
    refused("A05", good().folder("empty/"), part);
    refused("A05", good().symlink("install.lua", "data/x"), part);
    let hooked = || Tar::new().file("manifest.toml", HOOKS).file("r.lua", "").file("scripts/install.lua", "");
    refused("A05", hooked().file("scripts/other.lua", ""), part);
    refused("A05", hooked().file("r.lua/x", ""), "below a file");
    refused(
        "A05",
        Tar::new().file("manifest.toml", HOOKS).file("r.lua/x", "").file("scripts/install.lua", ""),
        "r.lua",
    );
    refused("A05", Tar::new().file("manifest.toml", HOOKS).file("r.lua", ""), "scripts/install.lua");
    refused("A05", Tar::new().file("manifest.toml", HOOKS).folder("r.lua/").file("scripts/install.lua", ""), "r.lua");
    let many = (0..200).fold(Tar::new(), |tar, n| tar.file(format!("x{n}"), ""));
    refused("A05 many before the manifest", many.file("manifest.toml", super::MANIFEST), "\"x64\" does not belong");
    let big = Tar::new().file("big", noise((1 << 20) + 1));
    refused("A05 large before the manifest", big.file("manifest.toml", super::MANIFEST), part);
}

#[test]
fn a05_a56_positive_hooks_in_folders_and_the_manifest_last() {
    let lines = accepted(
        "A05 A07 A56",
        Tar::new()
            .folder("./")
            .folder("./scripts/")
            .file("./scripts/install.lua", "x")
            .folder("./data/")
            .file("./data/x", "y")
            .file("./r.lua", "")
            .file("./manifest.toml", HOOKS),
    );
    let wanted = [
        "d scripts 755",
        "f scripts/install.lua 644 1",
        "d data 755",
        "f data/x 644 1",
        "f r.lua 644 0",
        "f manifest.toml 644 101",
    ];
    assert_eq!(lines, wanted.map(|line| line.replace("101", &HOOKS.len().to_string())));
}

#[test]
fn a06_data_is_a_folder_or_nothing() {
    let bare = || Tar::new().file("manifest.toml", super::MANIFEST);
    refused("A06", bare().symlink("data", "/").file("data/etc/x", ""), "must be a folder");
    refused("A06", bare().symlink("data", "../../outside").file("data/x", ""), "must be a folder");
    refused("A06", bare().file("data", "").file("data/etc/x", ""), "must be a folder");
    refused("A06", bare().hard_link("data", "manifest.toml"), "");
    assert_eq!(accepted("A06 none", bare()).len(), 1);
}

#[test]
fn a07_empty_and_dot_names() {
    for name in ["data//x", "data/./x", "data/x/", "data/x//", "data/.", "././x", "."] {
        refused("A07", good().file(name, ""), "");
    }
    refused("A07", good().file("", ""), "has no name");
    refused("A07", good().file("./", ""), "");
    refused("A07", good().folder("data/x//"), "");
    refused("A07", good().symlink("data/x/", "y"), "");
    refused("A07 two roots", good().folder("./").folder("."), "comes twice");
    let lines = accepted("A07", Tar::new().folder("./").file("./manifest.toml", super::MANIFEST).folder("./data"));
    assert_eq!(lines.len(), 2);
    let root = Tar::new().entry(Head::new(b'5', b".", 0).mode(0o2700), b"");
    assert_eq!(accepted("A07", root.file("manifest.toml", super::MANIFEST)).len(), 1);
}

#[test]
fn a08_nul_in_names() {
    refused("A08 pax", good().pax(b'x', &[("path", b"data/x\0.txt")]).file("data/y", ""), "NUL");
    refused("A08 pax link", good().pax(b'x', &[("linkpath", b"x\0y")]).symlink("data/y", "z"), "NUL");
    refused("A08 GNU", good().long(b'L', "data/x\0.txt").file("data/y", ""), "NUL");
    refused("A08 GNU link", good().long(b'K', "x\0y").symlink("data/y", "z"), "NUL");
    refused("A08 header", good().file("data/x\0y", ""), "behind the NUL");
    refused("A08 link", good().symlink("data/x", "a\0b"), "behind the NUL");
    refused("A08 two NULs", good().long(b'L', "data/x\0").file("data/y", ""), "NUL");
}

#[test]
fn a_long_name_without_its_nul_ends_at_its_padding() {
    let long = |size: usize, body: &[u8]| {
        good().entry(Head::new(b'L', b"././@LongLink", size as u64).gnu(), body).file("data/y", "")
    };
    let whole_block = format!("data/{}/{}", "n".repeat(253), "m".repeat(253));
    for name in ["data/x", &whole_block] {
        let lines = accepted("A44", long(name.len(), name.as_bytes()));
        assert!(lines.iter().any(|line| line.starts_with(&format!("f {name} "))), "{lines:?}");
    }
    // Readers that end it at a NUL would see another name.
    refused("A08 padding", long(6, b"data/x.txt"), "NUL");
}

#[test]
fn a09_control_characters() {
    for name in ["data/\n", "data/\u{1b}[2J", "data/\u{202e}gpj.exe", "data/\u{7f}", "data/\r", "data/a\u{200b}"] {
        refused("A09", good().file(name, ""), "control character");
        refused("A09 in a folder", good().file(format!("{name}/x"), ""), "control character");
    }
}

#[test]
fn a10_names_are_utf8() {
    for name in [&b"data/\xc0\xae\xc0\xae"[..], b"data/\xff", b"data/\xd0", b"data/\xed\xa0\x80"] {
        refused("A10", good().file(name, ""), "not UTF-8");
        refused("A10 pax", good().pax(b'x', &[("path", name)]).file("data/x", ""), "not UTF-8");
    }
    assert_eq!(accepted("A10", good().file("data/\u{fc}\u{4e2d}", ""))[2], "f data/\u{fc}\u{4e2d} 644 0");
}

#[test]
fn a11_unicode_twins() {
    let part = "cannot be told";
    refused("A11 NFC and NFD", good().file("data/\u{e9}", "").file("data/e\u{301}", ""), part);
    refused("A11 link", good().symlink("data/e\u{301}", "/").file("data/\u{e9}/x", ""), part);
    refused("A11 ligature", good().symlink("data/\u{fb00}", "/outside").file("data/FF", ""), part);
    refused("A11 sharp s", good().file("data/SS", "").symlink("data/\u{df}", "/outside"), part);
    refused("A11 folders", good().file("data/\u{c5}/x", "").file("data/A\u{30a}/y", ""), part);
    accepted("A11 files that a person can tell", good().file("data/\u{fb00}", "").file("data/FF", ""));
    accepted("A11 in two folders", good().file("data/a/\u{e9}", "").file("data/b/e\u{301}", ""));
}

#[test]
fn a12_case_twins_are_two_files() {
    let lines = accepted("A12", good().file("data/A", "").symlink("data/a", "A").file("data/\u{e9}", ""));
    assert_eq!(lines[2..4], ["f data/A 644 0", "l data/a A"]);
}

#[test]
fn a13_lengths() {
    let name = |length: usize| "x".repeat(length);
    refused("A13 component", good().long(b'L', format!("data/{}", name(256))).file("data/x", ""), "too long");
    accepted("A13 component", good().long(b'L', format!("data/{}", name(255))).file("data/x", ""));
    let path = |length: usize| {
        let mut path = String::from("data");
        while path.len() + 201 < length {
            path = format!("{path}/{}", name(200));
        }
        format!("{path}/{}", name(length - path.len() - 1))
    };
    assert_eq!(path(4095).len(), 4095);
    let longest = good().long(b'L', path(4095)).file("data/x", "").package();
    assert!(listing(&longest).is_ok() && Site::new().unpack(&longest).is_ok(), "A13 path");
    refused("A13 path", good().long(b'L', path(4096)).file("data/x", ""), "too long");
    for length in [98, 99, 100] {
        assert!(accepted("A13", good().file(path(length), ""))[2].contains(&path(length)));
    }
    let lines = accepted("A13 pax", good().pax(b'x', &[("path", path(300).as_bytes())]).file("data/x", ""));
    assert!(lines.last().unwrap().contains(&path(300)));
    let split = Head::new(b'0', b"x", 0).with(345, path(155).as_bytes());
    assert!(accepted("A13 prefix", good().entry(split, b"")).last().unwrap().contains(&format!("{}/x", path(155))));
    let split = Head::new(b'0', b"../../../x", 0).with(345, path(100).as_bytes());
    refused("A13 '..' behind the prefix", good().entry(split, b""), "'..'");
    let gnu = Head::new(b'0', b"data/x", 0).gnu().with(345, b"../../x");
    refused("A13 GNU has no prefix", good().entry(gnu, b""), "fields that its format has not");
    for at in 90..110 {
        let name = format!("data/{}/../../../../x", name(at));
        refused("A13 '..' around byte 100", good().long(b'L', &name).file("data/x", ""), "'..'");
    }
}

#[test]
fn a14_depth() {
    let deep = |depth: usize| format!("data{}", "/d".repeat(depth - 1));
    assert_eq!(accepted("A14", good().long(b'L', deep(128)).file("data/x", "")).len(), 2 + 127);
    refused("A14", good().long(b'L', deep(129)).file("data/x", ""), "too deep");
    refused("A14", good().long(b'L', deep(2000)).file("data/x", ""), "too deep");
}

#[test]
fn a15_names_of_other_systems_are_plain_names() {
    let lines = accepted("A15", good().file("data/a\\..\\b", "").file("data/c:..\\x", "").file("data/NUL", ""));
    assert_eq!(lines[2..4], ["f data/a\\..\\b 644 0", "f data/c:..\\x 644 0"]);
}
