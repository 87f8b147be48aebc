//! A network of its own: a bridge and hosts, each in a name space, made and removed by the test. Needs root.

use std::fs::File;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::skip::{is_root, on_path, skip};

/// See the module.
#[derive(Debug)]
pub struct Lan {
    name: String,
    hosts: u8,
}

impl Lan {
    /// With so many hosts, numbered from 1; none, and said so, where the machine cannot.
    pub fn of(hosts: u8) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !is_root() || on_path("ip").is_none() {
            skip("a network of name spaces needs root and the program ip");
            return None;
        }
        let name = format!("pkt{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let lan = Self { name, hosts };
        if !ip(&["netns", "add", &lan.space(0)]) {
            skip("this machine makes no network name spaces");
            return None;
        }
        let hub = lan.space(0);
        assert!(ip(&["-n", &hub, "link", "add", "br0", "type", "bridge"]));
        assert!(ip(&["-n", &hub, "link", "set", "br0", "up"]));
        for number in 1..=hosts {
            let (space, port) = (lan.space(number), format!("h{number}"));
            let address = format!("{}/24", Self::address(number));
            assert!(ip(&["netns", "add", &space]));
            assert!(ip(&["-n", &hub, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &space]));
            assert!(ip(&["-n", &hub, "link", "set", &port, "master", "br0", "up"]));
            assert!(ip(&["-n", &space, "addr", "add", &address, "brd", "+", "dev", "eth0"]));
            assert!(ip(&["-n", &space, "link", "set", "lo", "up"]));
            assert!(ip(&["-n", &space, "link", "set", "eth0", "up"]));
        }
        Some(lan)
    }

    fn space(&self, number: u8) -> String {
        format!("{}-{number}", self.name)
    }

    /// The address of a host.
    pub fn address(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, number)
    }

    /// What a host sends goes no faster than so many Mbit a second; false where the machine cannot do that.
    pub fn limit(&self, number: u8, megabits: u32) -> bool {
        let (space, rate) = (self.space(number), format!("{megabits}mbit"));
        let words = ["-n", &space, "qdisc", "add", "dev", "eth0", "root", "tbf"];
        let bounds = ["rate", &rate, "burst", "128kb", "latency", "200ms"];
        let done = on_path("tc").is_some() && run("tc", &[&words[..], &bounds].concat());
        if !done {
            skip("a link that is limited needs the program tc and a kernel that shapes");
        }
        done
    }

    /// The words that run what follows them on a host.
    pub fn words(&self, number: u8) -> Vec<String> {
        let ip = on_path("ip").unwrap().display().to_string();
        [ip, "netns".to_owned(), "exec".to_owned(), self.space(number)].into()
    }

    /// Does something on a host: sockets that are opened there stay there, and so do threads that are started.
    pub fn on<T: Send>(&self, number: u8, act: impl FnOnce() -> T + Send) -> T {
        let space = File::open(format!("/run/netns/{}", self.space(number))).unwrap();
        let work = || {
            setns(&space, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        };
        thread::scope(|scope| scope.spawn(work).join().unwrap())
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for number in 0..=self.hosts {
            ip(&["netns", "del", &self.space(number)]);
        }
    }
}

fn ip(words: &[&str]) -> bool {
    run("ip", words)
}

fn run(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
