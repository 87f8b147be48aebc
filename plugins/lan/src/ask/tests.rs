//! What answers mean, without a network.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use packets_plugin_api::fetch::Artifact;
use packets_plugin_api::ident::Digest;

use super::memory::{Known, Remembered};
use super::round::{Letter, Round};
use crate::limits::{FIRST_WAIT, LEAST_PATIENCE, MAX_NAMES, MAX_PEERS, MAX_PLACES, MAX_WANTED};
use crate::networks::{Network, Range};
use crate::wire::v2::{self, Message as Two, bits};
use crate::wire::{Message, decode, v1};

const PORT: u16 = 1333;
const NOW: u64 = 1_800_000_000;

fn digest(number: u8) -> Digest {
    Digest::from_bytes([number; 32])
}

fn want(number: u8) -> Artifact {
    let mirrors = vec![format!("http://mirror.example/pool/file-{number}.pkt.tar.zst?x=y")];
    Artifact { package: "p".parse().unwrap(), digest: digest(number), size: None, mirrors }
}

fn network() -> Network {
    Network { interface: "eth0".to_owned(), range: Range::V4(Ipv4Addr::new(10, 0, 0, 0), 24) }
}

fn other_network() -> Network {
    Network { interface: "eth1".to_owned(), range: Range::V4(Ipv4Addr::new(10, 0, 1, 0), 24) }
}

