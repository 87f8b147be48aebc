use packets_plugin_api::ident::Digest;
use proptest::prelude::*;

use super::v2::{Message as Two, bits, encode, read_bits};
use super::*;
use crate::limits::{MAX_DATAGRAM, MAX_WANTED};

fn digests(count: usize) -> Vec<Digest> {
    (0..count).map(|number| Digest::from_bytes([u8::try_from(number).unwrap(); 32])).collect()
}

#[test]
fn version_1_is_spoken_byte_for_byte() {
    assert_eq!(v1::question("nginx-1.29.1.pkt.tar.zst"), b"Q:nginx-1.29.1.pkt.tar.zst");
    assert_eq!(v1::have("nginx-1.29.1.pkt.tar.zst", 9123), b"H:nginx-1.29.1.pkt.tar.zst:9123");
    let name = "a+b_1.0~rc1.pkt.tar.zst".to_owned();
    assert_eq!(decode(&v1::question(&name)), Some(Message::One(v1::Message::Question { name: name.clone() })));
    assert_eq!(decode(&v1::have(&name, 65535)), Some(Message::One(v1::Message::Have { name, port: 65535 })));
}

#[test]
fn n06_what_is_no_message_of_version_1() {
    for bad in [
        "",
        "Q",
        "Q:",
        "Q:a/b",
        "Q:../x",
        "Q:.hidden",
        "Q:a b",
        "Q:a:1",
        "Q:a\0",
        "Q:a\n",
        "Q:a%2f",
        "Q:a?b",
        "Q:a#b",
        "q:a",
        " Q:a",
        "QQ:a",
        "H:",
        "H:a",
        "H:a:",
        "H:a:0",
        "H:a:65536",
        "H:a:+1",
        "H:a:-1",
        "H:a:1 ",
        "H:a: 1",
        "H:a:000001",
        "H::1",
        "H:a:b:1",
        "H:a/b:1",
        "X:a",
        "HELLO",
    ] {
        assert_eq!(decode(bad.as_bytes()), None, "{bad:?}");
    }
    assert_eq!(decode(b"Q:\xff\xfe"), None);
    assert!(decode(format!("Q:{}", "x".repeat(255)).as_bytes()).is_some());
    assert_eq!(decode(format!("Q:{}", "x".repeat(256)).as_bytes()), None);
    assert_eq!(decode(&vec![b'Q'; 65_507]), None);
}

#[test]
fn version_2_has_this_form() {
    let question = Two::Question { nonce: [7; 16], wanted: digests(2) };
    let bytes = encode(&question);
    assert_eq!(bytes[..3], *b"P2?");
    assert_eq!((bytes[3..19].to_vec(), bytes[19], bytes.len()), (vec![7; 16], 2, 20 + 64));
    let answer = Two::Answer { nonce: [7; 16], machine: [1; 8], port: 0x23a3, have: vec![0b0100_0000] };
    let bytes = encode(&answer);
    assert_eq!(bytes[..3], *b"P2!");
    assert_eq!(bytes[27..], [0x23, 0xa3, 0b0100_0000]);
    assert_eq!(encode(&Two::Hello([1; 8], 256)), b"P2+\x01\x01\x01\x01\x01\x01\x01\x01\x01\x00");
    assert_eq!(encode(&Two::Goodbye([1; 8], 1)), b"P2-\x01\x01\x01\x01\x01\x01\x01\x01\x00\x01");
}

#[test]
fn n04_an_answer_is_shorter_than_its_question_and_both_fit_a_frame() {
    for count in 1..=MAX_WANTED {
        let question = encode(&Two::Question { nonce: [0; 16], wanted: digests(count) });
        let have = bits((0..count).map(|_| true));
        let answer = encode(&Two::Answer { nonce: [0; 16], machine: [0; 8], port: 1, have });
        assert!(answer.len() < question.len() && question.len() <= MAX_DATAGRAM, "{count}");
    }
}

#[test]
fn n06_what_is_no_message_of_version_2() {
    let good = encode(&Two::Question { nonce: [7; 16], wanted: digests(3) });
    for length in 0..good.len() {
        assert_eq!(decode(&good[..length]), None, "cut after {length}");
    }
    assert_eq!(decode(&[&good[..], b"x"].concat()), None, "trailing");
    let count = |count: u8| [&good[..19], &[count], &good[20..]].concat();
    assert!(decode(&count(3)).is_some());
    assert_eq!(
        [decode(&count(0)), decode(&count(2)), decode(&count(4)), decode(&count(255))],
        [None, None, None, None]
    );
    assert_eq!(decode(&encode(&Two::Question { nonce: [0; 16], wanted: Vec::new() })), None, "nothing wanted");
    assert_eq!(decode(&encode(&Two::Question { nonce: [0; 16], wanted: digests(MAX_WANTED + 1) })), None, "too much");
    for port_zero in [Two::Hello([1; 8], 0), Two::Goodbye([1; 8], 0)] {
        assert_eq!(decode(&encode(&port_zero)), None);
    }
    let answer = |have: Vec<u8>| encode(&Two::Answer { nonce: [0; 16], machine: [0; 8], port: 1, have });
    assert_eq!([decode(&answer(Vec::new())), decode(&answer(vec![0; 6]))], [None, None]);
    assert_eq!([decode(b"P2"), decode(b"P2x"), decode(b"P3?"), decode(b"P2+")], [None, None, None, None]);
}

#[test]
fn bits_are_for_exactly_so_many_files() {
    let have = [true, false, false, true, false, false, false, false, true];
    assert_eq!(bits(have), [0b1001_0000, 0b1000_0000]);
    assert_eq!(read_bits(&bits(have), 9).unwrap(), have);
    for count in [0, 1, 8, 17] {
        assert_eq!(read_bits(&bits(have), count), None, "{count}");
    }
    assert_eq!(read_bits(&[0b1000_0001], 7), None, "a bit for a file that was not asked for");
}

proptest! {
    /// N06, C38: whatever comes is a message that says the same again, or nothing.
    #[test]
    fn n06_any_bytes_are_understood_whole_or_not_at_all(bytes in prop::collection::vec(any::<u8>(), 0..1600), mark in 0..6_u8) {
        let front: &[u8] = match mark { 0 => b"", 1 => b"P2?", 2 => b"P2!", 3 => b"P2+", 4 => b"Q:", _ => b"H:" };
        let datagram = [front, &bytes].concat();
        prop_assert!(is_understood_whole_or_not_at_all(&datagram));
    }

    #[test]
    fn messages_come_back_as_they_were_said(nonce: [u8; 16], machine: [u8; 8], port in 1..=u16::MAX, have in prop::collection::vec(any::<bool>(), 1..=MAX_WANTED)) {
        let question = Two::Question { nonce, wanted: digests(have.len()) };
        prop_assert_eq!(decode(&encode(&question)), Some(Message::Two(question)));
        let answer = Two::Answer { nonce, machine, port, have: bits(have.iter().copied()) };
        prop_assert_eq!(decode(&encode(&answer)), Some(Message::Two(answer.clone())));
        let Two::Answer { have: said, .. } = answer else { unreachable!() };
        prop_assert_eq!(read_bits(&said, have.len()), Some(have));
    }
}
