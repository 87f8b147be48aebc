//! A file at a peer, and its form as a text: `lan://192.168.1.5:9123/<name>`.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use crate::wire::is_name;

const SCHEME: &str = "lan://";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    address: SocketAddr,
    name: String,
}

impl Place {
    /// At the address that a datagram came from, whatever it says itself (N02).
    pub(crate) fn new(from: SocketAddr, port: u16, name: &str) -> Self {
        let mut address = from;
        address.set_port(port);
        Self { address, name: name.to_owned() }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, name) = text.strip_prefix(SCHEME)?.split_once('/')?;
        let address: SocketAddr = host.parse().ok()?;
        is_name(name).then(|| Self { address, name: name.to_owned() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// As a header names it: what stands behind an address of a link is for this machine alone.
    pub(crate) fn host(&self) -> String {
        match self.address.ip() {
            IpAddr::V4(_) => self.address.to_string(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, self.address.port(), 0, 0).to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.address, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_from_their_text() {
        for text in ["lan://192.168.1.5:9123/a-1.pkt.tar.zst", "lan://[fe80::1%3]:9123/abc"] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Place::parse("lan://[fe80::1%3]:9123/abc").unwrap().host(), "[fe80::1]:9123");
        for bad in [
            "",
            "lan://",
            "lan://a:1/x",
            "lan://1.2.3.4/x",
            "lan://1.2.3.4:1/",
            "lan://1.2.3.4:1/a/b",
            "http://1.2.3.4:1/a",
        ] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
