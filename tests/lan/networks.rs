//! Networks of every kind: several, without IPv4, behind a firewall, with losses, with peers that are of no use. Whatever
//! it is, an install comes to its end, and it takes little longer than without a LAN.

use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use packets_tests::peer::{Manner, Peer};
use packets_tests::{Lan, Output, Reply, Server};

use super::*;

/// The longest wait for answers, and what a busy machine takes besides.
const WAIT: Duration = Duration::from_millis(250 + 750);
const RUNS: usize = 5;

/// A host that wants a small file, and has a mirror of its own.
struct World {
    asker: TestEnvironment,
    published: Published,
    lan: Lan,
}

impl World {
    fn of(hosts: u8, size: usize) -> Option<Self> {
        let lan = Lan::of(hosts)?;
        let mirror = lan.on(1, Server::start);
        let published = Published::new(size, &mirror.url(""));
        mirror.set(&format!("/{}", published.name), Reply::Bytes(published.bytes.clone()));
        Some(Self { asker: host(&lan, 1, &published.index()), published, lan })
    }

    /// Installs it, and makes as if that had not been.
    fn install(&self, words: &[&str]) -> (Output, Duration) {
        let begun = Instant::now();
        let output = self.asker.run(&[words, &["--verbose", "install", "thing"]].concat()).ok();
        let took = begun.elapsed();
        assert_eq!(self.asker.launch("usr/bin/thing", &[]), "thing 1\n");
        self.asker.run(&["remove", "thing"]).ok();
        self.asker.run(&["cache", "clean", "--packages"]).ok();
        (output, took)
    }

    fn comes_from_lan(&self) -> bool {
        self.install(&[]).0.stderr.contains("thing: fetched from lan")
    }

    /// It comes from the mirror, nobody is blamed, and it takes no longer than without a LAN but for the wait.
    fn comes_from_the_mirror_in_time(&self) {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let (output, took) = self.install(&[]);
            assert!(output.stderr.contains("thing: fetched from http"), "{output}");
            assert!(!output.stderr.contains("lan://"), "{output}");
            with.push(took);
            without.push(self.install(&["--no-lan"]).1);
        }
        with.sort();
        without.sort();
        assert!(with[RUNS / 2] < without[RUNS / 2] + WAIT, "with {with:?}, without {without:?}");
    }

    /// A host with a server that has the file.
    fn giver(&self, number: u8) -> TestEnvironment {
        let giver = host(&self.lan, number, &self.published.index());
        self.published.cache_on(&giver);
        giver
    }
}

#[test]
fn two_networks_are_asked_and_both_answer() {
    let Some(lan) = Lan::of(3) else { return };
    lan.second_network(&[1, 3]);
    lan.unplug(3);
    let published = Published::new(12 << 20, NOWHERE);
    let asker = host(&lan, 1, &published.index());
    let peers = [2, 3].map(|number| Peer::start(&lan, number, published.bytes.clone(), Manner::Gives(64)));
    let output = asker.run(&["--verbose", "install", "thing"]).ok();
    assert!(output.stderr.contains("thing: fetched from lan"), "{output}");
    let given = peers.each_ref().map(Peer::given);
    assert!(given.iter().all(|given| *given > 1 << 20), "both give a part: {given:?}");
    let memory: serde_json::Value = serde_json::from_str(&asker.read("var/lib/packets/lan.json")).unwrap();
    for (network, peer) in [("eth0 10.77.0.0/24", "10.77.0.2:1333"), ("eth1 10.78.0.0/24", "10.78.0.3:1333")] {
        assert_eq!(memory["networks"][network]["peers"][0]["address"], peer, "{memory}");
    }
}

#[test]
fn a_server_on_two_networks_answers_on_both_and_is_one() {
    let Some(world) = World::of(2, 3 << 20) else { return };
    world.lan.second_network(&[1, 2]);
    let giver = world.giver(2);
    let serving = Serving::begin(&giver, 1);
    let memory = || world.asker.read("var/lib/packets/lan.json");
    let knows_both = || memory().contains("10.77.0.2:1333") && memory().contains("10.78.0.2:1333");
    // One answer is enough for the file: the other may come when nobody waits for it any more.
    let came = (1..=5).find(|_| !world.comes_from_lan() || knows_both());
    assert!(knows_both(), "{}", memory());
    wait_until(|| serving.status()["given"].as_u64() == came);
}

