//! The local network: hosts in name spaces, peers of both versions, good and bad.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod asking;
#[cfg(target_arch = "x86_64")]
mod confined;
mod load;
mod networks;
mod serving;
mod together;
mod unit;
mod version1;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use packets_tests::{Lan, Package, TestEnvironment, hash, noise};

/// A config that says where the index is from.
const PLAIN: &str = "[Sync]\nurl = \"http://127.0.0.1:1/index.db\"\n";
/// And what it needs for a root to take part.
const CONFIG: &str = "[Sync]\nurl = \"http://127.0.0.1:1/index.db\"\n[Lan]\naskWithRoot = true\n";
/// Longer than anything here takes, shorter than patience.
const SOON: Duration = Duration::from_secs(10);

/// The system of a host, with an index whose only mirror is this address.
fn host(lan: &Lan, number: u8, index: &Path) -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    environment.put("etc/packets/config.toml", CONFIG);
    fs::copy(index, environment.at("etc/packets/index.db")).unwrap();
    environment.run_by(lan.words(number));
    environment
}

/// A package file and its index.
struct Published {
    place: TestEnvironment,
    bytes: Vec<u8>,
    name: String,
}

impl Published {
    /// Of so many bytes and a few more; the index says that it is at this address.
    fn new(size: usize, mirror: &str) -> Self {
        let place = TestEnvironment::new();
        let file = Package::program("thing", "1").bytes("noise", &noise(size)).file(&place.repo());
        place.run_plain(&["index", place.repo().to_str().unwrap(), "--url", mirror]).ok();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        Self { bytes: fs::read(file).unwrap(), place, name }
    }

    fn index(&self) -> std::path::PathBuf {
        self.place.repo().join("index.db")
    }

    fn digest(&self) -> String {
        hash(&self.bytes)
    }

    /// Puts the file into a host's cache.
    fn cache_on(&self, environment: &TestEnvironment) {
        let folder = environment.at("var/cache/packets");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{}.pkt.tar.zst", self.digest())), &self.bytes).unwrap();
    }
}

/// A mirror that refuses at once.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A server on this host until it is dropped.
struct Serving<'a>(&'a TestEnvironment);

impl<'a> Serving<'a> {
    /// When it offers so many files.
    fn begin(environment: &'a TestEnvironment, files: u64) -> Self {
        assert_eq!(environment.run(&["serve", "init", "--json"]).ok().json()["running"], true);
        let serving = Self(environment);
        wait_until(|| serving.status()["offered"] == files);
        serving
    }

    fn status(&self) -> serde_json::Value {
        self.0.run(&["serve", "status", "--json"]).ok().json()["status"].clone()
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let ended = self.0.run(&["serve", "stop", "--json"]);
        if !std::thread::panicking() {
            assert_eq!(ended.ok().json()["running"], false);
        }
    }
}

fn wait_until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "it did not happen in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What comes to a socket within a moment.
fn heard(socket: &UdpSocket, wait: Duration) -> Option<Vec<u8>> {
    socket.set_read_timeout(Some(wait)).unwrap();
    let mut buffer = [0; 2048];
    socket.recv_from(&mut buffer).ok().map(|(length, _)| buffer[..length].to_vec())
}
