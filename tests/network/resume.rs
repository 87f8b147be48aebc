//! Downloads that were killed or broke off (N10, N18, C29).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use packets_tests::{RealServer, Reply, Server, TestEnvironment, hash};

use super::{LARGE, cached, large};

const SIZE: usize = 6 << 20;
/// Enough to know where a transfer stands.
const SOME: u64 = 1 << 20;

fn part(environment: &TestEnvironment, bytes: &[u8]) -> PathBuf {
    environment.at(&format!("var/cache/packets/.partial-{}", hash(bytes)))
}

fn length(path: &PathBuf) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Begins to install from a server that takes its time, and is killed in the middle.
fn killed(environment: &TestEnvironment, server: &RealServer, package: &[u8]) -> u64 {
    let mut command = environment.command();
    let root = environment.root();
    command.args(["--root", root.to_str().unwrap(), "--yes", "--repo", &server.url("/index.db"), "install", "large"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (place, started) = (part(environment, package), Instant::now());
    while length(&place) < SOME {
        assert!(child.try_wait().unwrap().is_none(), "it is not done yet");
        assert!(started.elapsed() < Duration::from_secs(60), "nothing comes");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = fs::read_dir(environment.place().join("tmp")).map(|left| {
        left.flatten().for_each(|entry| drop(fs::remove_dir_all(entry.path())));
    });
    let length = length(&place);
    assert!(length < SIZE as u64, "killed in the middle");
    assert!(!cached(environment).contains(&format!("{}.pkt.tar.zst", hash(package))), "C29");
    length
}

fn installs(environment: &TestEnvironment, repo: &str, package: &[u8]) {
    environment.run(&["--repo", repo, "install", "large"]).ok();
    assert_eq!(environment.launch("usr/bin/large", &[]), "large 1\n");
    assert_eq!(cached(environment), [format!("{}.pkt.tar.zst", hash(package))], "C29 nothing else is left");
}

/// A slow server, a fast one beside it, and a package.
fn two_servers(environment: &TestEnvironment) -> Option<(RealServer, RealServer, Vec<u8>)> {
    let slow = RealServer::nginx(&environment.repo(), "limit_rate 2m;")?;
    let fast = RealServer::nginx(&environment.repo(), "")?;
    let file = large(environment, SIZE, &[]);
    Some((slow, fast, fs::read(file).unwrap()))
}

#[test]
fn c29_n18_a_killed_download_is_continued() {
    let environment = TestEnvironment::new();
    let Some((slow, fast, package)) = two_servers(&environment) else { return };
    let came = killed(&environment, &slow, &package);
    installs(&environment, &fast.url("/index.db"), &package);
    let left = package.len() as u64 - came;
    let line = format!("206 {left} /{LARGE} range=bytes={came}- if_range=-");
    assert_eq!(fast.asked().last(), Some(&line), "only the rest");
}

#[test]
fn n10_c29_a_part_that_was_changed_is_found_out() {
    let environment = TestEnvironment::new();
    let Some((slow, fast, package)) = two_servers(&environment) else { return };
    let came = killed(&environment, &slow, &package);
    let place = part(&environment, &package);
    let mut bytes = fs::read(&place).unwrap();
    bytes[1000] ^= 1;
    fs::write(&place, &bytes).unwrap();
    let output = environment.run(&["--repo", &fast.url("/index.db"), "install", "large"]).ok();
    output.says("does not go with what came before");
    let statuses: Vec<String> = fast.asked().iter().skip(1).map(|line| line[..3].to_owned()).collect();
    assert_eq!(statuses, ["206", "200"], "from {came} on, and then all of it");
    assert_eq!(environment.launch("usr/bin/large", &[]), "large 1\n");
}

#[test]
fn n18_c29_other_things_in_the_place_of_a_part() {
    let environment = TestEnvironment::new();
    let server = Server::start();
    let package = fs::read(large(&environment, 1 << 20, &[])).unwrap();
    server.serve(&environment.repo());
    let longer = [&package[..], b"longer"].concat();
    for (left, mode) in [(&package[..], 0o600), (&longer, 0o600), (b"", 0o600), (&package[..1000], 0o666)] {
        fs::remove_dir_all(environment.root()).unwrap();
        let place = part(&environment, &package);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, left).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
        let before = server.asked().len();
        installs(&environment, &server.url("/index.db"), &package);
        let asked = &server.requests()[before..];
        match left.len() == package.len() {
            true => assert_eq!(asked.len(), 1, "all of it was there: {asked:?}"),
            false => assert!(asked.len() == 2 && asked[1].range.is_none(), "{mode:o} {asked:?}"),
        }
    }
}

#[test]
fn c29_a_dry_run_that_fails_leaves_nothing() {
    let environment = TestEnvironment::new();
    environment.prime();
    let server = Server::start();
    let package = fs::read(large(&environment, 1 << 20, &[])).unwrap();
    server.serve(&environment.repo());
    let repo = server.url("/index.db");
    server.set(&format!("/{LARGE}"), Reply::Cut(package.clone(), 300_000));
    let arguments = ["--repo", &repo, "install", "large", "--dry-run"];
    environment.refused(4, || environment.run(&arguments));
    assert_eq!(cached(&environment), [""; 0]);
    environment.run(&arguments[..4]).fails(4);
    assert_eq!(cached(&environment), [format!(".partial-{}", hash(&package))]);
    server.set(&format!("/{LARGE}"), Reply::Bytes(package.clone()));
    environment.run(&arguments).ok();
    assert!(cached(&environment).contains(&format!("{}.pkt.tar.zst", hash(&package))), "verified files may stay");
}

#[test]
fn n18_a_transfer_that_breaks_off_goes_on_in_the_same_version() {
    let environment = TestEnvironment::new();
    let server = Server::start();
    let package = fs::read(large(&environment, 1 << 20, &[])).unwrap();
    server.serve(&environment.repo());
    let mut other = package.clone();
    other[5] ^= 1;
    for (first, goes_on) in [(&package, true), (&other, false)] {
        fs::remove_dir_all(environment.root()).unwrap();
        fs::create_dir(environment.root()).unwrap();
        let replies = vec![Reply::Cut(first.clone(), 300_000), Reply::Bytes(package.clone())];
        server.set(&format!("/{LARGE}"), Reply::Each(replies));
        let before = server.asked().len();
        installs(&environment, &server.url("/index.db"), &package);
        let asked = &server.requests()[before + 1..];
        assert_eq!(asked[1].range.as_deref(), Some("bytes=300000-"));
        assert_eq!(asked[1].if_range, Some(format!("\"{}\"", hash(first))));
        // Another version by now: what came is worth nothing, and the file is asked for once more.
        assert_eq!(asked.len(), if goes_on { 2 } else { 3 }, "{asked:?}");
        assert!(asked.last().unwrap().range.is_some() == goes_on);
    }
}

#[test]
fn n18_wrong_parts_are_not_taken() {
    let environment = TestEnvironment::new();
    let (server, good) = (Server::start(), Server::start());
    let (bad_url, good_url) = (server.url(""), good.url(""));
    let package = fs::read(large(&environment, 1 << 20, &[&bad_url, &good_url])).unwrap();
    let size = package.len();
    good.serve(&environment.repo());
    let reply = |status: &str, range: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\n{range}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        Reply::Raw([head.as_bytes(), body].concat())
    };
    let part = |first: usize, last: usize, total: usize| format!("Content-Range: bytes {first}-{last}/{total}\r\n");
    for (what, second) in [
        ("another offset", reply("206 Part", &part(200_000, size - 1, size), &package[200_000..])),
        ("another total", reply("206 Part", &part(300_000, size - 1, size + 5), &package[300_000..])),
        ("less than the rest", reply("206 Part", &part(300_000, size - 2, size), &package[300_000..size - 1])),
        ("no range", reply("206 Part", "", &package[300_000..])),
        ("the part as the whole", reply("200 OK", "", &package[300_000..])),
        ("a longer rest", reply("206 Part", &part(300_000, size, size + 1), &[&package[300_000..], b"x"].concat())),
        ("416", reply("416 No", "", b"")),
        ("garbage", reply("206 Part", &part(300_000, size - 1, size), &vec![b'?'; size - 300_000])),
    ] {
        fs::remove_dir_all(environment.root()).unwrap();
        fs::create_dir(environment.root()).unwrap();
        server.set(&format!("/{LARGE}"), Reply::Each(vec![Reply::Cut(package.clone(), 300_000), second]));
        // The good one asks for a second, so that the other goes on before it.
        let busy = Reply::Raw(b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_vec());
        good.set(&format!("/{LARGE}"), Reply::Each(vec![busy, Reply::Bytes(package.clone())]));
        let before = server.requests().len();
        installs(&environment, &good.url("/index.db"), &package);
        let asked = &server.requests()[before..];
        assert_eq!(asked[1].range.as_deref(), Some("bytes=300000-"), "{what}");
    }
}
