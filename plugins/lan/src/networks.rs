//! The networks that this machine is in, and who on them may be believed.
//!
//! They are read from the kernel's tables `route` and `if_inet6`, which stay readable for a
//! process that may open nothing any more: a server sees when a machine changes its network.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// The group of those who share, on one link: transient, of no registry.
pub const GROUP: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x5061, 0x636b);
/// Networks with fewer addresses have no broadcast.
const LONGEST_PREFIX: u32 = 30;
/// Networks with more are none.
const SHORTEST_PREFIX: u32 = 8;
/// The largest table that is read.
const MAX_TABLE: u64 = 256 << 10;
/// Networks that are asked.
const MAX_NETWORKS: usize = 32;

/// A network that one of the machine's interfaces is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The interface's name.
    pub interface: String,
    /// Which addresses are on it.
    pub range: Range,
}

/// The addresses of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// IPv4: the network's address, and the length of its prefix.
    V4(Ipv4Addr, u32),
    /// The link-local addresses of the interface with this number.
    V6(u32),
}

impl Network {
    /// What it is remembered by.
    pub fn key(&self) -> String {
        match self.range {
            Range::V4(base, prefix) => format!("{} {base}/{prefix}", self.interface),
            Range::V6(_) => format!("{} link-local", self.interface),
        }
    }

    /// Where a question goes that is for everybody.
    pub fn everybody(&self, port: u16) -> SocketAddr {
        match self.range {
            Range::V4(base, prefix) => {
                SocketAddrV4::new(Ipv4Addr::from_bits(base.to_bits() | !mask(prefix)), port).into()
            }
            Range::V6(index) => SocketAddrV6::new(GROUP, port, 0, index).into(),
        }
    }

    /// Whether this is the address of one host on this network (N03).
    pub fn holds(&self, address: &SocketAddr) -> bool {
        match (self.range, address) {
            (Range::V4(base, prefix), SocketAddr::V4(address)) => {
                let (ip, host) = (*address.ip(), address.ip().to_bits() & !mask(prefix));
                let is_one = host != 0 && host != !mask(prefix);
                is_one && ip.to_bits() & mask(prefix) == base.to_bits() && is_host(ip) && address.port() > 0
            }
            (Range::V6(index), SocketAddr::V6(address)) => {
                address.ip().is_unicast_link_local() && address.scope_id() == index && address.port() > 0
            }
            _ => false,
        }
    }
}

fn mask(prefix: u32) -> u32 {
    u32::MAX.checked_shl(32 - prefix).unwrap_or(0)
}

fn is_host(ip: Ipv4Addr) -> bool {
    !(ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0)
}

/// The same address in the form that it has on its network: an IPv4 address may come in IPv6 clothes.
pub fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// The kernel's tables, open.
#[derive(Debug)]
pub struct Tables {
    route: Option<File>,
    v6: Option<File>,
}

impl Tables {
    /// Those of the name space that the process is in. What is missing holds no networks.
    pub fn open() -> Self {
        Self { route: table("/proc/self/net/route").ok(), v6: table("/proc/self/net/if_inet6").ok() }
    }

    /// The networks as they are now, of interfaces that are up, the loopback not among them.
    pub fn networks(&mut self) -> Vec<Network> {
        let text = |file: &mut Option<File>| file.as_mut().and_then(|file| text_of(file).ok()).unwrap_or_default();
        let mut all = v4_networks(&text(&mut self.route));
        all.extend(v6_networks(&text(&mut self.v6)));
        all.truncate(MAX_NETWORKS);
        all
    }
}

fn table(path: &str) -> io::Result<File> {
    Ok(openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
}

fn text_of(file: &mut File) -> io::Result<String> {
    // Mostly all of it comes at once.
    let mut text = String::with_capacity(4096);
    file.seek(SeekFrom::Start(0))?;
    file.take(MAX_TABLE).read_to_string(&mut text)?;
    Ok(text)
}

/// The networks that are reached without a gateway. Each number stands there as this machine holds it in memory.
fn v4_networks(table: &str) -> Vec<Network> {
    const UP: u32 = 1;
    const OTHERS: u32 = 0x2 | 0x200;
    let mut all: Vec<Network> = Vec::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [interface, base, _gateway, flags, _, _, _, netmask, ..] = fields[..] else { continue };
        let number = |text| u32::from_str_radix(text, 16).ok();
        let (Some(base), Some(flags), Some(netmask)) = (number(base), number(flags), number(netmask)) else { continue };
        let (base, netmask) = (Ipv4Addr::from(base.to_ne_bytes()), u32::from_be_bytes(netmask.to_ne_bytes()));
        let prefix = netmask.leading_ones();
        let is_ours = flags & UP != 0 && flags & OTHERS == 0 && mask(prefix) == netmask;
        let is_lan = (SHORTEST_PREFIX..=LONGEST_PREFIX).contains(&prefix) && interface != "lo";
        if is_ours && is_lan && is_host(base) {
            let network = Network { interface: interface.to_owned(), range: Range::V4(base, prefix) };
            if !all.contains(&network) {
                all.push(network);
            }
        }
    }
    all
}