#[test]
fn ipv6_alone_without_any_address_of_ipv4() {
    let Some(world) = World::of(3, 300_000) else { return };
    if !world.lan.without_ipv4() {
        return packets_tests::skip("this machine has no IPv6");
    }
    world.comes_from_the_mirror_in_time();
    let giver = world.giver(2);
    let serving = Serving::begin(&giver, 1);
    assert!(world.comes_from_lan() || world.comes_from_lan(), "an answer that comes too late is there the next time");
    wait_until(|| serving.status()["given"].as_u64() > Some(0));
    let memory = world.asker.read("var/lib/packets/lan.json");
    assert!(memory.contains("[fe80::") && !memory.contains("10.77"), "{memory}");
    assert!(world.comes_from_lan(), "asked by itself too");
}

/// Only what belongs to a connection that this host has begun.
const OWN: &str = "ct state established,related accept";

#[test]
fn a_firewall_that_drops_answers_to_a_broadcast() {
    let Some(world) = World::of(2, 300_000) else { return };
    if !world.lan.firewall(1, &[OWN], "drop") {
        return;
    }
    let giver = world.giver(2);
    let serving = Serving::begin(&giver, 1);
    world.comes_from_the_mirror_in_time();
    wait_until(|| serving.status()["answers"].as_u64() > Some(0));
    // As the README says: the rule that lets answers in, and then they are known.
    assert!(world.lan.firewall(1, &[OWN, "iifname \"eth0\" udp sport 1333 accept"], "drop"));
    world.install(&[]);
    assert!(world.comes_from_lan());
    let history = world.asker.run(&["history"]).ok().stdout;
    // Which of its answers came first is chance.
    let is_told = ["  from lan://10.77.0.2:9123/", "  from lan://[fe80:"].iter().any(|place| history.contains(place));
    assert!(is_told, "who gave it is on record: {history}");
    assert!(history.contains("  from http://127.0.0.1:"), "{history}");
    // Who is known is asked by itself, and an answer to that comes through without the rule.
    assert!(world.lan.firewall(1, &[OWN], "drop"));
    assert!(world.comes_from_lan());
}

#[test]
fn a_firewall_of_who_shares_as_the_readme_has_it() {
    let Some(world) = World::of(2, 300_000) else { return };
    let (questions, files) = ("iifname \"eth0\" udp dport 1333 accept", "iifname \"eth0\" tcp dport 9123 accept");
    if !world.lan.firewall(2, &[OWN, questions, files], "drop") {
        return;
    }
    let giver = world.giver(2);
    let _serving = Serving::begin(&giver, 1);
    assert!(world.comes_from_lan());
    // Files that do not come through after all: the mirror is asked meanwhile.
    assert!(world.lan.firewall(2, &[OWN, questions], "drop"));
    world.comes_from_the_mirror_in_time();
}

#[test]
fn a_fifth_of_all_packets_is_lost() {
    let Some(world) = World::of(3, 300_000) else { return };
    let giver = world.giver(2);
    let _serving = Serving::begin(&giver, 1);
    let lossy = ["iifname \"eth0\" numgen random mod 100 < 20 drop"];
    if ![1, 2].into_iter().all(|number| world.lan.firewall(number, &lossy, "accept")) {
        return;
    }
    for _ in 0..2 * RUNS {
        let (output, took) = world.install(&[]);
        assert!(took < SOON, "{took:?}: {output}");
        assert!(!output.stderr.contains("lan://"), "that something breaks off is no news: {output}");
    }
    // Nothing comes through any more, of peers that are known.
    assert!(world.lan.firewall(1, &["iifname \"eth0\" drop"], "accept"));
    world.comes_from_the_mirror_in_time();
}

/// Says this to every question, from the port of questions.
fn answers(lan: &Lan, number: u8, answer: impl Fn(&UdpSocket, &[u8], std::net::SocketAddr) + Send + 'static) {
    let questions = lan.on(number, || UdpSocket::bind("0.0.0.0:1333").unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = questions.recv_from(&mut buffer) {
            answer(&questions, &buffer[..length], from);
        }
    });
}

/// Counts who comes for files, and says nothing to them.
fn visitors(lan: &Lan, number: u8) -> Arc<AtomicU64> {
    let files = lan.on(number, || TcpListener::bind("0.0.0.0:9123").unwrap());
    let count = Arc::new(AtomicU64::new(0));
    let counts = count.clone();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in files.incoming().flatten() {
            counts.fetch_add(1, Ordering::SeqCst);
            held.push(stream);
        }
    });
    count
}

/// An answer of version 2: yes, for this question and at this port.
fn yes(question: &[u8], machine: u64, port: u16) -> Vec<u8> {
    [&b"P2!"[..], &question[3..19], &machine.to_be_bytes(), &port.to_be_bytes(), &[0x80]].concat()
}

