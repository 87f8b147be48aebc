//! All of a command or nothing: whatever fails at the third package, none of them is there.

use std::fs;

use packets_tests::{Entry, Package, Reply, Server, TestEnvironment, tar_of, zstd_of};

/// Two packages that are fine and are asked for before the bad one.
fn good(environment: &TestEnvironment) {
    for name in ["first", "second"] {
        Package::program(name, "1").file(&environment.repo());
    }
}

/// With two good packages before it, this one must fail with this code and leave nothing.
fn third_fails(third: &Package, code: i32, parts: &[&str]) {
    let environment = TestEnvironment::new();
    environment.prime();
    good(&environment);
    third.file(&environment.repo());
    let output = environment.refused(code, || environment.run_with_repo(&["install", "first", "second", third.name()]));
    for part in parts {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    assert_eq!(environment.installed(), [""; 0]);
    // What failed once fails again, and the good ones install.
    environment.refused(code, || environment.run_with_repo(&["install", "first", "second", third.name()]));
    environment.run_with_repo(&["install", "first", "second"]).ok();
    assert_eq!(environment.launch("usr/bin/second", &[]), "second 1\n");
}

#[test]
fn c27_h31_a_hook_that_raises_an_error() {
    let hook = "io.open('/usr/share/doc/third', 'w'):write('half')\nerror('on purpose')";
    third_fails(&Package::new("third", "1").install(hook), 6, &["third", "on purpose", "install.lua"]);
}

#[test]
fn c27_h09_a_hook_that_does_not_end() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.put("etc/packets/config.toml", &format!("{}\n[Sandbox]\ncpu = \"300ms\"\n", packets_tests::v1::CONFIG));
    good(&environment);
    Package::new("third", "1")
        .install("while true do pcall(function() while true do end end) end")
        .file(&environment.repo());
    environment.refused(6, || environment.run_with_repo(&["install", "first", "second", "third"])).says("third");
}

#[test]
fn c27_h10_a_hook_that_fills_the_memory() {
    let hook = "local all = {} for n = 1, 1e9 do all[n] = ('x'):rep(1000) .. n end";
    third_fails(&Package::new("third", "1").install(hook), 6, &["third"]);
}

#[test]
fn c27_a_hook_that_is_denied() {
    let hook = "os.symlink(path_join(data_dir, 'name'), '/usr/bin/third')\nio.open('/etc/passwd', 'w')";
    third_fails(&Package::new("third", "1").install(hook), 6, &["third", "install.lua:2", "/etc/passwd"]);
}

#[test]
fn c27_h15_a_hook_that_does_not_parse() {
    third_fails(&Package::new("third", "1").install("if then"), 6, &["third", "install.lua"]);
}

#[test]
fn c27_permissions_that_nobody_approved() {
    let third = Package::new("third", "1")
        .permission("write = [\"/etc/third\"]")
        .install("assert(os.mkdir('/etc/third', 493))");
    third_fails(&third, 6, &["[[Sandbox.grant]]", "package = \"third\"", "write = [\"/etc/third\"]"]);
}

#[test]
fn c27_a_bad_archive() {
    let environment = TestEnvironment::new();
    environment.prime();
    good(&environment);
    let mut entries = Package::new("third", "1").entries();
    entries.push(Entry::file("data/../../x", "out"));
    fs::write(environment.repo().join("third-1.pkt.tar.zst"), zstd_of(&tar_of(&entries))).unwrap();
    environment.refused(5, || environment.run_with_repo(&["install", "first", "second", "third"]));
}

fn indexed(environment: &TestEnvironment, server: &Server, third: &Package) -> Vec<u8> {
    environment.prime();
    good(environment);
    let file = third.file(&environment.repo());
    environment.run_plain(&["index", environment.repo().to_str().unwrap(), "--url", &server.url("")]).ok();
    server.serve(&environment.repo());
    environment.run(&["sync", &server.url("/index.db")]).ok();
    fs::read(file).unwrap()
}

#[test]
fn c27_m14_wrong_bytes_from_the_mirror() {
    let environment = TestEnvironment::new();
    let server = Server::start();
    let bytes = indexed(&environment, &server, &Package::program("third", "1"));
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let install = || environment.run(&["install", "first", "second", "third"]);
    for (reply, code) in [
        (Reply::Bytes(flipped), 5),
        (Reply::Bytes(bytes[..bytes.len() - 1].to_vec()), 5),
        (Reply::Bytes([bytes.as_slice(), b"x"].concat()), 5),
        (Reply::Bytes(Vec::new()), 5),
        (Reply::Bytes(b"<html>Please log in</html>".to_vec()), 4),
        (Reply::Status(404), 4),
        (Reply::Status(500), 4),
    ] {
        server.set("/third-1.pkt.tar.zst", reply.clone());
        let output = environment.refused(code, install);
        assert!(output.stderr.contains("third"), "{reply:?}: {output}");
    }
    server.set("/third-1.pkt.tar.zst", Reply::Bytes(bytes));
    install().ok();
}

/// The index says one thing and the package, which has the right hash, another.
fn index_differs(change: &str, part: &str) {
    let environment = TestEnvironment::new();
    let server = Server::start();
    indexed(&environment, &server, &Package::program("third", "1"));
    let index = environment.repo().join("index.db");
    let database = rusqlite::Connection::open(&index).unwrap();
    // Without the texts of a search, which would have to say the same.
    database.execute_batch(&format!("DROP TABLE texts; {change}")).unwrap();
    drop(database);
    server.serve(&environment.repo());
    environment.run(&["sync", &server.url("/index.db")]).ok();
    environment.refused(5, || environment.run(&["install", "first", "second", "third"])).says(part);
}

#[test]
fn c27_m10_the_name_is_another() {
    let swap = "UPDATE packages SET hash = (SELECT hash FROM packages WHERE realname = 'first'),
        size = (SELECT size FROM packages WHERE realname = 'first'),
        mirrors = (SELECT mirrors FROM packages WHERE realname = 'first') WHERE realname = 'third'";
    index_differs(swap, "first");
}

#[test]
fn c27_m11_the_version_is_another() {
    index_differs("UPDATE packages SET version = '2.0' WHERE realname = 'third'", "2.0");
}

#[test]
fn c27_m08_the_needs_are_others() {
    index_differs(
        "UPDATE packages SET dependencies = 'second', requires = '[\"second\"]' WHERE realname = 'third'",
        "third",
    );
}
