//! The server under load: floods of questions and connections, heads that never end, readers that stand still. What
//! it needs stays within bounds, and somebody who means well is served meanwhile.
//!
//! A few seconds; with `PACKETS_SWEEP=all` each flood lasts five.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use packets_tests::Lan;
use packets_tests::crash::{Points, say};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use super::*;

/// What the server may need at most, in kB.
const MOST_MEMORY: u64 = 64 << 10;
/// Questions a second of a flood.
const QUESTIONS: u32 = 50_000;
/// Addresses that a flood is said to come from: more than the server tells apart.
const MADE_UP: u32 = 6000;
/// Who attacks, who gives, and who means well.
const ATTACKER: u8 = 1;
const GIVER: u8 = 2;
const GOOD: u8 = 3;
/// How soon somebody who means well has what he asks for.
const GOOD_TIME: Duration = Duration::from_secs(1);

/// A datagram may be lost; who hears nothing asks again.
const ASKED_AGAIN: Duration = Duration::from_millis(100);

/// How long a flood lasts.
fn flood_time() -> Duration {
    Duration::from_secs(if Points::are_all() { 5 } else { 1 })
}

/// A server with files of three sizes, an attacker with many addresses, and somebody who means well.
struct Scene {
    giver: TestEnvironment,
    small: Published,
    middle: Published,
    large: Published,
    lan: Lan,
}

impl Scene {
    fn new() -> Option<Self> {
        let lan = Lan::of(3)?;
        // Room for addresses that nobody has, and an attacker that has them all.
        assert!(lan.ip(GIVER, &["addr", "add", "10.78.0.2/16", "dev", "eth0"]));
        for network in ["10.77.0.128/25", "10.78.128.0/17"] {
            assert!(lan.ip(ATTACKER, &["route", "add", "local", network, "dev", "lo"]));
        }
        let [small, middle, large] = [5000, 160 << 10, 32 << 20].map(|size| Published::new(size, NOWHERE));
        let giver = host(&lan, GIVER, &small.index());
        for file in [&small, &middle, &large] {
            file.cache_on(&giver);
        }
        // Those who attack hold as many connections as they like.
        let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let limits = rustix::process::Rlimit { current: limits.maximum, ..limits };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limits).unwrap();
        Some(Self { giver, small, middle, large, lan })
    }

    /// How long a good client waits for an answer over UDP; none where none came in time.
    fn asks(&self) -> Option<Duration> {
        self.lan.on(GOOD, || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_read_timeout(Some(ASKED_AGAIN)).unwrap();
            let begun = Instant::now();
            socket.send_to(&question(&self.small.digest()), (Lan::address(GIVER), 1333)).unwrap();
            let (length, _) = socket.recv_from(&mut [0; 2048]).ok()?;
            (length > 0).then(|| begun.elapsed())
        })
    }

    /// How long a good client waits for the small file; none where it did not come in time.
    fn fetches(&self) -> Option<Duration> {
        self.lan.on(GOOD, || {
            let begun = Instant::now();
            let to = SocketAddr::from((Lan::address(GIVER), 9123));
            let mut stream = TcpStream::connect_timeout(&to, GOOD_TIME).ok()?;
            stream.set_read_timeout(Some(GOOD_TIME)).unwrap();
            stream.write_all(&request(&self.small.digest(), "Connection: close\r\n")).ok()?;
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply).ok()?;
            let is_whole = reply.ends_with(&self.small.bytes);
            (is_whole && begun.elapsed() < GOOD_TIME).then(|| begun.elapsed())
        })
    }

    /// So many connections of the attacker, evenly from so many addresses. Those that the server hangs up on count too.
    fn connections(&self, count: usize, addresses: usize) -> Vec<TcpStream> {
        self.lan.on(ATTACKER, || {
            let from = |number: usize| Ipv4Addr::new(10, 77, 0, 130 + u8::try_from(number % addresses).unwrap());
            (0..count).filter_map(|number| connect(from(number))).collect()
        })
    }
}

fn connect(from: Ipv4Addr) -> Option<TcpStream> {
    connect_with_room(from, 64 << 10)
}