#[test]
fn n01_a_peer_that_answers_for_what_was_not_asked() {
    let Some(world) = World::of(2, 300_000) else { return };
    let came = visitors(&world.lan, 2);
    answers(&world.lan, 2, |socket, question, from| {
        let mut other = question.to_vec();
        other.iter_mut().skip(3).take(16).for_each(|byte| *byte ^= 1);
        if question.starts_with(b"P2?") {
            let _ = socket.send_to(&yes(&other, 1, 9123), from);
        }
        for name in ["thing-2.pkt.tar.zst", "thing", "../thing", ""] {
            let _ = socket.send_to(format!("H:{name}:9123").as_bytes(), from);
        }
    });
    world.comes_from_the_mirror_in_time();
    assert_eq!(came.load(Ordering::SeqCst), 0, "nobody comes for what was not asked for");
}

#[test]
fn n08_a_peer_that_floods() {
    let Some(world) = World::of(2, 300_000) else { return };
    let came = visitors(&world.lan, 2);
    answers(&world.lan, 2, |socket, question, from| {
        let rubbish = [0xff; 1400];
        for number in 0..20_000_u64 {
            let _ = socket.send_to(&rubbish[..(number % 1400) as usize], from);
            if question.starts_with(b"P2?") {
                let port = if number % 2 == 0 { 9123 } else { 2000 + (number % 60_000) as u16 };
                let _ = socket.send_to(&yes(question, number, port), from);
            }
        }
    });
    for _ in 0..RUNS {
        let (output, took) = world.install(&[]);
        assert!(took < SOON && output.stderr.contains("thing: fetched from http"), "{took:?}: {output}");
    }
    assert!(came.load(Ordering::SeqCst) <= 8 * RUNS as u64, "no more than so many places a file");
}

#[test]
fn n12_a_peer_that_says_yes_and_then_nothing() {
    let Some(world) = World::of(2, 300_000) else { return };
    let _came = visitors(&world.lan, 2);
    packets_tests::peer::says_yes(&world.lan, 2);
    world.comes_from_the_mirror_in_time();
}

/// What an install says where the only peer behaves so, with a mirror beside it.
fn beside_a_mirror(manner: Manner, size: usize) -> Option<(Output, Duration)> {
    let world = World::of(2, size)?;
    let _peer = Peer::start(&world.lan, 2, world.published.bytes.clone(), manner);
    let (output, took) = world.install(&[]);
    assert!(took < SOON, "{manner:?}: {took:?}: {output}");
    assert!(!output.stderr.contains("lan://"), "{output}");
    Some((output, took))
}

#[test]
fn n12_a_slow_peer_gives_way_sooner_than_a_mirror_does() {
    // 1 KB, 200 KB and 6 MB a second.
    for (manner, source) in [(Manner::Trickles, "http"), (Manner::Gives(2), "http"), (Manner::Gives(64), "lan")] {
        let Some((output, took)) = beside_a_mirror(manner, 600_000) else { return };
        assert!(output.stderr.contains(&format!("thing: fetched from {source}")), "{manner:?}, {took:?}: {output}");
    }
}

#[test]
fn n12_a_peer_behind_a_slow_link_costs_little() {
    let Some(world) = World::of(2, 3_000_000) else { return };
    let giver = world.giver(2);
    let serving = Serving::begin(&giver, 1);
    // 125 kB a second.
    if !world.lan.limit(2, 1) {
        return;
    }
    for round in 0..3 {
        let (with, without) = (world.install(&[]).1, world.install(&["--no-lan"]).1);
        assert!(with < without + Duration::from_millis(600) + WAIT, "round {round}: {with:?}, without {without:?}");
    }
    assert!(serving.status()["given"].as_u64() > Some(0), "it was asked");
}

#[test]
fn n12_a_peer_that_stops_in_a_small_file_holds_it_up_for_a_moment() {
    let Some((output, _)) = beside_a_mirror(Manner::Stops, 300_000) else { return };
    assert!(output.stderr.contains("thing: fetched from http"), "{output}");
}

#[test]
fn peers_that_all_lack_it_cost_no_more_than_a_question() {
    let Some(world) = World::of(4, 300_000) else { return };
    let others: Vec<_> = (2..=4).map(|number| host(&world.lan, number, &world.published.index())).collect();
    let serving: Vec<_> = others.iter().map(|other| Serving::begin(other, 0)).collect();
    world.comes_from_the_mirror_in_time();
    for serving in &serving {
        wait_until(|| serving.status()["answers"].as_u64() >= Some(RUNS as u64));
        assert_eq!(serving.status()["given"], 0);
    }
}
