//! The server: what it gives, what it refuses, and what it can do no more.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Stdio};

use packets_tests::{Lan, Output};

use super::*;

/// What the server answers to these bytes.
fn ask(lan: &Lan, request: &[u8]) -> String {
    let reply = lan.on(1, || {
        let mut stream = TcpStream::connect((Lan::address(2), 9123)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        // Who refuses it may not have read all.
        let _ = stream.write_all(request);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        reply
    });
    String::from_utf8_lossy(&reply).into_owned()
}

pub(super) fn get(lan: &Lan, path: &str, headers: &str) -> String {
    ask(lan, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").as_bytes())
}

#[test]
fn n23_n28_n29_n30_n32_only_files_by_their_names() {
    let Some(lan) = Lan::of(2) else { return };
    let published = Published::new(5000, NOWHERE);
    let giver = host(&lan, 2, &published.index());
    published.cache_on(&giver);
    let serving = Serving::begin(&giver, 1);
    let digest = published.digest();
    for path in [format!("/{digest}"), format!("/{}", published.name)] {
        let reply = get(&lan, &path, "");
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.contains(&format!("etag: \"{digest}\"")), "{reply}");
        assert!(!reply.to_lowercase().contains("server:"), "N32");
    }
    let range = get(&lan, &format!("/{digest}"), "Range: bytes=10-19\r\n");
    assert!(range.starts_with("HTTP/1.1 206") && range.contains("content-range: bytes 10-19/"), "{range}");
    assert!(get(&lan, &format!("/{digest}"), "Range: bytes=0-1,3-4\r\n").starts_with("HTTP/1.1 200"));
    assert!(get(&lan, &format!("/{digest}"), "Range: bytes=900000-\r\n").starts_with("HTTP/1.1 416"));
    for path in [
        "/",
        "/../etc/shadow",
        "/%2e%2e%2f",
        "/%252e",
        "/..%5c",
        "//etc",
        "/%00",
        "/%c3%28",
        "/bar%",
        "/index.db",
        "/.partial-x",
        "/var",
        &format!("/{}", "0".repeat(64)),
        &format!("/{digest}/"),
        &format!("/x/{digest}"),
    ] {
        let reply = get(&lan, path, "");
        assert!(reply.starts_with("HTTP/1.1 40") && reply.ends_with("\r\n\r\n"), "N23 {path}: {reply}");
    }
    assert!(get(&lan, &format!("http://x/{digest}"), "").starts_with("HTTP/1.1 400"), "absolute form");
    for method in ["POST", "PUT", "DELETE", "CONNECT", "TRACE", "OPTIONS"] {
        let reply =
            ask(&lan, format!("{method} /{digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").as_bytes());
        assert!(reply.starts_with("HTTP/1.1 4"), "N30 {method}: {reply}");
    }
    for bad in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length: 1073741824\r\n",
    ] {
        assert!(get(&lan, &format!("/{digest}"), bad).starts_with("HTTP/1.1 4"), "N29, N30 {bad}");
    }
    assert_eq!(serving.status()["offered"], 1);
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

#[test]
fn n31_floods_of_http_2_end_with_the_first_line() {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    const CONTINUATION: u8 = 9;
    let Some(lan) = Lan::of(2) else { return };
    let published = Published::new(5000, NOWHERE);
    let giver = host(&lan, 2, &published.index());
    published.cache_on(&giver);
    let serving = Serving::begin(&giver, 1);
    let request = [0x82, 0x84, 0x86];
    let begin = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, b"")].concat();
    let without_end = [frame(HEADERS, 0, 1, &request), frame(CONTINUATION, 0, 1, &[0x40; 1000]).repeat(2000)].concat();
    let empty = [frame(HEADERS, 4, 1, &request), frame(DATA, 0, 1, b"").repeat(100_000)].concat();
    let reset = |stream: u32| [frame(HEADERS, 5, stream, &request), frame(RESET, 0, stream, &[0, 0, 0, 8])].concat();
    let resets = (0..20_000).flat_map(|number| reset(2 * number + 1)).collect();
    for flood in [Vec::new(), without_end, empty, resets] {
        let begun = Instant::now();
        let reply = ask(&lan, &[&begin[..], &flood].concat());
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4"), "{reply}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    // Who offers to change to it is answered as if he had not.
    let digest = published.digest();
    let reply = get(&lan, &format!("/{digest}"), "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n");
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && !reply.to_lowercase().contains("upgrade"), "{reply}");
    wait_until(|| serving.status()["given"] == 1);
}