/// Whose kernel holds about so many bytes that were not read.
fn connect_with_room(from: Ipv4Addr, room: usize) -> Option<TcpStream> {
    use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_timeout};
    let kind = (AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(kind.0, kind.1, kind.2, Some(ipproto::TCP)).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((from, 0))).unwrap();
    set_socket_recv_buffer_size(&socket, room).unwrap();
    // The server's queue is short: who comes too fast would be heard a second later.
    set_socket_timeout(&socket, Timeout::Send, Some(GOOD_TIME / 2)).unwrap();
    rustix::net::connect(&socket, &SocketAddr::from((Lan::address(GIVER), 9123))).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(true).unwrap();
    Some(stream)
}

fn question(digest: &str) -> Vec<u8> {
    let digest = (0..32).map(|at| u8::from_str_radix(&digest[2 * at..2 * at + 2], 16).unwrap());
    [&b"P2?"[..], &[9; 16], &[1]].concat().into_iter().chain(digest).collect()
}

fn request(digest: &str, headers: &str) -> Vec<u8> {
    format!("GET /{digest} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").into_bytes()
}

/// Sends these bytes to the server as often as a flood does, from these sockets in turn; how many were sent.
fn flood(sockets: &[UdpSocket], bytes: &[u8]) -> u32 {
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < flood_time() {
        let due = u32::try_from(begun.elapsed().as_micros() * u128::from(QUESTIONS) / 1_000_000).unwrap();
        while sent < due {
            let socket = &sockets[sent as usize % sockets.len()];
            let _ = socket.send_to(bytes, (Lan::address(GIVER), 1333));
            sent += 1;
        }
        thread::sleep(Duration::from_micros(500));
    }
    sent
}

/// What the kernel says of a process: the most memory that it ever had, in kB, and the processor's time, in seconds.
fn cost_of(process: u64) -> (u64, f64) {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let memory = line.trim().trim_end_matches(" kB").parse().unwrap();
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<u64> = text.rsplit_once(')').unwrap().1.split(' ').filter_map(|field| field.parse().ok()).collect();
    // Without the state, utime and stime are the 11th and the 12th, in hundredths.
    (memory, (fields[10] + fields[11]) as f64 / 100.0)
}

/// Bytes of replies that the kernel of the server's host holds: the most for one connection, and all.
fn kernel_holds(process: u64) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let queue = |line: &str| u64::from_str_radix(line.split_ascii_whitespace().nth(4)?.split(':').next()?, 16).ok();
    let queues: Vec<u64> = text.lines().skip(1).filter_map(queue).collect();
    (queues.iter().copied().max().unwrap_or(0), queues.iter().sum())
}

/// Does something with the server, again and again while something else goes on: how often it was done, and the
/// times of those that were served.
fn meanwhile<T: Send>(
    good: impl Fn() -> Option<Duration> + Sync,
    work: impl FnOnce() -> T + Send,
) -> (usize, Vec<Duration>, T) {
    thread::scope(|scope| {
        let working = scope.spawn(work);
        let (mut tries, mut times) = (0, Vec::new());
        while !working.is_finished() {
            tries += 1;
            times.extend(good());
            thread::sleep(Duration::from_millis(20));
        }
        times.sort_unstable();
        (tries, times, working.join().unwrap())
    })
}

/// Says how it went.
fn told(what: &str, process: u64, tries: usize, times: &[Duration], more: &str) {
    let (memory, processor) = cost_of(process);
    let mut text = format!("{what}: {} of {tries} good clients served", times.len());
    if let Some(last) = times.last() {
        write!(text, ", half within {:.1?}, all within {last:.1?}", times[times.len() / 2]).unwrap();
    }
    say(&format!("{text}; {memory} kB at most, {processor:.2} s of processor so far{more}"));
}

#[test]
fn n07_a_flood_of_questions_from_one_address() {
    let Some(scene) = Scene::new() else { return };
    let serving = Serving::begin(&scene.giver, 3);
    let process = serving.status()["process"].as_u64().unwrap();
    let bytes = question(&scene.small.digest());
    let sockets = scene.lan.on(ATTACKER, || [UdpSocket::bind("0.0.0.0:0").unwrap()]);
    let (tries, times, sent) = meanwhile(|| scene.asks(), || flood(&sockets, &bytes));
    let heard = serving.status();
    told(
        "50,000 questions a second from one address",
        process,
        tries,
        &times,
        &format!("; {sent} sent, {} heard", heard["questions"]),
    );
    assert!(times.len() * 10 >= tries * 9, "another one hardly notices: {times:?} of {tries}");
    assert!((0..3).any(|_| scene.asks().is_some()), "and after it not at all");
    assert!(heard["answers"].as_u64() < Some(2000), "{heard}");
    assert!(cost_of(process).0 < MOST_MEMORY);
}

