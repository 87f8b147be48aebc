//! The places that an index comes from.

use packets_tests::{Package, Reply, Server, TestEnvironment};

fn repository() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Package::program("tool", "1").file(&environment.repo());
    environment.run_plain(&["index", environment.repo().to_str().unwrap()]).ok();
    environment
}

fn works(environment: &TestEnvironment, location: &str) {
    environment.run(&["sync", location]).ok().says("1 package");
    assert!(environment.read("etc/packets/config.toml").contains(location), "it is remembered");
    environment.run(&["sync"]).ok();
    environment.run(&["list", "--available"]).ok().prints("tool  1");
    environment.run(&["install", "tool"]).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
}

#[test]
fn a_folder() {
    let environment = repository();
    works(&environment, environment.repo().to_str().unwrap());
}

#[test]
fn a_file() {
    let environment = repository();
    works(&environment, environment.repo().join("index.db").to_str().unwrap());
}

#[test]
fn a_file_url() {
    let environment = repository();
    works(&environment, &format!("file://{}/index.db", environment.repo().display()));
}

#[test]
fn http_with_mirrors_relative_to_the_index() {
    let environment = repository();
    let server = Server::start();
    server.serve(&environment.repo());
    works(&environment, &server.url("/index.db"));
}

#[test]
fn one_that_is_compressed() {
    let environment = repository();
    let server = Server::start();
    let plain = std::fs::read(environment.repo().join("index.db")).unwrap();
    server.serve(&environment.repo());
    server.set("/index.db.zst", Reply::Bytes(packets_tests::zstd_of(&plain)));
    works(&environment, &server.url("/index.db.zst"));
    assert_eq!(std::fs::read(environment.at("etc/packets/index.db")).unwrap(), plain, "it is kept as it was");
}

#[test]
fn m28_a_compressed_index_that_is_damaged_cut_off_or_no_index() {
    let environment = repository();
    let server = Server::start();
    server.serve(&environment.repo());
    environment.run(&["sync", &server.url("/index.db")]).ok();
    let good = packets_tests::zstd_of(&std::fs::read(environment.repo().join("index.db")).unwrap());
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    for (case, bytes) in [
        ("flipped", flipped),
        ("cut off", good[..good.len() / 2].to_vec()),
        ("something behind it", [good.as_slice(), b"more"].concat()),
        ("no index", packets_tests::zstd_of(b"hello")),
    ] {
        server.set("/index.db.zst", Reply::Bytes(bytes));
        let output = environment.refused(5, || environment.run(&["sync", &server.url("/index.db.zst")]));
        assert!(output.stderr.contains("index.db.zst"), "{case}: {output}");
    }
    environment.run(&["install", "tool"]).ok();
}

#[test]
fn nothing_to_sync_from_and_nobody_there() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.refused(1, || environment.run(&["sync"])).says("packets sync https://example.org/index.db");
    environment.refused(1, || environment.run(&["sync", "/absent/folder"])).says("/absent/folder");
    environment.refused(4, || environment.run(&["sync", "http://127.0.0.1:9/index.db"])).says("127.0.0.1:9");
    environment.refused(1, || environment.run(&["sync", "gopher://127.0.0.1/index.db"])).says("gopher");
}

#[test]
fn comments_of_the_config_stay() {
    let environment = repository();
    environment.put("etc/packets/config.toml", &format!("# mine\n{}", packets_tests::v1::CONFIG));
    works(&environment, environment.repo().to_str().unwrap());
    assert!(environment.read("etc/packets/config.toml").starts_with("# mine\n"));
}

#[test]
fn a_dry_run_looks_and_puts_nothing_in_place() {
    let environment = repository();
    environment.prime();
    let repo = environment.repo();
    let before = environment.everything();
    let output = environment.run(&["sync", repo.to_str().unwrap(), "--dry-run"]).ok();
    output.says("1 package in the index from ").says("it was not put in place");
    before.assert_same(&environment.everything(), "a dry run of sync");
    std::fs::write(repo.join("index.db"), "no index").unwrap();
    environment.refused(5, || environment.run(&["sync", repo.to_str().unwrap(), "--dry-run"]));
}

#[test]
fn an_error_names_the_place_and_no_temporary_file() {
    let environment = repository();
    environment.prime();
    let server = Server::start();
    let url = server.url("/index.db");
    for (bytes, cause) in [("no index", "file is not a database"), ("", "it has no table \"packages\"")] {
        server.set("/index.db", Reply::Bytes(bytes.into()));
        let synced = environment.refused(5, || environment.run(&["sync", &url])).says("the index that was there");
        let used = environment.refused(5, || environment.run(&["--repo", &url, "install", "tool"]));
        for output in [synced, used] {
            let output = output.says(&format!("cannot use the index {url}\n")).says(cause);
            assert!(!output.stderr.contains(".index-") && !output.stderr.contains("good copy"), "{output}");
            assert_eq!(output.stderr.matches(cause).count(), 1, "{output}");
        }
    }
}

#[test]
fn an_address_that_is_not_quite_right() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.refused(1, || environment.run(&["sync", "example.org"])).says("begins with https:// or http://");
    let output = environment.refused(1, || environment.run(&["sync", environment.repo().to_str().unwrap()]));
    output.says("there is no index.db in it").says("`packets index ");
    let server = Server::start();
    server.set("/repo/", Reply::Bytes("<!DOCTYPE html><html><body>a list of files</body></html>".into()));
    let output = environment.refused(4, || environment.run(&["sync", &server.url("/repo/")]));
    output.says(&format!("names its file: {}", server.url("/repo/index.db")));
}

#[test]
fn a_synced_index_that_broke_is_fetched_anew() {
    let environment = repository();
    environment.run(&["sync", environment.repo().to_str().unwrap()]).ok();
    environment.put("etc/packets/index.db", "no index");
    environment.run(&["install", "tool"]).fails(5).says("hint: `packets sync` fetches it anew");
    environment.run(&["sync"]).ok();
    environment.run(&["install", "tool"]).ok();
}