#[test]
fn n04_n05_n06_datagrams_of_every_kind() {
    let Some(lan) = Lan::of(2) else { return };
    let published = Published::new(5000, NOWHERE);
    let giver = host(&lan, 2, &published.index());
    published.cache_on(&giver);
    let serving = Serving::begin(&giver, 1);
    lan.on(1, || {
        let socket = UdpSocket::bind("0.0.0.0:1333").unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
        let to = (Lan::address(2), 1333);
        let answer = [&b"P2!"[..], &[0; 16], &[1; 8], &[0x23, 0xa3, 0x80]].concat();
        for bad in [&b""[..], b"x", b"P2", b"P2?", b"Q:\xff", b"H:a:1", &[0; 1472], &[b'Q'; 60_000], &answer] {
            socket.send_to(bad, to).unwrap();
        }
        assert_eq!(heard(&socket, std::time::Duration::from_millis(300)), None, "N05: from port 1333, and no answer");
        let question = [&b"P2?"[..], &[9; 16], &[1], &[5; 32]].concat();
        socket.send_to(&question, to).unwrap();
        let no = heard(&socket, SOON).unwrap();
        assert!(no.starts_with(&[&b"P2!"[..], &[9; 16]].concat()) && no.ends_with(&[0]), "a fast no: {no:?}");
        assert!(no.len() < question.len(), "N04");
    });
    wait_until(|| serving.status()["answers"] == 1);
}

#[test]
fn n34_the_server_can_do_nothing_else() {
    let Some(lan) = Lan::of(1) else { return };
    let published = Published::new(5000, NOWHERE);
    let giver = host(&lan, 1, &published.index());
    let serving = Serving::begin(&giver, 0);
    let process = serving.status()["process"].as_u64().unwrap();
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_ascii_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(field("Uid:").iter().chain(&field("Gid:")).all(|id| id != "0"), "{text}");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), ["0000000000000000"], "{set}");
    }
    assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), (vec!["1".to_owned()], vec!["2".to_owned()]));
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let text = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(text.contains("Seccomp:\t2") && text.contains("CapEff:\t0000000000000000"), "every thread: {text}");
    }
}

/// A server that runs in the foreground; whatever becomes of the test, it ends with this.
struct Foreground(Option<Child>);

impl Foreground {
    fn begin(host: &TestEnvironment) -> Self {
        let mut command = host.command();
        command.arg("--root").arg(host.root()).args(["serve", "run", "--json"]);
        Self(Some(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// Whether it has not ended by itself.
    fn runs(&mut self) -> bool {
        self.0.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// What it says once it has ended.
    fn said(&mut self) -> Output {
        Output::of("packets serve run --json", &self.0.take().unwrap().wait_with_output().unwrap())
    }

    /// Waits for this, as long as it runs.
    fn until(&mut self, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(self.runs(), "it ended: {}", self.said());
            assert!(begun.elapsed() < SOON, "it did not happen in time");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn who_serves_in_the_foreground_tells_at_the_end_how_it_went() {
    let Some(lan) = Lan::of(2) else { return };
    let published = Published::new(5000, NOWHERE);
    let giver = host(&lan, 2, &published.index());
    published.cache_on(&giver);
    let status = || giver.run(&["serve", "status", "--json"]).ok().json();
    assert_eq!(status(), serde_json::json!({ "running": false }));
    let mut server = Foreground::begin(&giver);
    server.until(|| status()["status"]["offered"] == 1);
    let running = status();
    let reply = get(&lan, &format!("/{}", published.digest()), "");
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    server.until(|| status()["status"]["bytes"].as_u64() > Some(5000));
    let process = i32::try_from(running["status"]["process"].as_u64().unwrap()).unwrap();
    let process = rustix::process::Pid::from_raw(process).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    let begun = Instant::now();
    while server.runs() {
        assert!(begun.elapsed() < SOON, "it does not end by a signal");
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = server.said().ok().json();
    assert_eq!((&answer["running"], &answer["status"]["given"]), (&false.into(), &1.into()), "{answer}");
    assert!(answer["status"]["bytes"].as_u64() > Some(5000), "{answer}");
}

#[test]
fn a_port_in_use_names_who_holds_it() {
    let Some(lan) = Lan::of(1) else { return };
    let published = Published::new(5000, NOWHERE);
    let (first, second) = (host(&lan, 1, &published.index()), host(&lan, 1, &published.index()));
    let serving = Serving::begin(&first, 0);
    let process = serving.status()["process"].as_u64().unwrap();
    let error = second.run(&["serve", "init"]).fails(1);
    assert!(
        error.stderr.contains("UDP port 1333") && error.stderr.contains(&format!("(process {process})")),
        "{error}"
    );
    let error = first.run(&["serve", "init"]).fails(1);
    assert!(error.stderr.contains(&format!("by process {process}")), "{error}");
    second.run(&["serve", "stop"]).fails(1);
}

#[test]
fn n34_the_unit_scores_well() {
    let Some(program) = packets_tests::on_path("systemd-analyze") else {
        return packets_tests::skip("the score of the unit needs systemd-analyze");
    };
    let unit = packets_tests::workspace().join("plugins/lan/packets-serve.service");
    let mut command = std::process::Command::new(program);
    command.args(["security", "--offline=true", "--threshold=20"]).arg(unit);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    if text.contains("unrecognized option") {
        return packets_tests::skip("this systemd-analyze cannot look at a file");
    }
    assert!(output.status.success(), "{}{text}", String::from_utf8_lossy(&output.stdout));
}