#[test]
fn n07_a_flood_of_questions_from_addresses_that_nobody_has() {
    let Some(scene) = Scene::new() else { return };
    let serving = Serving::begin(&scene.giver, 3);
    let process = serving.status()["process"].as_u64().unwrap();
    let sockets: Vec<UdpSocket> = scene.lan.on(ATTACKER, || {
        let bind = |number: u32| UdpSocket::bind((IpAddr::from((0x0a4e_8001_u32 + number).to_be_bytes()), 0)).unwrap();
        (0..MADE_UP).map(bind).collect()
    });
    let before = cost_of(process).1;
    let (tries, times, sent) = meanwhile(|| scene.fetches(), || flood(&sockets, b"Q:nothing-1.pkt.tar.zst"));
    let after = Instant::now();
    // A question may be lost as any datagram, and who asks asks again.
    while scene.asks().is_none() {
        assert!(after.elapsed() < GOOD_TIME, "nobody is answered after the flood");
    }
    let heard = serving.status();
    told(
        "50,000 questions a second from 6,000 addresses",
        process,
        tries,
        &times,
        &format!("; {sent} sent, {} ignored; answered {:.1?} after", heard["ignored"], after.elapsed()),
    );
    assert!(after.elapsed() < GOOD_TIME);
    assert_eq!(times.len(), tries, "files are given meanwhile");
    assert!(cost_of(process).0 < MOST_MEMORY && cost_of(process).1 - before < 2.0 * flood_time().as_secs_f64());
}