fn host(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A round on one network that has asked for these files, and its nonces.
fn asked(known: Known, wants: &[Artifact], at: Instant) -> (Round, Vec<Letter>) {
    let mut round = Round::new(vec![(network(), known), (other_network(), Known::default())], at);
    let mut next = 0;
    let letters = round.ask(wants, PORT, NOW, at, || {
        next += 1;
        [next; 16]
    });
    (round, letters)
}

fn known_peers(round: &Round) -> Known {
    let mut remembered = Remembered::default();
    for (key, observed) in round.observed() {
        remembered.learn(&key, &observed, NOW);
    }
    remembered.of(&network().key())
}

fn answer(nonce: u8, machine: u8, have: &[bool]) -> Vec<u8> {
    let have = bits(have.iter().copied());
    v2::encode(&Two::Answer { nonce: [nonce; 16], machine: [machine; 8], port: 9123, have })
}

fn places(round: &Round, number: u8) -> Vec<String> {
    round.places(&digest(number)).iter().map(ToString::to_string).collect()
}

#[test]
fn one_question_for_all_files_and_one_of_version_1_for_each() {
    let wants: Vec<_> = (0..45).map(want).collect();
    let (_, letters) = asked(Known::default(), &wants, Instant::now());
    let first: Vec<_> = letters.iter().filter(|letter| letter.network == 0).collect();
    assert!(first.iter().all(|letter| letter.to == host("10.0.0.255:1333")), "the directed broadcast address");
    let counts: Vec<usize> = first
        .iter()
        .filter_map(|letter| match decode(&letter.bytes) {
            Some(Message::Two(Two::Question { wanted, .. })) => Some(wanted.len()),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [MAX_WANTED, 5]);
    let names = first.iter().filter(|letter| letter.bytes.starts_with(b"Q:")).count();
    assert_eq!(names, 45);
    assert!(first.iter().any(|letter| letter.bytes == v1::question("file-7.pkt.tar.zst")));
    assert_eq!(letters.len(), 2 * first.len(), "the same on the other network");
}

#[test]
fn names_of_version_1_up_to_a_bound() {
    let names_for = |wants: &[Artifact]| {
        let (_, letters) = asked(Known::default(), wants, Instant::now());
        let of_one = letters.into_iter().filter(|letter| letter.network == 0 && letter.bytes.starts_with(b"Q:"));
        of_one.map(|letter| letter.bytes).collect::<Vec<_>>()
    };
    let mut wants: Vec<_> = (0..=u8::MAX).map(want).collect();
    let last = v1::question("file-255.pkt.tar.zst");
    let all = names_for(&wants);
    assert!(all.len() == MAX_NAMES && all.contains(&last), "{}", all.len());
    wants[0].mirrors.push("http://other.example/other.pkt.tar.zst".to_owned());
    let cut = names_for(&wants);
    assert!(cut.len() == MAX_NAMES && !cut.contains(&last), "{}", cut.len());
    assert!(cut.contains(&v1::question("other.pkt.tar.zst")), "the first are asked for");
}

#[test]
fn n01_only_what_was_asked_is_heard_and_once() {
    let now = Instant::now();
    let (mut round, _) = asked(Known::default(), &[want(1), want(2)], now);
    let peer = host("10.0.0.7:1333");
    let mut hear = |bytes: &[u8]| round.hear(0, peer, bytes, now);
    assert!(!hear(&answer(9, 1, &[true, true])), "another nonce");
    assert!(!hear(&answer(1, 1, &[true; 9])), "bits for other files");
    assert!(!hear(&v1::have("another.pkt.tar.zst", 9123)), "a name that was not asked for");
    assert!(!hear(b"") && !hear(&v1::question("file-1.pkt.tar.zst")) && !hear(&v2::encode(&Two::Hello([1; 8], 9123))));
    assert!(hear(&answer(1, 1, &[true, false])));
    assert!(!hear(&answer(1, 1, &[true, false])), "said already");
    assert_eq!(places(&round, 1), [format!("lan://10.0.0.7:9123/{}", digest(1))]);
    assert!(places(&round, 2).is_empty());
}

#[test]
fn n02_n03_who_answers_is_where_the_datagram_came_from_and_near() {
    let now = Instant::now();
    let (mut round, _) = asked(Known::default(), &[want(1)], now);
    let yes = answer(1, 1, &[true]);
    for bad in [
        "127.0.0.1:1333",
        "169.254.169.254:1333",
        "10.0.1.7:1333",
        "10.0.0.255:1333",
        "10.0.0.0:1333",
        "8.8.8.8:1333",
        "224.0.0.1:1333",
        "0.0.0.0:1333",
        "10.0.0.7:0",
        "[::1]:1333",
    ] {
        assert!(!round.hear(0, host(bad), &yes, now), "{bad}");
    }
    assert!(!round.hear(1, host("10.0.0.7:1333"), &yes, now), "of the network, but not from it");
    assert!(!round.hear(5, host("10.0.0.7:1333"), &yes, now));
    let low = v2::encode(&Two::Answer { nonce: [1; 16], machine: [1; 8], port: 80, have: vec![0x80] });
    assert!(!round.hear(0, host("10.0.0.7:1333"), &low, now), "a service of the system");
    assert!(round.hear(0, host("10.0.0.7:1333"), &yes, now));
}

#[test]
fn version_1_is_believed_for_the_name_and_version_2_takes_its_place() {
    let now = Instant::now();
    let (mut round, _) = asked(Known::default(), &[want(1)], now);
    assert!(round.hear(0, host("10.0.0.7:1333"), b"H:file-1.pkt.tar.zst:9123", now));
    assert!(round.hear(0, host("10.0.0.8:1333"), b"H:file-1.pkt.tar.zst:80", now));
    assert_eq!(places(&round, 1), ["lan://10.0.0.7:9123/file-1.pkt.tar.zst", "lan://10.0.0.8:80/file-1.pkt.tar.zst"]);
    assert!(round.hear(0, host("10.0.0.7:1333"), &answer(1, 1, &[true]), now));
    assert!(!round.hear(0, host("10.0.0.7:1333"), b"H:file-1.pkt.tar.zst:9123", now));
    assert_eq!(places(&round, 1)[0], format!("lan://10.0.0.7:9123/{}", digest(1)));
    assert_eq!(places(&round, 1).len(), 2);
}

#[test]
fn one_machine_with_two_addresses_is_one_place() {
    let now = Instant::now();
    let (mut round, _) = asked(Known::default(), &[want(1)], now);
    assert!(round.hear(0, host("10.0.0.7:1333"), &answer(1, 1, &[true]), now));
    round.hear(1, host("10.0.1.7:1333"), &answer(1, 1, &[true]), now);
    assert_eq!(places(&round, 1).len(), 1);
    assert!(round.hear(1, host("10.0.1.8:1333"), &answer(1, 2, &[true]), now));
    assert_eq!(places(&round, 1).len(), 2);
}

#[test]
fn one_machine_is_one_place_however_its_answers_of_both_versions_come() {
    let now = Instant::now();
    let (one, other) = (host("10.0.0.7:1333"), host("10.0.1.7:1333"));
    let (words, says_yes) = (b"H:file-1.pkt.tar.zst:9123".to_vec(), answer(1, 1, &[true]));
    let said = [(0, one, &words), (0, one, &says_yes), (1, other, &words), (1, other, &says_yes)];
    for order in (0..256).map(|number| [number % 4, number / 4 % 4, number / 16 % 4, number / 64]) {
        if (0..4).any(|number| !order.contains(&number)) {
            continue;
        }
        let (mut round, _) = asked(Known::default(), &[want(1)], now);
        for number in order {
            let (network, from, bytes) = said[number];
            round.hear(network, from, bytes, now);
        }
        assert_eq!(places(&round, 1).len(), 1, "{order:?}: {:?}", places(&round, 1));
    }
}

#[test]
fn n08_ten_thousand_who_answer() {
    let now = Instant::now();
    let wide = Network { interface: "eth0".to_owned(), range: Range::V4(Ipv4Addr::new(10, 0, 0, 0), 8) };
    let mut round = Round::new(vec![(wide, Known::default())], now);
    round.ask(&[want(1)], PORT, NOW, now, || [1; 16]);
    for number in 1..10_000_u32 {
        let from = SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), PORT));
        let machine = u64::from(number).to_ne_bytes();
        let bytes = v2::encode(&Two::Answer { nonce: [1; 16], machine, port: 9123, have: vec![0x80] });
        round.hear(0, from, &bytes, now);
    }
    assert_eq!(places(&round, 1).len(), MAX_PLACES);
    assert_eq!(round.observed().map(|(_, observed)| observed.answered.len()).sum::<usize>(), MAX_PEERS);
}

