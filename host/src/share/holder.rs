//! Who holds a port, as far as the caller may see it.

use std::path::Path;

use packets_hook_runtime::folder::Folder;
use packets_plugin_api::ident::escape;
use packets_plugin_api::share::TakenPort;

use crate::given;

/// The largest table of sockets that is read.
const MAX_TABLE: u64 = 8 << 20;

/// `nginx (process 812)`; none where it cannot be seen.
pub(crate) fn holder(port: TakenPort) -> Option<String> {
    let (tables, port) = match port {
        TakenPort::Udp(port) => (["udp", "udp6"], port),
        TakenPort::Tcp(port) => (["tcp", "tcp6"], port),
    };
    let sockets: Vec<String> = tables
        .iter()
        .filter_map(|table| given::read_text(Path::new(&format!("/proc/self/net/{table}")), MAX_TABLE).ok())
        .flat_map(|table| sockets_on(&table, port))
        .collect();
    let processes = Folder::open_ambient(Path::new("/proc")).ok()?;
    let numbers = processes.list().ok()?.into_iter().filter_map(|name| name.to_str()?.parse::<u32>().ok());
    numbers.into_iter().find_map(|number| {
        let process = processes.open(number.to_string()).ok()?;
        let files = process.open("fd").ok()?;
        let links = files.list().ok()?.into_iter().filter_map(|name| files.read_link(name).ok()?.into_string().ok());
        let has_one = links.into_iter().any(|link| sockets.contains(&link));
        has_one.then(|| format!("{} (process {number})", name_of(number)))
    })
}

fn name_of(process: u32) -> String {
    let name = given::read_text(Path::new(&format!("/proc/{process}/comm")), 256);
    escape(name.as_deref().map_or("a program", str::trim), 40)
}

/// The sockets of a table that are bound to a port and wait for others.
fn sockets_on(table: &str, port: u16) -> Vec<String> {
    const LISTENING: [&str; 2] = ["0A", "07"];
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, bound) = fields.get(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(bound, 16) == Ok(port) && LISTENING.contains(fields.get(3)?);
        is_it.then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn this_process_holds_its_ports() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = format!("(process {})", std::process::id());
        let tcp_holder = holder(TakenPort::Tcp(tcp.local_addr().unwrap().port())).unwrap();
        let udp_holder = holder(TakenPort::Udp(udp.local_addr().unwrap().port())).unwrap();
        assert!(tcp_holder.ends_with(&own) && udp_holder.ends_with(&own), "{tcp_holder} {udp_holder}");
        drop(tcp);
        assert_eq!(holder(TakenPort::Tcp(1)), None);
    }
}