#[test]
fn n07_answers_to_whom_nobody_finds_hold_up_nobody() {
    let Some(scene) = Scene::new() else { return };
    let serving = Serving::begin(&scene.giver, 3);
    // The attacker knows the server's address, and says nothing of its own: the kernel keeps what is sent there for seconds.
    let link = scene.lan.link(GIVER);
    let known = ["neigh", "replace", "10.77.0.2", "lladdr", &link, "dev", "eth0", "nud", "permanent"];
    assert!(scene.lan.ip(ATTACKER, &known));
    scene.lan.on(ATTACKER, || fs::write("/proc/sys/net/ipv4/conf/eth0/arp_ignore", "8").unwrap());
    let sockets: Vec<UdpSocket> = scene.lan.on(ATTACKER, || {
        let bind = |number: u32| UdpSocket::bind((IpAddr::from((0x0a4e_8001_u32 + number).to_be_bytes()), 0)).unwrap();
        (0..20).map(bind).collect()
    });
    let bytes = question(&scene.small.digest());
    let slowly = || {
        for _ in 0..64 {
            sockets.iter().for_each(|socket| drop(socket.send_to(&bytes, "10.77.0.2:1333")));
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let (tries, times, ()) = meanwhile(|| scene.asks(), slowly);
    // Those are answered too; what the server says of itself is some moments old.
    wait_until(|| serving.status()["answers"].as_u64() > Some(1000));
    assert!(times.len() * 10 >= tries * 9, "another one hardly notices: {times:?} of {tries}");
}

#[test]
fn n25_n27_connections_that_say_little_or_nothing() {
    let Some(scene) = Scene::new() else { return };
    let serving = Serving::begin(&scene.giver, 3);
    let process = serving.status()["process"].as_u64().unwrap();
    for (what, count, addresses) in
        [("500 that send a byte now and then", 500, 16), ("2,000 that say nothing", 2000, 100)]
    {
        let mut held = scene.connections(count, addresses);
        let (tries, times, ()) = meanwhile(
            || scene.fetches(),
            || {
                let begun = Instant::now();
                while begun.elapsed() < flood_time() {
                    // Those that have been hung up on come again, as whoever attacks would.
                    let gone = held.iter_mut().map(|stream| stream.write_all(b"G").is_err());
                    let gone = gone.filter(|is_gone| *is_gone).count();
                    held.retain(|stream| {
                        stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
                    });
                    held.extend(scene.connections(gone.min(64), addresses));
                    thread::sleep(Duration::from_millis(100));
                }
            },
        );
        told(what, process, tries, &times, "");
        assert_eq!(times.len(), tries, "N25: each within a second");
    }
    assert!(cost_of(process).0 < MOST_MEMORY);
}

#[test]
fn n07_n25_n26_n27_all_at_once() {
    let Some(scene) = Scene::new() else { return };
    let serving = Serving::begin(&scene.giver, 3);
    let process = serving.status()["process"].as_u64().unwrap();
    let sockets = scene.lan.on(ATTACKER, || [UdpSocket::bind("0.0.0.0:0").unwrap()]);
    let bytes = question(&scene.small.digest());
    let work = || {
        let mut held = scene.connections(2000, 100);
        let asked = request(&scene.large.digest(), "");
        for (number, stream) in held.iter_mut().enumerate() {
            let _ = if number % 4 == 0 { stream.write_all(b"G") } else { stream.write_all(&asked) };
        }
        flood(&sockets, &bytes)
    };
    let (tries, times, sent) = meanwhile(|| scene.fetches(), work);
    let after = Instant::now();
    while scene.fetches().is_none() {
        assert!(after.elapsed() < SOON, "nobody is served after all that");
    }
    told("all at once", process, tries, &times, &format!("; {sent} questions; {:.1?} after it", after.elapsed()));
    assert!(after.elapsed() < GOOD_TIME);
    assert!(cost_of(process).0 < MOST_MEMORY);
}

#[test]
fn n27_a_server_that_may_have_few_handles() {
    let Some(prlimit) = packets_tests::on_path("prlimit") else {
        return packets_tests::skip("few handles need prlimit");
    };
    let Some(mut scene) = Scene::new() else { return };
    let words = [prlimit.to_str().unwrap(), "--nofile=64:64", "--"].map(str::to_owned);
    let words = [scene.lan.words(GIVER), words.to_vec()].concat();
    scene.giver.run_by(words);
    let serving = Serving::begin(&scene.giver, 3);
    let _held = scene.connections(100, 10);
    let times: Vec<_> = (0..20).filter_map(|_| scene.fetches()).collect();
    assert_eq!(times.len(), 20, "it has fewer places");
    drop(serving);
}

#[test]
fn n26_n27_readers_that_stand_still() {
    let Some(scene) = Scene::new() else { return };
    let serving = Serving::begin(&scene.giver, 3);
    let process = serving.status()["process"].as_u64().unwrap();
    let mut held = scene.connections(256, 8);
    assert_eq!(held.len(), 256);
    let asked = request(&scene.large.digest(), "");
    held.iter_mut().for_each(|stream| stream.write_all(&asked).unwrap());
    // They begin well, so that the kernel would make room for much, and then stop, far from the end.
    let (mut came, mut buffer) = (vec![0; held.len()], vec![0; 1 << 18]);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        for (stream, came) in held.iter_mut().zip(&mut came).filter(|(_, came)| **came < 8 << 20) {
            *came += stream.read(&mut buffer).unwrap_or(0);
        }
    }
    assert!(came.iter().all(|came| *came > 1 << 18), "{came:?}");
    let (most, all) = kernel_holds(process);
    let begun = Instant::now();
    while scene.fetches().is_none() {
        assert!(begun.elapsed() < SOON, "nobody makes room");
        thread::sleep(Duration::from_millis(100));
    }
    let waited = begun.elapsed();
    let (tries, times, ()) = meanwhile(|| scene.fetches(), || thread::sleep(flood_time()));
    let more = format!("; the kernel held {} kB, {} kB of one; room after {waited:.1?}", all >> 10, most >> 10);
    told("256 readers that stand still", process, tries, &times, &more);
    assert_eq!(times.len(), tries, "the next ones do not wait");
    assert!(most <= 512 << 10 && all <= 80 << 20, "{most} {all}");
    assert!(cost_of(process).0 < MOST_MEMORY);
}

/// Reads from all of these until it is over, from each so many bytes a second, and asks once more where it has all.
fn read_evenly(held: &mut [TcpStream], pace: usize, asked: &[u8], is_over: &AtomicBool) {
    const STEPS: u32 = 20;
    let mut buffer = vec![0; pace / STEPS as usize];
    while !is_over.load(Ordering::SeqCst) {
        let begun = Instant::now();
        for stream in held.iter_mut() {
            if stream.read(&mut buffer).is_ok_and(|length| length == 0) {
                let _ = stream.write_all(asked);
            }
        }
        thread::sleep((Duration::from_secs(1) / STEPS).saturating_sub(begun.elapsed()));
    }
}

#[test]
fn n26_n27_readers_that_are_just_fast_enough_leave_room() {
    let Some(scene) = Scene::new() else { return };
    let serving = Serving::begin(&scene.giver, 3);
    let process = serving.status()["process"].as_u64().unwrap();
    let asked = request(&scene.large.digest(), "");
    for addresses in [8, 256] {
        let from = |number: u32| Ipv4Addr::from(0x0a4e_8001_u32 + number % addresses);
        let mut held: Vec<TcpStream> =
            scene.lan.on(ATTACKER, || (0..256).filter_map(|number| connect(from(number))).collect());
        assert_eq!(held.len(), 256);
        held.iter_mut().for_each(|stream| stream.write_all(&asked).unwrap());
        let is_over = AtomicBool::new(false);
        let (tries, times) = thread::scope(|scope| {
            scope.spawn(|| read_evenly(&mut held, 80_000, &asked, &is_over));
            // What they have room for comes at once, and then it shows how fast they are.
            thread::sleep(Duration::from_secs(4));
            let (tries, times, ()) = meanwhile(|| scene.fetches(), || thread::sleep(flood_time()));
            is_over.store(true, Ordering::SeqCst);
            (tries, times)
        });
        told(&format!("256 readers of 80 kB a second from {addresses} addresses"), process, tries, &times, "");
        assert_eq!(times.len(), tries, "who comes new is served, {addresses} addresses");
    }
    assert!(cost_of(process).0 < MOST_MEMORY);
}

#[test]
fn n27_n33_where_no_handle_is_left_what_is_offered_stays() {
    let Some(prlimit) = packets_tests::on_path("prlimit") else {
        return packets_tests::skip("a server without handles needs prlimit");
    };
    let Some(scene) = Scene::new() else { return };
    let serving = Serving::begin(&scene.giver, 3);
    let process = serving.status()["process"].as_u64().unwrap();
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let id =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()).unwrap();
    // Root may lack the privilege, its user does not need it.
    let own = [format!("--reuid={}", id("Uid:")), format!("--regid={}", id("Gid:")), "--clear-groups".to_owned()];
    let handles = |limit: u32| {
        let mut command = std::process::Command::new("setpriv");
        command.args(&own).arg(&prlimit).args(["--pid", &process.to_string(), &format!("--nofile={limit}:")]);
        assert!(command.status().unwrap().success());
    };
    handles(3);
    // Something new in the cache, so that it looks, and an index that is another one.
    fs::write(scene.giver.at("var/cache/packets/new"), "").unwrap();
    let index = scene.giver.at("etc/packets/index.db");
    fs::write(&index, fs::read(&index).unwrap()).unwrap();
    thread::sleep(Duration::from_secs(2));
    handles(1024);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(serving.status()["offered"], 3, "{}", serving.status());
    assert!(scene.fetches().is_some(), "by its hash");
    let by_name = super::serving::get(&scene.lan, &format!("/{}", scene.small.name), "");
    assert!(by_name.starts_with("HTTP/1.1 200"), "and by its name: {}", &by_name[..by_name.len().min(100)]);
}

