//! Who asks, and what becomes of good and bad answers.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use packets_tests::peer::says_yes;
use packets_tests::{Lan, Reply, Server, on_path, skip};

use super::*;

#[test]
fn ours_to_ours() {
    let Some(lan) = Lan::of(2) else { return };
    let published = Published::new(3 << 20, NOWHERE);
    let (asker, giver) = (host(&lan, 1, &published.index()), host(&lan, 2, &published.index()));
    published.cache_on(&giver);
    let serving = Serving::begin(&giver, 1);
    let output = asker.run(&["--verbose", "install", "thing"]).ok();
    assert!(output.stderr.contains("thing: fetched from lan"), "{output}");
    assert_eq!(asker.launch("usr/bin/thing", &[]), "thing 1\n");
    wait_until(|| serving.status()["bytes"] == published.bytes.len() as u64);
    let memory = asker.read("var/lib/packets/lan.json");
    assert!(memory.contains("10.77.0.2:1333"), "{memory}");
    // Asked by itself the next time, without a broadcast.
    asker.run(&["remove", "thing"]).ok();
    asker.run(&["cache", "clean", "--packages"]).ok();
    asker.run(&["install", "thing"]).ok();
}

#[test]
fn without_being_told_so_a_root_says_nothing_and_no_lan_says_nothing() {
    let Some(lan) = Lan::of(2) else { return };
    let published = Published::new(1000, NOWHERE);
    let asker = host(&lan, 1, &published.index());
    let listener = lan.on(2, || UdpSocket::bind("0.0.0.0:1333").unwrap());
    asker.run(&["--no-lan", "install", "thing"]).fails(4);
    asker.put("etc/packets/config.toml", PLAIN);
    asker.run(&["install", "thing"]).fails(4);
    assert_eq!(heard(&listener, Duration::from_millis(300)), None);
    asker.put("etc/packets/config.toml", CONFIG);
    asker.run(&["install", "thing"]).fails(4);
    assert!(heard(&listener, Duration::from_secs(2)).is_some(), "told so, it asks");
}

#[test]
fn nobody_there_costs_nothing_after_a_while() {
    let Some(lan) = Lan::of(1) else { return };
    // A link that is there later is one more network.
    lan.settles();
    let mirror = lan.on(1, Server::start);
    let published = Published::new(1000, &mirror.url(""));
    mirror.set(&format!("/{}", published.name), Reply::Bytes(published.bytes.clone()));
    let asker = host(&lan, 1, &published.index());
    for _ in 0..8 {
        asker.run(&["install", "thing"]).ok();
        asker.run(&["remove", "thing"]).ok();
        asker.run(&["cache", "clean", "--packages"]).ok();
    }
    let memory = || asker.read("var/lib/packets/lan.json");
    let known: serde_json::Value = serde_json::from_str(&memory()).unwrap();
    assert_eq!(known["networks"]["eth0 10.77.0.0/24"]["quiet"], 6, "after so many questions nobody waits: {known}");
    let before = (memory(), fs::metadata(asker.at("var/lib/packets/lan.json")).unwrap().modified().unwrap());
    asker.run(&["install", "thing"]).ok();
    let after = (memory(), fs::metadata(asker.at("var/lib/packets/lan.json")).unwrap().modified().unwrap());
    assert_eq!(before, after, "and there is nothing more to note");
}

