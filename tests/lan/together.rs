//! Large files, which several peers and the mirror give at once.

use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use packets_tests::peer::{Manner, Peer};
use packets_tests::{Lan, Output, Reply, Server};

use super::*;

const MIB: u64 = 1 << 20;
const SIZE: usize = 12 << 20;
/// 6.4 MB a second.
const USUAL: Manner = Manner::Gives(64);

/// A file, a host that wants it, hosts with peers, and one with a mirror.
struct World {
    asker: TestEnvironment,
    published: Published,
    peers: Vec<Peer>,
    mirror: Server,
    lan: Lan,
}

impl World {
    /// With peers that behave so, each with the file or what `other` makes of it.
    fn of(manners: &[Manner], other: impl Fn(usize, &[u8]) -> Vec<u8>) -> Option<Self> {
        Self::behind(50, manners, other)
    }

    /// The same, whose mirror is behind a link of so many megabits a second.
    fn behind(megabits: u32, manners: &[Manner], other: impl Fn(usize, &[u8]) -> Vec<u8>) -> Option<Self> {
        let peers = u8::try_from(manners.len()).unwrap();
        let lan = Lan::of(peers + 2)?;
        let mirror = lan.on(peers + 2, || Server::start_at(Lan::address(peers + 2)));
        if !lan.limit(peers + 2, megabits) {
            return None;
        }
        let published = Published::new(SIZE, &mirror.url(""));
        mirror.set(&format!("/{}", published.name), Reply::Bytes(published.bytes.clone()));
        let asker = host(&lan, 1, &published.index());
        let start = |(number, manner): (usize, &Manner)| {
            let host = u8::try_from(number).unwrap() + 2;
            Peer::start(&lan, host, other(number, &published.bytes), *manner)
        };
        let peers = manners.iter().enumerate().map(start).collect();
        Some(Self { asker, published, peers, mirror, lan })
    }

    fn installs(&self) -> Output {
        let output = self.asker.run(&["install", "thing"]).ok();
        assert_eq!(self.asker.launch("usr/bin/thing", &[]), "thing 1\n");
        output
    }

    fn given(&self) -> Vec<u64> {
        self.peers.iter().map(Peer::given).collect()
    }

    fn size(&self) -> u64 {
        self.published.bytes.len() as u64
    }
}

fn the_file(_: usize, bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

/// Real servers, each behind a link of 40 Mbit a second: how long the asker needs for the file of one or all of them.
#[test]
#[expect(clippy::print_stdout, reason = "a measurement")]
fn four_peers_are_faster_than_one() {
    let mut took = Vec::new();
    for count in [1_u8, 4] {
        let Some(lan) = Lan::of(count + 1) else { return };
        if !(2..=count + 1).all(|number| lan.limit(number, 40)) {
            return;
        }
        let published = Published::new(SIZE, NOWHERE);
        let asker = host(&lan, 1, &published.index());
        let givers: Vec<_> = (2..=count + 1).map(|number| host(&lan, number, &published.index())).collect();
        givers.iter().for_each(|giver| published.cache_on(giver));
        let serving: Vec<_> = givers.iter().map(|giver| Serving::begin(giver, 1)).collect();
        let begun = Instant::now();
        let output = asker.run(&["--verbose", "install", "thing"]).ok();
        took.push(begun.elapsed());
        assert!(output.stderr.contains("thing: fetched from lan"), "{output}");
        let given: Vec<u64> = serving.iter().map(|serving| serving.status()["bytes"].as_u64().unwrap()).collect();
        assert!(given.iter().all(|given| *given > MIB), "{given:?}");
    }
    let times = took[0].as_secs_f64() / took[1].as_secs_f64();
    println!("one peer: {:?}, four peers: {:?}, {times:.1} times as fast", took[0], took[1]);
    assert!(times > 2.0, "{took:?}");
}

#[test]
fn peers_and_the_mirror_give_it_together() {
    let Some(world) = World::of(&[USUAL, USUAL, USUAL], the_file) else { return };
    let output = world.installs();
    assert!(output.stderr.contains("thing"), "{output}");
    let given = world.given();
    assert!(given.iter().all(|given| *given >= MIB), "{given:?}");
    let parts = world.mirror.requests().into_iter().filter(|asked| asked.range.is_some()).count();
    assert!(parts > 0, "the mirror gives parts too: {:?}", world.mirror.requests());
    assert!(given.iter().sum::<u64>() < world.size() + MIB);
}

#[test]
fn n12_one_that_is_slow_and_one_that_stops_are_helped() {
    let Some(world) = World::of(&[USUAL, Manner::Gives(1), Manner::Stops, USUAL], the_file) else { return };
    let begun = Instant::now();
    let output = world.installs();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(!output.stderr.contains("10.77"), "{output}");
}

#[test]
fn one_that_vanishes_midway_is_no_news() {
    let Some(world) = World::of(&[USUAL, Manner::Vanishes(64, 600_000), USUAL], the_file) else { return };
    let output = world.installs();
    assert!(!output.stderr.contains("10.77"), "{output}");
    assert!(world.given()[1] < MIB, "{:?}", world.given());
}

#[test]
fn n18_one_that_answers_a_range_with_the_whole_is_not_believed() {
    let Some(world) = World::of(&[USUAL, Manner::IgnoresRanges], the_file) else { return };
    let output = world.installs();
    assert!(!output.stderr.contains("10.77"), "{output}");
}

#[test]
fn n09_n10_who_lies_in_one_byte_is_found_and_named() {
    // In the first megabyte that it is asked for, wherever that is.
    let flip = |number: usize, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if number == 1 {
            bytes.iter_mut().skip(500_000).step_by(1 << 20).for_each(|byte| *byte ^= 1);
        }
        bytes
    };
    let Some(world) = World::of(&[USUAL, USUAL, USUAL], flip) else { return };
    let output = world.installs();
    assert!(output.stderr.contains("lan://10.77.0.3:9123/"), "who lied is told: {output}");
    assert!(!output.stderr.contains("10.77.0.2") && !output.stderr.contains("10.77.0.4"), "and nobody else: {output}");
    let all = world.given().iter().sum::<u64>();
    assert!(all < world.size() + 2 * MIB, "one more transfer, from the mirror: {all}");
    let whole = world.mirror.requests().iter().filter(|asked| asked.range.is_none()).count();
    assert!((1..=3).contains(&whole), "{:?}", world.mirror.requests());
}

