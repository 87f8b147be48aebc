//! What is said in datagrams: two versions on one port, each deaf to the other.
//!
//! Version 1 is text, and is spoken byte for byte as it always was. Version 2 begins with
//! [`v2::MARK`], which no message of version 1 begins with. A message is understood
//! whole or not at all: nothing missing, nothing behind it (N06).

pub mod v1;
pub mod v2;

#[cfg(test)]
mod tests;

use crate::limits::MAX_NAME;

/// A message of either version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Version 1.
    One(v1::Message),
    /// Version 2.
    Two(v2::Message),
}

/// The message of a datagram; none where it is none.
pub fn decode(datagram: &[u8]) -> Option<Message> {
    match datagram.strip_prefix(v2::MARK.as_slice()) {
        Some(rest) => v2::decode(rest).map(Message::Two),
        None => v1::decode(datagram).map(Message::One),
    }
}

/// Whether a datagram says the same again when it is written anew, or says nothing at all: what must hold for any
/// bytes (N06). Tests and the fuzzer ask this.
pub fn is_understood_whole_or_not_at_all(datagram: &[u8]) -> bool {
    match decode(datagram) {
        Some(Message::Two(message)) => v2::encode(&message) == datagram,
        Some(Message::One(v1::Message::Question { name })) => v1::question(&name) == datagram,
        // A port may be written with zeros before it.
        Some(Message::One(v1::Message::Have { name, port })) => decode(&v1::have(&name, port)) == decode(datagram),
        None => true,
    }
}

/// Whether a text can be the name of a file on the LAN: one segment of a path, which needs no
/// escape in a URL and cannot end a message.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@+._~-,=!()".contains(&byte);
    (1..=MAX_NAME).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(plain)
}
