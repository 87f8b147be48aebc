use super::builder::{Head, record};
use super::{accepted, good, refused};

fn file() -> Head {
    Head::new(b'0', b"data/x", 0)
}

#[test]
fn a36_a37_devices_and_fifos() {
    for kind in [b'3', b'4'] {
        refused(
            "A36",
            good().entry(Head::new(kind, b"data/x", 0).with(329, b"0000001\0").with(337, b"0000003\0"), b""),
            "device",
        );
    }
    refused("A37", good().entry(Head::new(b'6', b"data/x", 0), b""), "FIFO");
}

#[test]
fn a38_setuid_setgid_sticky() {
    for mode in [0o4755, 0o2755, 0o1777, 0o6755, 0o7777] {
        refused("A38", good().entry(file().mode(mode), b""), "setuid");
        refused("A38", good().entry(Head::new(b'5', b"data/x/", 0).mode(mode), b""), "setuid");
    }
    // The type in the mode, as some writers put it there, is no right.
    assert_eq!(accepted("A38", good().entry(file().mode(0o100777), b""))[2], "f data/x 755 0");
}

#[test]
fn a39_a40_attributes_are_left_out_and_rights_refused() {
    let large = vec![b'x'; 200_000];
    for (key, value) in [
        ("SCHILY.xattr.security.selinux", &b"unconfined_u"[..]),
        ("RHT.security.selinux", b"x"),
        ("LIBARCHIVE.xattr.user.x", b"x"),
        ("SCHILY.xattr.trusted.x", &large),
        ("SCHILY.acl.access", b"user::rwx\nuser:99999999999999999999:-1:rwx,,,:"),
        ("SCHILY.acl.default", b"\xff\0"),
        ("SCHILY.fflags", b"sappnd"),
    ] {
        assert_eq!(accepted(key, good().pax(b'x', &[(key, value)]).file("data/x", ""))[2], "f data/x 644 0", "A39 A40");
    }
    for key in ["SCHILY.xattr.security.capability", "LIBARCHIVE.xattr.security.capability"] {
        refused("A39", good().pax(b'x', &[(key, b"x")]).file("data/x", ""), "capabilities");
    }
    for key in ["GNU.sparse.size", "SCHILY.realsize", "hdrcharset", "charset", "unknown", "PATH", "path "] {
        refused("A39", good().pax(b'x', &[(key, b"1")]).file("data/x", ""), "not allowed");
    }
    refused("A39", good().pax(b'x', &[("SCHILY.xattr.x", &vec![0; 300_000])]).file("data/x", ""), "at most 262144");
}

#[test]
fn a41_owners_mean_nothing() {
    for field in [
        &b"7777777\0"[..],
        b"\x80\0\0\0\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"-1\0\0\0\0\0\0",
        b"\0\0\0\0\0\0\0\0",
    ] {
        accepted("A41", good().entry(file().with(108, field).with(116, field), b""));
    }
    accepted("A41", good().entry(file().with(265, b"root\n\x1b[2J").with(297, &[0xff; 32]), b""));
    let records: &[(&str, &[u8])] =
        &[("uid", b"9223372036854775808"), ("gid", b"-1"), ("uname", b"root\n"), ("gname", b"\xff")];
    accepted("A41", good().pax(b'x', records).file("data/x", ""));
}

#[test]
fn a42_times_mean_nothing() {
    for field in [
        &b"77777777777\0"[..],
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
        b"-0000000001\0",
        b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
    ] {
        accepted("A42", good().entry(file().with(136, field), b""));
    }
    let records: &[(&str, &[u8])] = &[("mtime", b"-1.5"), ("atime", b"9223372036854775808.999"), ("ctime", b"x")];
    accepted("A42", good().pax(b'x', records).file("data/x", ""));
}

