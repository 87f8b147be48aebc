//! What is said on the local network, in both versions.

use packets_plugin_lan::limits::MAX_DATAGRAM;
use packets_plugin_lan::wire::v2::{Message, encode};
use packets_plugin_lan::wire::{decode, is_understood_whole_or_not_at_all, v1};

pub(super) fn datagram(bytes: &[u8]) {
    assert!(is_understood_whole_or_not_at_all(bytes), "{:?}", decode(bytes));
    assert!(decode(bytes).is_none() || bytes.len() <= MAX_DATAGRAM, "longer than a frame, and understood");
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let digest = |number: u8| packets_plugin_api::ident::Digest::from_bytes([number; 32]);
    let messages = [
        Message::Question { nonce: [7; 16], wanted: vec![digest(1), digest(2)] },
        Message::Answer { nonce: [7; 16], machine: [1; 8], port: 9123, have: vec![0b0100_0000] },
        Message::Hello([1; 8], 9123),
        Message::Goodbye([1; 8], 9123),
    ];
    let name = "nginx-1.29.1.pkt.tar.zst";
    messages.iter().map(encode).chain([v1::question(name), v1::have(name, 9123)]).collect()
}
