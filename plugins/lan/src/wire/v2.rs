//! Version 2: several digests a question; everybody answers, also who has nothing.
//!
//! Numbers are big-endian. Behind [`MARK`] stands one letter, then:
//!
//! ```text
//! ?  nonce(16) count(1) digest(32) x count          a question
//! !  nonce(16) machine(8) port(2) bits              an answer: a bit for each digest, the first the highest
//! +  machine(8) port(2)                             hello: files can be had here
//! -  machine(8) port(2)                             goodbye
//! ```
//!
//! An answer is shorter than its question, whatever that was (N04), and holds the
//! question's nonce, which nobody can guess who has not seen it (N01).

use packets_plugin_api::ident::Digest;

use crate::limits::MAX_WANTED;

/// What every message begins with.
pub const MARK: [u8; 2] = *b"P2";

/// Of a question, random.
pub type Nonce = [u8; 16];
/// Of a running server, random: one machine has several addresses.
pub type Machine = [u8; 8];

/// What version 2 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Who has these files?
    Question {
        /// To be repeated in the answer.
        nonce: Nonce,
        /// At least one, at most [`MAX_WANTED`].
        wanted: Vec<Digest>,
    },
    /// The answer.
    Answer {
        /// The question's.
        nonce: Nonce,
        /// Who answers.
        machine: Machine,
        /// The port of an HTTP server at the sender's address.
        port: u16,
        /// A bit for each file, filled up with zeros.
        have: Vec<u8>,
    },
    /// Somebody shares from now on, or still.
    Hello(Machine, u16),
    /// Somebody does not share any more.
    Goodbye(Machine, u16),
}

/// What stands behind the mark.
pub(super) fn decode(bytes: &[u8]) -> Option<Message> {
    let (kind, rest) = bytes.split_first()?;
    match kind {
        b'?' => question_of(rest),
        b'!' => answer_of(rest),
        b'+' => announced(rest).map(|(machine, port)| Message::Hello(machine, port)),
        b'-' => announced(rest).map(|(machine, port)| Message::Goodbye(machine, port)),
        _ => None,
    }
}

fn question_of(bytes: &[u8]) -> Option<Message> {
    let (nonce, rest) = bytes.split_first_chunk()?;
    let (count, digests) = rest.split_first()?;
    let (wanted, behind) = digests.as_chunks::<32>();
    let is_whole = behind.is_empty() && wanted.len() == usize::from(*count) && (1..=MAX_WANTED).contains(&wanted.len());
    let wanted = || wanted.iter().map(|bytes| Digest::from_bytes(*bytes)).collect();
    is_whole.then(|| Message::Question { nonce: *nonce, wanted: wanted() })
}

fn answer_of(bytes: &[u8]) -> Option<Message> {
    let (nonce, rest) = bytes.split_first_chunk()?;
    let (machine, rest) = rest.split_first_chunk()?;
    let (port, have) = rest.split_first_chunk()?;
    let port = port_of(*port)?;
    let is_whole = (1..=MAX_WANTED.div_ceil(8)).contains(&have.len());
    is_whole.then(|| Message::Answer { nonce: *nonce, machine: *machine, port, have: have.to_vec() })
}

fn announced(bytes: &[u8]) -> Option<(Machine, u16)> {
    let (machine, port) = bytes.split_first_chunk()?;
    Some((*machine, port_of(port.try_into().ok()?)?))
}

fn port_of(bytes: [u8; 2]) -> Option<u16> {
    Some(u16::from_be_bytes(bytes)).filter(|port| *port > 0)
}

/// The datagram of a message; a question has at most [`MAX_WANTED`] digests.
pub fn encode(message: &Message) -> Vec<u8> {
    let mut out = MARK.to_vec();
    match message {
        Message::Question { nonce, wanted } => {
            out.push(b'?');
            out.extend(nonce);
            out.push(u8::try_from(wanted.len()).unwrap_or(u8::MAX));
            wanted.iter().for_each(|digest| out.extend(digest.as_bytes()));
        }
        Message::Answer { nonce, machine, port, have } => {
            out.push(b'!');
            out.extend(nonce);
            out.extend(machine);
            out.extend(port.to_be_bytes());
            out.extend(have);
        }
        Message::Hello(machine, port) | Message::Goodbye(machine, port) => {
            out.push(if matches!(message, Message::Hello(..)) { b'+' } else { b'-' });
            out.extend(machine);
            out.extend(port.to_be_bytes());
        }
    }
    out
}

/// The bits of an answer.
pub fn bits(have: impl IntoIterator<Item = bool>) -> Vec<u8> {
    let mut bits = Vec::new();
    for (number, is_there) in have.into_iter().enumerate() {
        if number % 8 == 0 {
            bits.push(0);
        }
        if let Some(last) = bits.last_mut() {
            *last |= u8::from(is_there) << (7 - number % 8);
        }
    }
    bits
}

/// For each of `count` files whether the bits say that it is there; none where the bits are not for so many.
pub fn read_bits(bits: &[u8], count: usize) -> Option<Vec<bool>> {
    let bit = |number: usize| bits.get(number / 8).is_some_and(|byte| byte >> (7 - number % 8) & 1 == 1);
    let is_whole = bits.len() == count.div_ceil(8) && !(count..bits.len() * 8).any(bit);
    is_whole.then(|| (0..count).map(bit).collect())
}
