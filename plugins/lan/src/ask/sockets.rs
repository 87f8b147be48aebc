//! One socket for each network, and one thread that listens on all of them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

use super::round::Letter;
use crate::limits::MAX_DATAGRAM;
use crate::networks::{Network, Range};

/// See the module; a network whose socket could not be made has none.
#[derive(Debug)]
pub(super) struct Sockets(Vec<Option<UdpSocket>>);

impl Sockets {
    /// For these networks, in their order.
    pub(super) fn open<'a>(networks: impl Iterator<Item = &'a Network>) -> Self {
        Self(networks.map(|network| socket_on(network).ok()).collect())
    }

    /// What cannot be sent is lost, as anything on a network may be.
    pub(super) fn send(&self, letters: &[Letter]) {
        for letter in letters {
            if let Some(Some(socket)) = self.0.get(letter.network) {
                let _ = socket.send_to(&letter.bytes, letter.to);
            }
        }
    }

    /// Hands on what comes in within this time, with the network's number.
    pub(super) fn receive(&self, wait: Duration, heard: &mut dyn FnMut(usize, SocketAddr, &[u8])) {
        let there: Vec<(usize, &UdpSocket)> =
            self.0.iter().enumerate().filter_map(|(number, socket)| Some((number, socket.as_ref()?))).collect();
        let mut polled: Vec<PollFd<'_>> = there.iter().map(|(_, socket)| PollFd::new(*socket, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(wait).ok();
        if !matches!(poll(&mut polled, timeout.as_ref()), Ok(ready) if ready > 0) {
            return;
        }
        let mut buffer = [0; MAX_DATAGRAM + 1];
        for (polled, (number, socket)) in polled.iter().zip(&there) {
            // Not for ever on one of them, whoever floods it.
            for _ in 0..if polled.revents().is_empty() { 0 } else { 64 } {
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) if length <= MAX_DATAGRAM => heard(*number, from, &buffer[..length]),
                    Ok(_) => {}
                    // As a refusal of something that was sent; the next datagram stands behind it.
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
        }
    }
}

/// What it sends leaves by the network's interface and does not leave the network.
fn socket_on(network: &Network) -> io::Result<UdpSocket> {
    let any: SocketAddr = match network.range {
        Range::V4(..) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        Range::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = Socket::new(Domain::for_address(any), Type::DGRAM, Some(Protocol::UDP))?;
    // Older kernels want a privilege for that; then the routes decide, which lead the same way but for twins.
    let _ = socket.bind_device(Some(network.interface.as_bytes()));
    match network.range {
        Range::V4(..) => {
            socket.set_broadcast(true)?;
            socket.set_ttl_v4(1)?;
        }
        Range::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_unicast_hops_v6(1)?;
            socket.set_multicast_hops_v6(1)?;
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&any.into())?;
    Ok(socket.into())
}
