//! Version 1: one name a question, `Q:<name>`; who has it answers `H:<name>:<port>`, who has not says nothing.

use super::is_name;

/// What version 1 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Who has the file of this name?
    Question {
        /// The name.
        name: String,
    },
    /// It can be had here.
    Have {
        /// The name.
        name: String,
        /// The port of an HTTP server at the sender's address.
        port: u16,
    },
}

pub(super) fn decode(datagram: &[u8]) -> Option<Message> {
    let text = std::str::from_utf8(datagram).ok()?;
    let named = |name: &str| is_name(name).then(|| name.to_owned());
    if let Some(name) = text.strip_prefix("Q:") {
        return Some(Message::Question { name: named(name)? });
    }
    let (name, port) = text.strip_prefix("H:")?.rsplit_once(':')?;
    let is_number = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port > 0)?;
    Some(Message::Have { name: named(name)?, port })
}

/// The datagram of a question.
pub fn question(name: &str) -> Vec<u8> {
    format!("Q:{name}").into_bytes()
}

/// The datagram of an answer. There is always a port: version 1 ends with an error where none stands.
pub fn have(name: &str, port: u16) -> Vec<u8> {
    format!("H:{name}:{port}").into_bytes()
}