#[test]
fn where_nobody_is_waited_for_who_answers_once_a_minute_is_known_from_then_on() {
    let Some(lan) = Lan::of(2) else { return };
    lan.settles();
    let mirror = lan.on(1, Server::start);
    let published = Published::new(1000, &mirror.url(""));
    mirror.set(&format!("/{}", published.name), Reply::Bytes(published.bytes.clone()));
    let asker = host(&lan, 1, &published.index());
    let install = || {
        asker.run(&["install", "thing"]).ok();
        asker.run(&["remove", "thing"]).ok();
        asker.run(&["cache", "clean", "--packages"]).ok();
        serde_json::from_str::<serde_json::Value>(&asker.read("var/lib/packets/lan.json")).unwrap()
    };
    (0..7).for_each(|_| drop(install()));
    let mut known = install();
    says_yes(&lan, 2);
    let peers = |known: &serde_json::Value| known["networks"]["eth0 10.77.0.0/24"]["peers"].as_array().unwrap().len();
    // Not within the minute; then the minute is over.
    if known["networks"]["eth0 10.77.0.0/24"]["looked"].as_u64().unwrap() + 30 > now() {
        assert_eq!(peers(&install()), 0);
    }
    known["networks"].as_object_mut().unwrap().values_mut().for_each(|network| network["looked"] = 0.into());
    fs::write(asker.at("var/lib/packets/lan.json"), known.to_string()).unwrap();
    let known = install();
    assert_eq!(peers(&known), 1, "{known}");
    assert!(known["networks"]["eth0 10.77.0.0/24"]["looked"].as_u64().unwrap() > 0, "{known}");
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn the_mirror_s_client_begins_before_the_lan_is_looked_at_and_what_is_cached_needs_neither() {
    let Some(strace) = on_path("strace") else { return skip("needs strace") };
    let Some(lan) = Lan::of(1) else { return };
    lan.settles();
    let mirror = lan.on(1, Server::start);
    let published = Published::new(1000, &mirror.url(""));
    mirror.set(&format!("/{}", published.name), Reply::Bytes(published.bytes.clone()));
    let mut asker = host(&lan, 1, &published.index());
    for _ in 0..8 {
        asker.run(&["install", "thing"]).ok();
        asker.run(&["remove", "thing"]).ok();
        asker.run(&["cache", "clean", "--packages"]).ok();
    }
    let into = asker.at("calls");
    let by = [strace.to_str().unwrap(), "-f", "-qq", "-e", "trace=clone,clone3,openat", "-o", into.to_str().unwrap()];
    asker.run_by([lan.words(1), by.map(str::to_owned).to_vec()].concat());
    let calls = |words: &[&str]| {
        asker.run(words).ok();
        fs::read_to_string(&into).unwrap()
    };
    let fetching = calls(&["install", "thing"]);
    let (before, after) = fetching.split_once("/net/route").unwrap_or_else(|| panic!("{fetching}"));
    assert!(before.contains("lan.json") && !after.contains("lan.json"), "{fetching}");
    let threads = |text: &str| text.matches("CLONE_THREAD").count();
    assert_eq!(threads(after), 0, "none begins for the LAN, and the mirror's has begun: {fetching}");
    calls(&["remove", "thing"]);
    let cached = calls(&["install", "thing"]);
    assert!(!cached.contains("lan.json") && !cached.contains("/net/"), "{cached}");
    assert_eq!(threads(&cached), threads(before) - 1, "the mirror's is not needed either: {cached}");
}

/// A peer that answers every question of version 2 with yes, and then does this with the connection.
fn peer(lan: &Lan, number: u8, serve: impl Fn(&mut std::net::TcpStream) + Send + 'static) {
    says_yes(lan, number);
    let files = lan.on(number, || TcpListener::bind("0.0.0.0:9123").unwrap());
    std::thread::spawn(move || {
        for mut stream in files.incoming().flatten() {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            serve(&mut stream);
        }
    });
}

/// Installs where the only peer behaves like that, and the mirror is good.
fn survives(serve: impl Fn(&mut std::net::TcpStream, &[u8]) + Send + 'static) -> Option<packets_tests::Output> {
    let lan = Lan::of(2)?;
    let mirror = lan.on(1, Server::start);
    let published = Published::new(200_000, &mirror.url(""));
    mirror.set(&format!("/{}", published.name), Reply::Bytes(published.bytes.clone()));
    let asker = host(&lan, 1, &published.index());
    let bytes = published.bytes.clone();
    peer(&lan, 2, move |stream| serve(stream, &bytes));
    let begun = Instant::now();
    let output = asker.run(&["install", "thing"]).ok();
    assert!(begun.elapsed() < SOON, "{output}");
    assert_eq!(asker.launch("usr/bin/thing", &[]), "thing 1\n");
    Some(output)
}

fn head(stream: &mut std::net::TcpStream, length: usize) {
    let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
}

#[test]
fn n09_a_peer_that_lies() {
    let output = survives(|stream, bytes| {
        head(stream, bytes.len());
        let _ = stream.write_all(&vec![7; bytes.len()]);
    });
    assert!(output.is_none_or(|output| output.stderr.contains("10.77.0.2")), "who lied is told");
}

#[test]
fn n10_a_peer_that_is_right_until_nearly_the_end() {
    let output = survives(|stream, bytes| {
        head(stream, bytes.len());
        let _ = stream.write_all(&bytes[..bytes.len() - 1000]);
        let _ = stream.write_all(&[7; 1000]);
    });
    assert!(output.is_none_or(|output| output.stderr.contains("10.77.0.2")), "who lied is told");
}

#[test]
fn n12_a_peer_that_never_answers() {
    survives(|_, _| std::thread::sleep(Duration::from_secs(5)));
}

#[test]
fn a_peer_that_vanishes_midway() {
    let output = survives(|stream, bytes| {
        head(stream, bytes.len());
        let _ = stream.write_all(&bytes[..bytes.len() / 2]);
    });
    assert!(output.is_none_or(|output| !output.stderr.contains("10.77.0.2")), "that it has gone is no news");
}

#[test]
fn n13_a_peer_that_redirects_and_one_that_has_nothing_after_all() {
    for answer in [
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:22/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ] {
        let output = survives(move |stream, _| drop(stream.write_all(answer.as_bytes())));
        assert!(output.is_none_or(|output| !output.stderr.contains("10.77.0.2")), "a miss prints nothing");
    }
}
