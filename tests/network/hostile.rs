//! A server that means harm: each of its answers costs little time and memory, changes nothing,
//! and does not keep another server from giving the package.

use std::fs;
use std::time::{Duration, Instant};

use packets_tests::{Package, Reply, Server, TestEnvironment, hash, zstd_of};

use super::{cached, index};

/// Five tries with their pauses, and a busy machine.
const TIME: Duration = Duration::from_secs(40);
const FILE: &str = "/tool-1.pkt.tar.zst";

struct World {
    environment: TestEnvironment,
    good: Server,
    bad: Server,
    package: Vec<u8>,
}

fn world() -> World {
    let mut environment = TestEnvironment::hostile();
    environment.allow_time(TIME);
    let package = fs::read(Package::program("tool", "1").file(&environment.repo())).unwrap();
    let (good, bad) = (Server::start(), Server::start());
    environment.prime();
    World { environment, good, bad, package }
}

impl World {
    fn indexed_at(&self, addresses: &[&str]) {
        index(&self.environment, addresses);
        self.good.serve(&self.environment.repo());
    }

    /// Within the bounds of time and memory, as every run here; its exit code.
    fn run(&self, what: &str, arguments: &[&str]) -> i32 {
        let output = self.environment.run(arguments);
        assert!(!output.stderr.contains(['\u{1b}', '\u{202e}']), "{what}: {output}");
        output.code
    }

    /// From the bad one alone: an error, and nothing has changed.
    fn refused(&self, what: &str, reply: Reply, codes: &[i32]) {
        self.indexed_at(&[&self.bad.url("")]);
        self.bad.set(FILE, reply);
        let before = self.environment.everything();
        let code = self.run(what, &["--repo", &self.good.url("/index.db"), "install", "tool"]);
        assert!(codes.contains(&code), "{what}: exit code {code}");
        before.assert_same(&self.environment.everything(), what);
        let finished = format!("{}.pkt.tar.zst", hash(&self.package));
        assert!(!cached(&self.environment).contains(&finished), "{what}");
    }

    /// With a good one behind it: installed.
    fn survived(&self, what: &str, reply: Reply) {
        self.indexed_at(&[&self.bad.url(""), &self.good.url("")]);
        self.bad.set(FILE, reply);
        let asked = self.bad.asked().len();
        assert_eq!(self.run(what, &["--repo", &self.good.url("/index.db"), "install", "tool"]), 0, "{what}");
        assert!(self.bad.asked().len() > asked, "{what}: it was asked");
        assert_eq!(self.environment.launch("usr/bin/tool", &[]), "tool 1\n");
        assert_eq!(cached(&self.environment), [format!("{}.pkt.tar.zst", hash(&self.package))], "N15 {what}");
        self.environment.run(&["remove", "tool"]).ok();
        fs::remove_dir_all(self.environment.at("var/cache/packets")).unwrap();
    }

    fn both(&self, what: &str, reply: Reply, codes: &[i32]) {
        self.refused(what, reply.clone(), codes);
        let _ = fs::remove_dir_all(self.environment.at("var/cache/packets"));
        self.survived(what, reply);
    }
}

fn raw(head: &str, body: &[u8]) -> Reply {
    Reply::Raw([format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), body].concat())
}

#[test]
fn n11_m14_bodies_of_a_wrong_size() {
    let world = world();
    let package = &world.package;
    let chunked = "Transfer-Encoding: chunked\r\n";
    world.both("an endless body", Reply::Endless, &[5]);
    world.both(
        "endless chunks",
        Reply::RawForEver([&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &[b'0'; 9999]].concat()),
        &[4, 5],
    );
    world.both("a chunk of 2^64 bytes", raw(chunked, b"10000000000000000\r\nx"), &[4, 5]);
    world.both("2^64 bytes announced", raw("Content-Length: 18446744073709551616\r\n", package), &[4, 5]);
    world.both("2^64 - 1 bytes announced", raw("Content-Length: 18446744073709551615\r\n", package), &[4, 5]);
    world.both("one byte more", Reply::Bytes([&package[..], b"x"].concat()), &[5]);
    world.both("one byte more, not announced", raw("Connection: close\r\n", &[&package[..], b"x"].concat()), &[5]);
    world.both("one byte less", Reply::Bytes(package[1..].to_vec()), &[5]);
    world.both("one byte less than announced", Reply::Cut(package.clone(), package.len() - 1), &[4]);
    world.both("nothing", Reply::Bytes(Vec::new()), &[5]);
}

#[test]
fn n09_n10_n19_wrong_bytes_of_the_right_size() {
    let world = world();
    let mut flipped = world.package.clone();
    *flipped.last_mut().unwrap() ^= 1;
    world.both("the last byte is another", Reply::Bytes(flipped), &[5]);
    let other = Package::program("look", "1").archive_with(&[]);
    world.both("N19 another package", Reply::Bytes(other), &[5]);
}

#[test]
fn n13_n14_redirects_to_where_none_may_lead() {
    let world = world();
    for target in [
        FILE,
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "data:text/plain,x",
        "gopher://127.0.0.1/",
        "http://",
        "/%0a201%20URI%20Done%0aFilename:%20x",
        "/%250a",
        "/\u{1b}[2J",
        "//127.0.0.1:0/",
    ] {
        world.both(target, Reply::Redirect(target.to_owned()), &[4]);
    }
}

