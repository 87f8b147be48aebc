//! Several mirrors, and the way to them.

use std::fs;
use std::time::{Duration, Instant};

use packets_tests::{Package, Reply, Server, TestEnvironment};

use super::index;

const NAMES: [&str; 4] = ["one", "two", "three", "four"];

fn file(name: &str) -> String {
    format!("/{name}-1.pkt.tar.zst")
}

/// Some packages, indexed at both; the good server has them.
fn two_mirrors(environment: &TestEnvironment) -> (Server, Server) {
    for name in NAMES {
        Package::program(name, "1").file(&environment.repo());
    }
    let (bad, good) = (Server::start(), Server::start());
    let (bad_url, good_url) = (bad.url(""), good.url(""));
    index(environment, &[&bad_url, &good_url]);
    good.serve(&environment.repo());
    (bad, good)
}

fn install_all(environment: &TestEnvironment, good: &Server) {
    let repo = good.url("/index.db");
    environment.run(&[&["--repo", &repo, "install"][..], &NAMES].concat()).ok();
    for name in NAMES {
        assert_eq!(environment.launch(&format!("usr/bin/{name}"), &[]), format!("{name} 1\n"));
    }
}

#[test]
fn n22_a_silent_mirror_costs_seconds_however_many_packages_there_are() {
    let environment = TestEnvironment::new();
    let (bad, good) = two_mirrors(&environment);
    for name in NAMES {
        bad.set(&file(name), Reply::Silent(Vec::new()));
    }
    let started = Instant::now();
    install_all(&environment, &good);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[test]
fn n09_n22_a_mirror_of_wrong_bytes_is_asked_last_from_then_on() {
    let environment = TestEnvironment::new();
    let (bad, good) = two_mirrors(&environment);
    for name in NAMES {
        let size = fs::metadata(environment.repo().join(&file(name)[1..])).unwrap().len();
        bad.set(&file(name), Reply::Bytes(vec![b'?'; usize::try_from(size).unwrap()]));
    }
    install_all(&environment, &good);
    assert!(bad.asked().len() <= NAMES.len(), "once each at most: {:?}", bad.asked());
    assert_eq!(good.asked().len(), NAMES.len() + 1);
}

#[test]
fn n12_a_server_that_is_busy_is_asked_again_when_it_says() {
    let environment = TestEnvironment::new();
    let (bad, good) = two_mirrors(&environment);
    let busy = Reply::Raw(b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n".to_vec());
    let package = fs::read(environment.repo().join(&file("one")[1..])).unwrap();
    good.set(&file("one"), Reply::Each(vec![busy.clone(), Reply::Bytes(package)]));
    let started = Instant::now();
    let output = environment.run(&["--repo", &good.url("/index.db"), "install", "one"]).ok();
    output.says("503").says("asks to come back in 2 s").says("one: trying again in ");
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(bad.asked().len(), 1, "404 is an answer");

    // The index, too.
    let bytes = fs::read(environment.repo().join("index.db")).unwrap();
    good.set("/index.db", Reply::Each(vec![busy, Reply::Bytes(bytes)]));
    let output = environment.run(&["sync", &good.url("/index.db")]).ok();
    output.says("the index: ").says("trying again in 2.0 s");
}

#[test]
fn n12_a_server_that_is_busy_for_years_is_not_waited_for() {
    let environment = TestEnvironment::new();
    let (_, good) = two_mirrors(&environment);
    let never = "HTTP/1.1 503 Busy\r\nRetry-After: 99999999999\r\nContent-Length: 0\r\n\r\n";
    good.set(&file("one"), Reply::Raw(never.into()));
    let started = Instant::now();
    environment.run(&["--repo", &good.url("/index.db"), "install", "one"]).fails(4).says("99999999999 s");
    good.set("/index.db", Reply::Raw(never.into()));
    environment.run(&["sync", &good.url("/index.db")]).fails(4).says("99999999999 s");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn m23_a_mirror_that_is_down_for_a_moment() {
    let environment = TestEnvironment::new();
    let (_, good) = two_mirrors(&environment);
    let package = fs::read(environment.repo().join(&file("two")[1..])).unwrap();
    let mut replies = vec![Reply::Status(502), Reply::Raw(Vec::new()), Reply::Cut(package.clone(), 10)];
    replies.push(Reply::Bytes(package));
    good.set(&file("two"), Reply::Each(replies));
    environment.run(&["--repo", &good.url("/index.db"), "install", "two"]).ok();
    let asked = good.requests();
    assert_eq!(asked.last().unwrap().range.as_deref(), Some("bytes=10-"));
}

#[test]
fn n20_proxies_of_the_environment_are_used() {
    let environment = TestEnvironment::new();
    Package::program("tool", "1").file(&environment.repo());
    index(&environment, &["http://mirror.invalid/pool"]);
    let proxy = Server::start();
    for (path, name) in [("/index.db", "index.db"), ("/pool/tool-1.pkt.tar.zst", "tool-1.pkt.tar.zst")] {
        let bytes = fs::read(environment.repo().join(name)).unwrap();
        proxy.set(&format!("http://mirror.invalid{path}"), Reply::Bytes(bytes));
    }
    let run = |variables: &[(&str, &str)]| {
        let mut command = environment.command();
        command.args(["--root", environment.root().to_str().unwrap(), "--yes"]);
        command.args(["--repo", "http://mirror.invalid/index.db", "install", "tool"]);
        command.envs(variables.iter().copied()).output().unwrap()
    };
    let address = proxy.url("");
    let output = run(&[("http_proxy", &address)]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
    assert_eq!(proxy.asked(), ["http://mirror.invalid/index.db", "http://mirror.invalid/pool/tool-1.pkt.tar.zst"]);
    environment.run(&["remove", "tool"]).ok();
    for variables in [&[][..], &[("http_proxy", address.as_str()), ("no_proxy", "mirror.invalid")]] {
        assert_eq!(run(variables).status.code(), Some(4), "{variables:?}");
    }
    assert_eq!(proxy.asked().len(), 2);
}
