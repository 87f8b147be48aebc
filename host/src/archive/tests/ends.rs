use std::os::unix::fs::PermissionsExt;

use super::builder::{Head, MANIFEST, Tar, compress};
use super::{Site, accepted, good, listing, raw, refused, refused_package, walk};

#[test]
fn a53_checksums_and_ends() {
    let mut bad = Head::new(b'0', b"data/x", 0).summed();
    bad[0] ^= 1;
    refused("A53 checksum", good().raw(&bad), "checksum");
    refused("A53 no checksum", good().raw(&Head::new(b'0', b"data/x", 0).bytes), "");
    let tar = good().file("data/x", "abc").bytes;
    for cut in [tar.len(), tar.len() - 1, tar.len() - 511, tar.len() - 512, tar.len() - 1000] {
        refused_package("A53 cut", &raw(&tar[..cut]));
    }
    for zeros in [1, 511, 512, 513, 1023] {
        refused_package("A53 end", &raw(&[&tar[..], &vec![0; zeros]].concat()));
    }
    refused("A53 one zero block", good().raw(&[0; 512]).file("data/x", ""), "single end block");
    refused_package("A53 nothing", &raw(b""));
    let head = Head::new(b'0', b"data/x", 5000).summed();
    refused_package("A53 truncated body", &raw(&[&good().bytes[..], &head, &[1; 100]].concat()));
}

#[test]
fn a54_nothing_behind_the_end() {
    let ended = good().ended();
    refused_package("A54 entry", &raw(&[&ended[..], &Tar::new().file("data/x", "").bytes].concat()));
    refused_package("A54 second tar", &raw(&[&ended[..], &ended].concat()));
    refused_package("A54 junk", &raw(&[&ended[..], b"x"].concat()));
    refused_package("A54 junk far behind", &raw(&[&ended[..], &vec![0; 300_000], b"x"].concat()));
    refused_package("A54 endless zeros", &raw(&[&ended[..], &vec![0; 3 << 20]].concat()));
    for zeros in [1, 512, 10_240 - ended.len() % 10_240, 1 << 19] {
        assert!(listing(&raw(&[&ended[..], &vec![0; zeros]].concat())).is_ok(), "A54 positive: {zeros} zeros");
    }
}

#[test]
fn a55_no_path_twice() {
    let part = "comes twice";
    refused("A55", good().file("manifest.toml", MANIFEST), part);
    refused("A55", good().file("./manifest.toml", MANIFEST), part);
    refused("A55", good().folder("data/"), part);
    refused("A55", good().file("data/x", "").file("data/x", ""), part);
    refused("A55", good().file("data/x", "").folder("data/x/"), part);
    refused("A55", good().folder("data/x/").file("data/x", ""), part);
    refused("A55", good().folder("data/x").folder("./data/x/"), part);
    refused("A55 implied", good().file("data/d/x", "").file("data/d", ""), part);
    refused("A55 implied", good().file("data/d/x", "").folder("data/d").folder("data/d"), part);
}

#[test]
fn a56_the_manifest() {
    refused("A56", Tar::new().folder("data/"), "no manifest.toml");
    refused("A56", Tar::new(), "no manifest.toml");
    refused("A56", Tar::new().symlink("manifest.toml", "data/m").file("data/m", MANIFEST), "regular file");
    refused("A56", Tar::new().folder("manifest.toml/"), "regular file");
    refused("A56", Tar::new().file("data/m", MANIFEST).hard_link("manifest.toml", "data/m"), "");
    refused("A56", Tar::new().file("manifest.toml", vec![b'#'; (256 << 10) + 1]), "at most 262144");
    refused("A56", Tar::new().raw(&Head::new(b'0', b"manifest.toml", 100 << 20).summed()), "1000 times");
    refused("A56", Tar::new().file("manifest.toml", "x"), "line 1");
    let mut large = MANIFEST.to_vec();
    large.resize(256 << 10, b'#');
    accepted("A56", Tar::new().file("manifest.toml", large));
    let last =
        accepted("A56 positive: last", Tar::new().folder("data").file("data/x", "").file("manifest.toml", MANIFEST));
    assert_eq!(last.len(), 3);
}

#[test]
fn a57_missing_parents_and_closed_folders() {
    let bare = || Tar::new().file("manifest.toml", MANIFEST);
    assert_eq!(
        accepted("A57", bare().file("data/a/b/x", ""))[1..],
        ["d data 755", "d data/a 755", "d data/a/b 755", "f data/a/b/x 644 0"]
    );
    let site = Site::new();
    let folder = |name: &[u8], mode| Head::new(b'5', name, 0).mode(mode);
    let file = |name: &[u8], mode| Head::new(b'0', name, 0).mode(mode);
    let tar = bare()
        .entry(folder(b"data/none/", 0), b"")
        .file("data/none/x", "")
        .entry(folder(b"data/read/", 0o555), b"")
        .file("data/read/x", "")
        .file("data/late/x", "")
        .entry(folder(b"data/late/", 0o700), b"")
        .entry(folder(b"data/", 0o777), b"")
        .entry(file(b"data/open", 0o777), b"")
        .entry(file(b"data/group", 0o660), b"")
        .entry(file(b"data/own", 0o600), b"")
        .entry(file(b"data/no", 0), b"");
    let staged = site.unpack(&tar.package()).unwrap();
    let mode = |name: &str| {
        std::fs::symlink_metadata(site.staging().join("a").join(name)).unwrap().permissions().mode() & 0o7777
    };
    for (name, wanted) in [
        ("", 0o755),
        ("data", 0o755),
        ("data/none", 0o700),
        ("data/read", 0o755),
        ("data/late", 0o700),
        ("data/open", 0o755),
        ("data/group", 0o640),
        ("data/own", 0o600),
        ("data/no", 0),
    ] {
        assert_eq!(mode(name), wanted, "A57 {name}");
    }
    for record in staged.files() {
        use packets_plugin_api::storage::FileKind;
        if let FileKind::File { mode: recorded, .. } | FileKind::Folder { mode: recorded } = record.kind {
            assert_eq!(recorded, mode(record.path.as_str()), "A57 recorded {}", record.path);
        }
    }
    assert_eq!(walk(&site.staging().join("a")).len() - 1, staged.files().len());
    let staging = packets_hook_runtime::folder::Folder::open_ambient(&site.staging()).unwrap();
    staging.remove_tree("a").unwrap();
}

#[test]
fn a57_available_space_and_stated_sizes() {
    use super::{Listing, read};
    let package = compress(&good().file("data/x", vec![7; 5 << 20]).ended());
    let with = |installed_size, available| {
        let bounds = crate::archive::Bounds { compressed: package.len() as u64, installed_size, available };
        read(&package[..], bounds, &mut Listing::default())
    };
    assert!(with(Some(5 << 20), Some(6 << 20)).is_ok());
    assert!(with(None, None).unwrap_err().to_string().contains("1000 times"), "A58");
    assert!(with(Some(3 << 20), None).unwrap_err().to_string().contains("that it states"), "A59");
    assert_eq!(
        with(Some(u64::MAX), Some(1 << 20)).unwrap_err().kind(),
        crate::error::ErrorKind::Storage,
        "A59 lies large"
    );
}
