//! The places that an index comes from.

use packets_tests::{Package, Server, TestEnvironment};

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
