//! A network of its own: a bridge and hosts, each in a name space, made and removed by the test. Needs root.

use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

use crate::skip::{is_root, on_path, skip};

/// The name of the table that is only tried.
const PROBE: &str = "probe";
/// Kinds of rules of a firewall: what a kernel must know, the word that shows that it is used, and a rule of it.
const KINDS: [(&str, &str, &str); 4] = [
    ("the states of connections", "ct state", "ct state established,related accept"),
    ("interfaces and ports", "iifname", "iifname \"eth0\" udp dport 1333 accept"),
    ("messages of ICMPv6", "icmpv6", "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"),
    ("random numbers", "numgen", "numgen random mod 100 < 20 drop"),
];

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
        lan.bridge(0);
        for number in 1..=hosts {
            let space = lan.space(number);
            assert!(ip(&["netns", "add", &space]));
            assert!(ip(&["-n", &space, "link", "set", "lo", "up"]));
            lan.plug(number, 0);
        }
        Some(lan)
    }

    fn bridge(&self, number: u8) {
        let (hub, bridge) = (self.space(0), format!("br{number}"));
        assert!(ip(&["-n", &hub, "link", "add", &bridge, "type", "bridge"]));
        assert!(ip(&["-n", &hub, "link", "set", &bridge, "up"]));
    }

    /// The host gets an interface on a bridge, of the same number.
    fn plug(&self, number: u8, bridge: u8) {
        let (hub, space) = (self.space(0), self.space(number));
        let (port, interface, master) = (format!("h{number}-{bridge}"), format!("eth{bridge}"), format!("br{bridge}"));
        let address = format!("10.{}.0.{number}/24", 77 + bridge);
        assert!(ip(&["-n", &hub, "link", "add", &port, "type", "veth", "peer", "name", &interface, "netns", &space]));
        assert!(ip(&["-n", &hub, "link", "set", &port, "master", &master, "up"]));
        assert!(ip(&["-n", &space, "addr", "add", &address, "brd", "+", "dev", &interface]));
        assert!(ip(&["-n", &space, "link", "set", &interface, "up"]));
    }

    /// These hosts are on a second network too: `eth1`, 10.78.0.0/24.
    pub fn second_network(&self, hosts: &[u8]) {
        self.bridge(1);
        hosts.iter().for_each(|number| self.plug(*number, 1));
    }

    /// The host is not on the first network any more.
    pub fn unplug(&self, number: u8) {
        assert!(ip(&["-n", &self.space(number), "link", "del", "eth0"]));
    }

    /// From now on there is no IPv4 on the link, but IPv6 with the addresses that each host gives itself; false where the
    /// machine has none.
    pub fn without_ipv4(&self) -> bool {
        for number in 1..=self.hosts {
            assert!(ip(&["-n", &self.space(number), "-4", "addr", "flush", "dev", "eth0"]));
        }
        self.settles()
    }

    /// Waits until each host has asked whether another one has its IPv6 address, and can use it; false where that
    /// does not happen, as where a machine has no IPv6.
    pub fn settles(&self) -> bool {
        let begun = Instant::now();
        while !(1..=self.hosts).all(|number| self.has_link_address(number)) {
            if begun.elapsed() > Duration::from_secs(10) {
                return false;
            }
            thread::sleep(Duration::from_millis(50));
        }
        true
    }

    fn has_link_address(&self, number: u8) -> bool {
        let table = self.on(number, || std::fs::read_to_string("/proc/thread-self/net/if_inet6"));
        table.unwrap_or_default().lines().any(|line| line.starts_with("fe80") && line.contains(" 20 80 "))
    }

    /// What comes to a host by its networks passes these rules of nftables, in this order, else this becomes of it;
    /// false where the machine cannot do that. The rules before it are gone.
    pub fn firewall(&self, number: u8, rules: &[&str], policy: &str) -> bool {
        let own = ["iif lo accept", "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"];
        let text = format!(
            "flush ruleset\ntable inet filter {{ chain input {{ type filter hook input priority 0; policy {policy};\n{}\n}}\n}}\n",
            [&own[..], rules].concat().join("\n")
        );
        if let Some(missing) = self.lacks_for(number, &text) {
            skip(&format!("a firewall needs {missing}"));
            return false;
        }
        assert!(self.is_taken_by_nft(number, &text), "{text}");
        true
    }

    /// What the machine lacks for these rules: a kernel may have tables, and not what a rule looks at.
    fn lacks_for(&self, number: u8, rules: &str) -> Option<String> {
        if on_path("nft").is_none() {
            return Some("the program nft".to_owned());
        }
        let probe = |rule: &str| {
            let chain = format!("chain input {{ type filter hook input priority 0; policy accept;\n{rule}\n}}");
            self.is_taken_by_nft(number, &format!("flush ruleset\ntable inet {PROBE} {{ {chain}\n}}\n"))
        };
        if !probe("") {
            return Some("a kernel with nftables".to_owned());
        }
        let mut used = KINDS.iter().filter(|(_, word, _)| rules.contains(word));
        let (what, ..) = used.find(|(.., rule)| !probe(rule))?;
        // The rules that were there before are gone all the same.
        self.is_taken_by_nft(number, "flush ruleset\n");
        Some(format!("a kernel whose nftables know {what}"))
    }

    fn is_taken_by_nft(&self, number: u8, rules: &str) -> bool {
        let words = [self.words(number), ["nft", "-f", "-"].map(str::to_owned).to_vec()].concat();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::null());
        // What it means that a probe fails is told by whoever probes.
        if rules.contains(PROBE) {
            command.stderr(Stdio::null());
        }
        let Ok(mut nft) = command.spawn() else { return false };
        nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        nft.wait().unwrap().success()
    }

    /// The address of a host's network card.
    pub fn link(&self, number: u8) -> String {
        let told = Command::new("ip").args(["-n", &self.space(number), "-o", "link", "show", "eth0"]).output().unwrap();
        let text = String::from_utf8(told.stdout).unwrap();
        text.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned()
    }

    fn space(&self, number: u8) -> String {
        format!("{}-{number}", self.name)
    }

    /// The address of a host.
    pub fn address(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, number)
    }

    /// Runs the program ip on a host; whether it was done.
    pub fn ip(&self, number: u8, words: &[&str]) -> bool {
        ip(&[&["-n", &self.space(number)], words].concat())
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