#[test]
fn a43_numbers() {
    for field in [
        &b"-0000000001\0"[..],
        b"+0000000001\0",
        b"0x000000001\0",
        b"00000000008\0",
        b"0000 000001\0",
        b"\0\0\0\0\0\0\0\0\0\0\0\0",
        b"            ",
        b"00000000001x",
    ] {
        refused("A43 size", good().entry(file().with(124, field), b""), "not octal");
    }
    for field in [
        [0xff; 12],
        [0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0],
        [0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        refused("A43 base-256", good().entry(file().with(124, &field), b""), "negative or too large");
    }
    refused("A43 mode", good().entry(file().with(100, b"-000644\0"), b""), "not octal");
    for field in [&b"000000000003"[..], b"          3 ", b"3\0\0\0\0\0\0\0\0\0\0\0", b"\x80\0\0\0\0\0\0\0\0\0\0\x03"] {
        assert_eq!(accepted("A43", good().entry(file().with(124, field), b"abc"))[2], "f data/x 644 3");
    }
}

#[test]
fn a44_other_types() {
    for kind in *b"78VMDNSZAIX\x01\xff " {
        refused("A44", good().entry(Head::new(kind, b"data/x", 0), b""), "");
    }
    assert_eq!(
        accepted("A44 old", good().entry(Head::new(0, b"data/x", 1).with(257, &[0; 8]), b"a"))[2],
        "f data/x 644 1"
    );
    refused("A44 format", good().entry(file().with(257, b"ustar\x0001"), b""), "unknown format");
    refused("A44 format", good().entry(file().with(257, b"tar\0\0\0\0\0"), b""), "unknown format");
}

#[test]
fn a45_a46_two_sizes() {
    let hidden = Head::new(b'0', b"data/hidden", 0).summed();
    refused("A45", good().pax(b'x', &[("size", b"512")]).entry(file(), b"").raw(&hidden), "two sizes");
    let carrier = Head::new(b'0', b"data/x", 512);
    refused("A46", good().pax(b'x', &[("size", b"0")]).entry(carrier.clone(), &hidden), "two sizes");
    assert_eq!(accepted("A45", good().pax(b'x', &[("size", b"512")]).entry(carrier, &hidden))[2], "f data/x 644 512");
    for size in [&b"-1"[..], b"", b"+1", b"1.0", b"0x1", b"99999999999999999999", b"9223372036854775808", b"1 "] {
        refused("A45", good().pax(b'x', &[("size", size)]).entry(file(), b""), "");
    }
    for kind in *b"512" {
        refused("A46", good().entry(Head::new(kind, b"data/y", 512).link(b"x"), &hidden), "no file");
    }
}

#[test]
fn a47_global_headers() {
    for (key, value) in
        [("path", &b"data/y"[..]), ("size", b"0"), ("linkpath", b"x"), ("uid", b"0"), ("mtime", b"1"), ("x", b"")]
    {
        refused("A47", good().pax(b'g', &[("comment", b"c"), (key, value)]).file("data/x", ""), "for all entries");
    }
    let tar = super::Tar::new().pax(b'g', &[("comment", b"0123456789abcdef")]);
    assert_eq!(accepted("A47", tar.raw(&good().bytes).file("data/x", "")).len(), 3);
    refused(
        "A47",
        good().pax(b'x', &[("path", b"data/y")]).pax(b'g', &[("comment", b"c")]).file("data/x", ""),
        "overrides",
    );
}

#[test]
fn a48_two_names() {
    let part = "overrides";
    refused("A48", good().pax(b'x', &[("path", b"data/a"), ("path", b"data/b")]).file("data/x", ""), "twice");
    refused("A48", good().pax(b'x', &[("mtime", b"1"), ("mtime", b"2")]).file("data/x", ""), "twice");
    refused("A48", good().pax(b'x', &[("path", b"data/a")]).long(b'L', "data/b").file("data/x", ""), part);
    refused("A48", good().long(b'L', "data/b").pax(b'x', &[("path", b"data/a")]).file("data/x", ""), part);
    refused("A48", good().long(b'L', "data/a").long(b'L', "data/b").file("data/x", ""), part);
    refused("A48", good().long(b'K', "a").long(b'K', "b").symlink("data/x", "c"), part);
}

#[test]
fn a49_malformed_pax() {
    let long = record("comment", b"0123456789");
    for body in [
        &b"18 path=data/short\0"[..],
        b"6 a=b\n7 c=d\n",
        b"5 a=b\n",
        b"0 a=b\n",
        b"06 a=b\n",
        b"-6 a=b\n",
        b"+6 a=b\n",
        b"6a=b\n",
        b" 6 a=b\n",
        b"6 ab\n\n",
        b"5 =b\n",
        b"99999999999999999999 a=b\n",
        b"18446744073709551615 a=b\n",
        b"3 \n",
        b"2 ",
        b"4 a\n",
        b"\0\0\0\0",
        b"6 \xff=b\n",
        &long[..long.len() - 1],
        b"",
    ] {
        refused(
            &format!("A49 {:?}", body.escape_ascii().to_string()),
            good().pax_body(b'x', body).file("data/x", ""),
            "",
        );
    }
    refused("A49 pending", good().pax(b'x', &[("mtime", b"1")]), "belongs to no entry");
    refused("A49 pending", good().long(b'L', "data/x"), "belongs to no entry");
    refused(
        "A49 stacked",
        good().pax(b'x', &[("mtime", b"1")]).pax(b'x', &[("atime", b"1")]).file("data/x", ""),
        "overrides",
    );
    refused("A49 empty", good().long(b'L', "").file("data/x", ""), "empty");
    refused("A49 empty", good().entry(Head::new(b'L', b"x", 0), b"").file("data/x", ""), "empty");
    let many: Vec<(String, Vec<u8>)> = (0..300).map(|n| (format!("SCHILY.xattr.{n}"), Vec::new())).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
    refused("A49 many", good().pax(b'x', &many).file("data/x", ""), "more than 256 records");
}

#[test]
fn a50_extensions_of_extensions() {
    for first in ["size", "path"] {
        let pax = good().pax(b'x', &[(first, b"0")]);
        for kind in *b"xgLK" {
            refused("A50", pax.clone().entry(Head::new(kind, b"x", 512), &[b'x'; 512]).file("data/x", ""), "overrides");
        }
    }
    // A pax header whose own name and size would hide an entry has them from its own header.
    let hidden = Head::new(b'0', b"data/hidden", 0).summed();
    refused("A50", good().pax_body(b'x', &hidden).file("data/x", ""), "malformed");
}

#[test]
fn a51_large_extensions() {
    for kind in *b"xgLK" {
        let head = Head::new(kind, b"x", 1 << 30);
        refused("A51", good().raw(&head.summed()), "at most 262144");
    }
    let many = (0..200)
        .fold(good(), |tar, n| tar.pax(b'x', &[("comment", &vec![b'c'; 200_000])]).file(format!("data/{n}"), ""));
    let error = super::refused_package("A51", &many.package());
    assert!(error.to_string().contains("consists of headers") || error.to_string().contains("1000 times"), "{error}");
}

#[test]
fn a52_sparse_files() {
    refused("A52", good().entry(Head::new(b'S', b"data/x", 0).gnu().with(483, b"77777777777\0"), b""), "sparse");
    for key in ["GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.numblocks", "GNU.sparse.name", "GNU.sparse.realsize"]
    {
        refused("A52", good().pax(b'x', &[(key, b"1")]).file("data/x", ""), "not allowed");
    }
}