#[test]
fn n13_redirects_are_followed_five_times() {
    let world = world();
    for (hops, comes) in [(5, true), (6, false)] {
        for hop in 0..hops {
            let next = if hop + 1 == hops { "/there".to_owned() } else { format!("/hop{}", hop + 1) };
            let from = if hop == 0 { FILE.to_owned() } else { format!("/hop{hop}") };
            world.bad.set(&from, Reply::Redirect(next));
        }
        world.bad.set("/there", Reply::Bytes(world.package.clone()));
        world.indexed_at(&[&world.bad.url("")]);
        let code = world.run("redirects", &["--repo", &world.good.url("/index.db"), "install", "tool", "--dry-run"]);
        assert_eq!(code, if comes { 0 } else { 4 }, "{hops} redirects");
        let _ = fs::remove_dir_all(world.environment.at("var/cache/packets"));
    }
}

#[test]
fn n15_what_a_server_calls_the_file() {
    let world = world();
    let head = "Content-Disposition: attachment; filename=\"../../root/.ssh/authorized_keys\"\r\nConnection: close\r\n";
    world.survived("Content-Disposition", raw(head, &world.package));
    world.indexed_at(&[&world.bad.url("")]);
    assert_eq!(world.run("alone", &["--repo", &world.good.url("/index.db"), "install", "tool"]), 0);
    assert_eq!(cached(&world.environment), [format!("{}.pkt.tar.zst", hash(&world.package))]);
}

#[test]
fn n16_encoded_bodies() {
    let world = world();
    let bomb = zstd_of(&vec![0; 200 << 20]);
    for (encoding, body) in [("zstd", &bomb), ("gzip", &world.package), ("br", &world.package), ("x", &world.package)] {
        let head = format!("Content-Encoding: {encoding}\r\nContent-Length: {}\r\n", body.len());
        world.both(&format!("encoded as {encoding}"), raw(&head, body), &[4]);
    }
}

#[test]
fn n17_heads_without_an_end() {
    let world = world();
    let many: String = (0..10_000).map(|number| format!("X-{number}: y\r\n")).collect();
    let long = format!("X: {}\r\n", "y".repeat(1 << 20));
    world.both("10,000 headers", raw(&many, &world.package), &[4]);
    world.both("a header of a mebibyte", raw(&long, &world.package), &[4]);
    assert_eq!(world.bad.asked().len(), 4, "who breaks the bounds is not asked again");
    world.both("headers without an end", Reply::RawForEver(b"HTTP/1.1 200 OK\r\nX: y\r\n".repeat(100)), &[4]);
    world.both("a line without an end", Reply::RawForEver(vec![b'y'; 10_000]), &[4]);
    world.both("HTTP/0.9", Reply::Raw(world.package.clone()), &[4]);
    world.survived(
        "replies of status 100 without an end",
        Reply::RawForEver(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(50)),
    );
}

#[test]
fn n12_n22_silence() {
    let world = world();
    let some = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", world.package.len());
    let started = Instant::now();
    world.survived("nothing is said", Reply::Silent(Vec::new()));
    world.survived("half a head", Reply::Silent(b"HTTP/1.1 200 OK\r\nX".to_vec()));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let half = [some.as_bytes(), &world.package[..world.package.len() / 2]].concat();
    world.survived("half a body", Reply::Silent(half));
    let all = [some.as_bytes(), &world.package].concat();
    world.survived("a whole body and no end of the connection", Reply::Silent(all));
}

#[test]
fn m07_n12_n22_one_byte_now_and_then() {
    let world = world();
    let drip = Reply::Drip(world.package.clone(), 1, Duration::from_millis(500));
    world.survived("two bytes a second", drip);
}

#[test]
fn n20_networks_that_ask_for_a_login_first() {
    let world = world();
    let page = b"\n<!DOCTYPE html><html><body>Please <a href=/login>log in</a></body></html>".to_vec();
    world.bad.set("/login", Reply::Bytes(page.clone()));
    let replies = [
        Reply::Bytes(page.clone()),
        raw("Content-Type: text/html\r\nConnection: close\r\n", &page),
        Reply::Redirect("/login".to_owned()),
        Reply::Status(511),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        world.both(&format!("portal {number}"), reply.clone(), &[4]);
        world.indexed_at(&[&world.bad.url("")]);
        world.bad.set(FILE, reply.clone());
        let repo = world.good.url("/index.db");
        world.environment.run(&["--repo", &repo, "install", "tool"]).fails(4).says("ask for a login first");
        world.bad.set("/index.db", reply);
        world.environment.run(&["sync", &world.bad.url("/index.db")]).fails(4).says("ask for a login first");
    }
}

#[test]
fn m06_an_index_without_an_end_costs_little() {
    let world = world();
    world.bad.set("/index.db", Reply::Endless);
    let before = world.environment.everything();
    assert_eq!(world.run("an endless index", &["sync", &world.bad.url("/index.db")]), 5);
    before.assert_same(&world.environment.everything(), "an endless index");
}