/// The links that this machine has an address on which can be used.
fn v6_networks(table: &str) -> Vec<Network> {
    const LINK: &str = "20";
    const NOT_USABLE: u32 = 0x08 | 0x40;
    let mut all: Vec<Network> = Vec::new();
    for line in table.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, index, _, scope, flags, interface] = fields[..] else { continue };
        let number = |text| u32::from_str_radix(text, 16).ok();
        let (Some(index), Some(flags)) = (number(index), number(flags)) else { continue };
        if scope == LINK && flags & NOT_USABLE == 0 && interface != "lo" {
            let network = Network { interface: interface.to_owned(), range: Range::V6(index) };
            if !all.contains(&network) {
                all.push(network);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> String {
        format!("{:08X}", u32::from_ne_bytes(text.parse::<Ipv4Addr>().unwrap().octets()))
    }

    fn route(interface: &str, base: &str, gateway: &str, flags: &str, mask: &str) -> String {
        let (base, gateway, mask) = (number(base), number(gateway), number(mask));
        format!("{interface}\t{base}\t{gateway}\t{flags}\t0\t0\t100\t{mask}\t0\t0\t0\n")
    }

    #[test]
    fn networks_are_what_is_reached_without_a_gateway() {
        let table =
            ["Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n".to_owned()]
                .into_iter()
                .chain([
                    route("eth0", "0.0.0.0", "192.168.1.1", "0003", "0.0.0.0"),
                    route("eth0", "192.168.1.0", "0.0.0.0", "0001", "255.255.255.0"),
                    route("eth0", "192.168.1.0", "0.0.0.0", "0001", "255.255.255.0"),
                    route("wlan0", "10.0.0.0", "0.0.0.0", "0001", "255.255.252.0"),
                    route("eth0", "10.9.0.0", "192.168.1.7", "0003", "255.255.0.0"),
                    route("tun0", "10.8.0.1", "0.0.0.0", "0005", "255.255.255.255"),
                    route("eth0", "169.254.0.0", "0.0.0.0", "0001", "255.255.0.0"),
                    route("eth1", "172.16.0.0", "0.0.0.0", "0000", "255.255.0.0"),
                    route("lo", "127.0.0.0", "0.0.0.0", "0001", "255.0.0.0"),
                    "eth2 nonsense\n".to_owned(),
                ])
                .collect::<String>();
        let keys: Vec<_> = v4_networks(&table).iter().map(Network::key).collect();
        assert_eq!(keys, ["eth0 192.168.1.0/24", "wlan0 10.0.0.0/22"]);
        let everybody: Vec<_> = v4_networks(&table).iter().map(|network| network.everybody(1333).to_string()).collect();
        assert_eq!(everybody, ["192.168.1.255:1333", "10.0.3.255:1333"], "the directed broadcast address");
    }

    #[test]
    fn links_are_those_with_an_address_that_is_usable() {
        let table = "fe800000000000000000000000000001 02 40 20 80     eth0\n\
                     20010db8000000000000000000000001 02 40 00 80     eth0\n\
                     fe800000000000000000000000000002 0a 40 20 c0     eth1\n\
                     fe800000000000000000000000000003 0b 40 20 88     eth2\n\
                     00000000000000000000000000000001 01 80 10 80       lo\n";
        assert_eq!(v6_networks(table), [Network { interface: "eth0".to_owned(), range: Range::V6(2) }]);
    }

    #[test]
    fn n03_who_is_on_a_network() {
        let network = Network { interface: "eth0".to_owned(), range: Range::V4(Ipv4Addr::new(192, 168, 1, 0), 24) };
        let holds = |text: &str| network.holds(&text.parse().unwrap());
        assert!(holds("192.168.1.1:1") && holds("192.168.1.254:65535"));
        for bad in [
            "192.168.1.0:1333",
            "192.168.1.255:1333",
            "192.168.2.1:1333",
            "127.0.0.1:1333",
            "169.254.169.254:1333",
            "224.0.0.1:1333",
            "255.255.255.255:1333",
            "0.0.0.0:1333",
            "192.168.1.7:0",
            "[fe80::1]:1333",
        ] {
            assert!(!holds(bad), "{bad}");
        }
        let link = Network { interface: "eth0".to_owned(), range: Range::V6(2) };
        let on_link = |ip: &str, index| link.holds(&SocketAddrV6::new(ip.parse().unwrap(), 1333, 0, index).into());
        assert!(on_link("fe80::1", 2));
        assert!(!on_link("fe80::1", 3) && !on_link("2001:db8::1", 2) && !on_link("::1", 2) && !on_link("ff02::1", 2));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_one() {
        assert_eq!(plain("[::ffff:10.0.0.1]:5".parse().unwrap()).to_string(), "10.0.0.1:5");
        assert_eq!(plain("[fe80::1]:5".parse().unwrap()).to_string(), "[fe80::1]:5");
    }
}
