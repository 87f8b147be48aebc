//! Each bound from both sides: what just fits is unpacked, one more is refused.

use packets_plugin_api::relpath::RelPath;

use super::builder::{Head, MANIFEST, Tar, noise, record};
use super::{Site, accepted, good, listing, raw, refused, refused_package};
use crate::archive::limits;

#[test]
fn a54_padding_up_to_a_bound() {
    let padded = |zeros: u64| raw(&[&good().ended()[..], &vec![0; usize::try_from(zeros).unwrap()]].concat());
    assert!(listing(&padded(limits::PADDING)).is_ok(), "A54");
    let error = refused_package("A54", &padded(limits::PADDING + 1)).to_string();
    assert!(error.contains("more padding"), "{error}");
}

#[test]
fn a49_records_up_to_a_bound() {
    let with = |count: usize| {
        let body: Vec<u8> = (0..count).flat_map(|n| record(&format!("SCHILY.xattr.{n}"), b"")).collect();
        good().pax_body(b'x', &body).file("data/x", "")
    };
    accepted("A49", with(limits::PAX_RECORDS));
    refused("A49", with(limits::PAX_RECORDS + 1), "more than 256 records");
}

#[test]
fn a51_extensions_up_to_a_bound() {
    let with = |length: u64| {
        let length = usize::try_from(length).unwrap();
        let shortest = record("comment", b"").len();
        let body = (0..=length - shortest).rev().map(|room| record("comment", &vec![b'c'; room]));
        let body = body.into_iter().find(|body| body.len() == length).unwrap();
        // A file that does not compress, so that the ratio is no matter.
        good().file("data/noise", noise(4000)).pax_body(b'x', &body).file("data/x", "")
    };
    accepted("A51", with(limits::EXTENSION));
    refused("A51", with(limits::EXTENSION + 1), "at most 262144 are allowed");
}

#[test]
fn a28_targets_up_to_a_bound() {
    let with = |length: usize| good().long(b'K', "x".repeat(length)).symlink("data/x", "y");
    accepted("A28", with(limits::LINK_TARGET));
    refused("A28", with(limits::LINK_TARGET + 1), "4095 bytes");
}

/// Hooks that the manifest names, in so many folders that each of them counts.
fn hooked(entries: usize) -> Tar {
    let folders = entries - 1;
    let path = |depth: usize| (0..depth).map(|n| format!("f{n}")).collect::<Vec<_>>().join("/");
    let hook = format!("{}/install.lua", path(folders));
    let text = format!("{}[Hooks]\ninstall = \"{hook}\"\n", String::from_utf8_lossy(MANIFEST));
    let tar = (1..=folders).fold(Tar::new(), |tar, depth| tar.long(b'L', path(depth)).folder("f"));
    tar.long(b'L', &hook).file("install.lua", "").file("manifest.toml", text)
}

#[test]
fn a05_entries_outside_up_to_a_bound() {
    accepted("A05", hooked(limits::OUTSIDE));
    refused("A05", hooked(limits::OUTSIDE + 1), "does not belong");
}

#[test]
fn h15_hooks_up_to_a_bound() {
    let with = |size: u64| {
        let text = format!("{}[Hooks]\ninstall = \"install.lua\"\n", String::from_utf8_lossy(MANIFEST));
        let script = noise(usize::try_from(size).unwrap());
        Tar::new().file("manifest.toml", text).file("install.lua", script)
    };
    assert!(listing(&with(limits::OUTSIDE_SIZE).package()).is_ok(), "H15");
    refused("H15", with(limits::OUTSIDE_SIZE + 1), "does not belong");
}

#[test]
fn a66_what_hooks_hold_is_kept_up_to_a_bound() {
    let names: [RelPath; 2] = ["install.lua", "remove.lua"].map(|name| name.parse().unwrap());
    let kept = |sizes: [usize; 2]| {
        let hooks = "[Hooks]\ninstall = \"install.lua\"\nremove = \"remove.lua\"\n";
        let text = format!("{}{hooks}", String::from_utf8_lossy(MANIFEST));
        let scripts = sizes.map(noise);
        let tar = Tar::new().file("install.lua", &scripts[0]).file("remove.lua", &scripts[1]);
        let package = tar.file("data/x", "x").file("manifest.toml", text).package();
        let site = Site::new();
        let staged = site.unpack(&package).unwrap();
        for (name, script) in names.iter().zip(&scripts) {
            assert!(staged.hook(name).unwrap().text == *script, "A66: kept or not, it is what the package holds");
        }
        let scripts = listing(&package).unwrap().1.scripts;
        names.clone().map(|name| scripts.get(&name).map(Vec::len))
    };
    let most = limits::OUTSIDE_KEPT;
    assert_eq!(kept([most - 1, 1]), [Some(most - 1), Some(1)], "A66");
    assert_eq!(kept([most, 1]), [Some(most), None], "A66: one byte more");
    assert_eq!(kept([most + 1, 1]), [None, Some(1)], "A66: what is not kept does not count");
}

#[test]
fn a14_folders_in_folders_up_to_a_bound() {
    let with = |depth: usize| good().long(b'L', format!("data{}", "/d".repeat(depth - 1))).file("x", "");
    accepted("A14", with(limits::DEPTH));
    refused("A14", with(limits::DEPTH + 1), "too deep");
}

#[test]
fn a51_headers_alone_are_no_package() {
    let body = record("comment", &vec![b'c'; 250_000]);
    let with = |headers: usize| {
        let text = format!("{}installed_size = 1000\n", String::from_utf8_lossy(MANIFEST));
        let tar = Tar::new().file("manifest.toml", text);
        let head = Head::new(b'g', b"x", body.len() as u64);
        (0..headers).fold(tar, |tar, _| tar.entry(head.clone(), &body)).file("data/x", "").package()
    };
    assert!(listing(&with(60)).is_ok(), "A51: 15 MB");
    let error = refused_package("A51", &with(80)).to_string();
    assert!(error.contains("consists of headers"), "{error}");
}
