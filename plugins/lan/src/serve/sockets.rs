//! The ports: UDP for questions, TCP for files, IPv4 and where the machine has it IPv6.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use packets_plugin_api::share::{Ports, ShareError, TakenPort};
use rustix::net::SendFlags;
use rustix::net::sockopt::set_socket_send_buffer_size_force;
use socket2::{Domain, Protocol, Socket, Type};

use super::{Listeners, is_of_family};
use crate::limits::{ANSWER_BUFFER, QUESTION_BUFFER, RECEIVE_BUFFER};
use crate::networks::{GROUP, Network, Range};

/// How long a thread that hears questions waits for one before it looks whether it is to end.
const LISTEN: Duration = Duration::from_millis(200);
/// Connections that wait to be taken.
const BACKLOG: i32 = 256;

/// See the module.
pub(super) struct Sockets {
    pub(super) questions: Vec<UdpSocket>,
    pub(super) files: Listeners,
}

impl Sockets {
    pub(super) fn open(ports: Ports) -> Result<Self, ShareError> {
        let v4 = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let v6 = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let Ports { questions, files } = ports;
        let udp = |cause| {
            let message = format!("cannot listen on UDP port {questions}");
            ShareError { message, port: Some(TakenPort::Udp(questions)), cause }
        };
        let tcp = |cause| {
            let message = format!("cannot listen on TCP port {files}");
            ShareError { message, port: Some(TakenPort::Tcp(files)), cause }
        };
        let mut sockets = Self {
            questions: vec![hearing(v4(questions)).map_err(udp)?],
            files: vec![listening(v4(files)).map_err(tcp)?],
        };
        // Without IPv6 there are no such links; a port that somebody else has there is an error all the same.
        match hearing(v6(questions)) {
            Ok(socket) => sockets.questions.push(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(udp(error)),
            Err(_) => {}
        }
        match listening(v6(files)) {
            Ok(listener) => sockets.files.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(tcp(error)),
            Err(_) => {}
        }
        Ok(sockets)
    }
}

fn hearing(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_unicast_hops_v6(1)?;
        socket.set_multicast_hops_v6(1)?;
        socket.set_multicast_loop_v6(false)?;
    } else {
        socket.set_broadcast(true)?;
        socket.set_ttl_v4(1)?;
    }
    socket.set_recv_buffer_size(QUESTION_BUFFER)?;
    // Root may have all of it, others what the system allows.
    if set_socket_send_buffer_size_force(&socket, ANSWER_BUFFER).is_err() {
        socket.set_send_buffer_size(ANSWER_BUFFER)?;
    }
    socket.bind(&address.into())?;
    socket.set_read_timeout(Some(LISTEN))?;
    Ok(socket.into())
}

fn listening(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // What an earlier run left behind in the kernel is no reason to wait.
    socket.set_reuse_address(true)?;
    // Each connection inherits this.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What cannot be sent at once is lost, as anything on a network may be: the kernel keeps what goes to an address
/// that nobody answers for, and would have us wait for that (N07).
pub(super) fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    let _ = rustix::net::sendto(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, &to);
}

/// Hears what is said to the group on each link. One that is joined already says so, which is no matter.
pub(super) fn join_groups(sockets: &[UdpSocket], networks: &[Network]) {
    for socket in sockets.iter().filter(|socket| is_of_family(socket, false)) {
        for network in networks {
            if let Range::V6(index) = network.range {
                let _ = socket.join_multicast_v6(&GROUP, index);
            }
        }
    }
}