/// How much comes to somebody who reads at this pace, in bytes a second, and has little room himself.
fn read_slowly(scene: &Scene, file: &Published, pace: usize) -> usize {
    scene.lan.on(GOOD, || {
        let mut stream = connect_with_room(Lan::address(GOOD), 8 << 10).unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(&request(&file.digest(), "")).unwrap();
        let (begun, mut came, mut buffer) = (Instant::now(), Vec::new(), vec![0; pace / 8]);
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            came.extend(&buffer[..length]);
            if came.ends_with(&file.bytes[file.bytes.len() - 100..]) {
                break;
            }
            thread::sleep(Duration::from_secs_f64(came.len() as f64 / pace as f64).saturating_sub(begun.elapsed()));
        }
        let head = came.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(0) + 4;
        assert!(came[head..] == file.bytes[..came.len() - head], "what came is right");
        came.len() - head
    })
}

#[test]
fn n26_who_reads_slowly_but_steadily_gets_all() {
    let Some(scene) = Scene::new() else { return };
    let serving = Serving::begin(&scene.giver, 3);
    let whole = scene.middle.bytes.len();
    assert_eq!(read_slowly(&scene, &scene.middle, 20 << 10), whole);
    if Points::are_all() {
        // The floor is 1 KiB a second, looked at every 20 seconds; what the reader has room for comes at once.
        assert_eq!(read_slowly(&scene, &scene.middle, 1600), whole);
        let came = read_slowly(&scene, &scene.middle, 800);
        say(&format!("800 bytes a second: {came} of {whole} came"));
        assert!(came < whole);
        assert!(serving.status()["refused"].as_u64() >= Some(1), "who was cut off is counted");
    }
}