#[test]
fn n22_where_all_peers_lie_the_mirror_wins() {
    let lie = |_: usize, bytes: &[u8]| bytes.iter().map(|byte| byte ^ 1).collect();
    let Some(world) = World::of(&[USUAL, USUAL, USUAL, USUAL], lie) else { return };
    let output = world.installs();
    for (number, given) in world.given().into_iter().enumerate() {
        let name = format!("10.77.0.{}:", number + 2);
        assert!(given < MIB || output.stderr.contains(&name), "{name} gave {given}: {output}");
    }
}

/// Peers that take their time, and how much has come when the asker gets this signal after a while.
fn interrupted(signal: Signal) -> Option<(World, u64, ExitStatus)> {
    // All of it would take four seconds: enough for a busy machine to be in the middle.
    let world = World::behind(8, &[Manner::Gives(8), Manner::Gives(8), Manner::Gives(8)], the_file)?;
    let mut command = world.asker.command();
    command.args(["--root", world.asker.root().to_str().unwrap(), "--yes", "install", "thing"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let place = world.asker.at(&format!("var/cache/packets/.partial-{}", world.published.digest()));
    let length = || fs::metadata(&place).map_or(0, |metadata| metadata.len());
    wait_until(|| length() > MIB);
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    let begun = Instant::now();
    let status = child.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let came = length();
    assert!(came < world.size(), "in the middle");
    assert!(fs::read(&place).unwrap() == world.published.bytes[..usize::try_from(came).unwrap()], "without a hole");
    Some((world, came, status))
}

#[test]
fn n10_c29_killed_midway_it_goes_on_where_it_was() {
    let Some((world, came, _)) = interrupted(Signal::SIGKILL) else { return };
    let before = world.mirror.requests().len();
    let output = world.installs();
    assert!(!output.stderr.contains("10.77"), "{output}");
    let later = &world.mirror.requests()[before..];
    let first = |range: &str| range.trim_start_matches("bytes=").split('-').next().unwrap().parse::<u64>().unwrap();
    let ranges: Vec<&str> = later.iter().filter_map(|asked| asked.range.as_deref()).collect();
    assert!(ranges.iter().all(|range| first(range) >= came), "only the rest: {ranges:?}, {came} were there");
    assert!(later.iter().all(|asked| asked.range.is_some()), "{later:?}");
}

#[test]
fn c29_interrupted_midway_it_ends_at_once() {
    let Some((world, _, status)) = interrupted(Signal::SIGINT) else { return };
    assert_eq!(status.code(), Some(130), "{status:?}");
    assert!(!world.asker.exists("usr/bin/thing"));
    world.installs();
}

#[test]
fn a_disk_with_room_for_one_of_the_two_files_is_large_enough() {
    let Some(mut world) = World::of(&[USUAL, USUAL, USUAL], the_file) else { return };
    let cache = world.asker.at("var/cache/packets");
    fs::create_dir_all(&cache).unwrap();
    let script = format!("mount -t tmpfs -o size=13m none {} && exec \"$@\"", cache.display());
    let words = ["unshare", "--mount", "sh", "-c", &script, "sh"].map(str::to_owned);
    let words = [world.lan.words(1), words.to_vec()].concat();
    world.asker.run_by(words);
    let output = world.installs();
    assert!(!output.stderr.contains("10.77"), "{output}");
}