#[test]
fn n09_who_gave_wrong_bytes_is_not_heard_any_more() {
    let now = Instant::now();
    let (mut round, _) = asked(Known::default(), &[want(1)], now);
    let from = host("10.0.0.7:1333");
    round.hear(0, from, &answer(1, 1, &[true]), now);
    round.condemn(round.places(&digest(1))[0].address());
    assert!(places(&round, 1).is_empty());
    for number in 2..10 {
        assert!(!round.hear(0, from, &answer(1, number, &[true]), now), "whatever it calls itself");
        let other_port = format!("H:file-1.pkt.tar.zst:{}", 9000 + u32::from(number));
        assert!(!round.hear(0, host("10.0.0.7:5555"), other_port.as_bytes(), now), "and from whatever port");
    }
    assert!(places(&round, 1).is_empty());
    assert!(known_peers(&round).peers().is_empty());
}

#[test]
fn the_wait_ends_when_all_who_are_known_have_said_no() {
    let start = Instant::now();
    let (mut first, _) = asked(Known::default(), &[want(1)], start);
    assert_eq!(first.expects_until(start), Some(start + FIRST_WAIT));
    first.hear(0, host("10.0.0.7:1333"), &answer(1, 1, &[false]), start + Duration::from_micros(200));
    first.hear(0, host("10.0.0.8:1333"), &answer(1, 2, &[false]), start + Duration::from_micros(300));
    assert!(first.expects_until(start).is_some(), "others may be there");

    let quiet = |known| {
        let mut round = Round::new(vec![(network(), known)], start);
        let letters = round.ask(&[want(2)], PORT, NOW + 1, start, || [1; 16]);
        (round, letters)
    };
    let (mut second, letters) = quiet(known_peers(&first));
    let to: BTreeSet<_> = letters.iter().map(|letter| letter.to.to_string()).collect();
    assert_eq!(to, ["10.0.0.7:1333", "10.0.0.8:1333"].map(str::to_owned).into(), "no broadcast");
    assert_eq!(second.expects_until(start), Some(start + LEAST_PATIENCE));
    assert!(second.hear(0, host("10.0.0.7:1333"), &answer(1, 1, &[false]), start));
    assert!(second.expects_until(start).is_some());
    let to: Vec<_> = second.remind().iter().map(|letter| letter.to.to_string()).collect();
    assert_eq!(to, ["10.0.0.8:1333"], "asked again before the time is over");
    assert!(second.reminds_at(start).unwrap() < start + LEAST_PATIENCE);
    assert!(second.hear(0, host("10.0.0.8:1333"), &answer(1, 2, &[false]), start));
    assert_eq!(second.expects_until(start), None);
}

#[test]
fn without_networks_nothing_is_expected() {
    let now = Instant::now();
    let mut round = Round::new(Vec::new(), now);
    assert!(round.ask(&[want(1)], PORT, NOW, now, || [1; 16]).is_empty());
    assert_eq!(round.expects_until(now), None);
}
