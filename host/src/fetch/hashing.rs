//! The SHA-256 of what comes, taken by a thread of its own while the next bytes come.
//!
//! A fast network and the hash each take about one core: one after the other they take twice the time. Little is hashed
//! where it is, without a thread.

use std::mem;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use packets_plugin_api::ident::Digest;
use sha2::{Digest as _, Sha256};

/// So many bytes are hashed without a thread.
const BESIDE: u64 = 4 << 20;
/// Pieces that wait to be hashed, and used ones that wait to be filled again.
const QUEUE: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hashing {
    size: u64,
    /// What has been hashed, where no thread does it.
    hasher: Sha256,
    thread: Option<Beside>,
    /// Whether one was asked for.
    is_tried: bool,
}

/// The thread, which ends when this is dropped.
#[derive(Debug)]
struct Beside {
    orders: SyncSender<Order>,
    used: Receiver<Vec<u8>>,
}

enum Order {
    /// So many bytes of this piece come next.
    Add(Vec<u8>, usize),
    /// What is the hash so far?
    Tell(SyncSender<Sha256>),
}

impl Hashing {
    /// The first so many bytes of this piece come next. What is given back, this one or an earlier one, can be filled
    /// again.
    pub(super) fn add(&mut self, piece: Vec<u8>, length: usize) -> Option<Vec<u8>> {
        self.size += length as u64;
        if !self.is_tried && self.size > BESIDE {
            self.is_tried = true;
            self.thread = Beside::begin(&mut self.hasher);
        }
        let Some(thread) = &self.thread else {
            self.hasher.update(&piece[..length]);
            return Some(piece);
        };
        // It lives as long as this.
        let _ = thread.orders.send(Order::Add(piece, length));
        thread.used.try_recv().ok()
    }

    /// Of all that has been added.
    pub(super) fn digest(&self) -> Digest {
        let hasher = self.thread.as_ref().map_or_else(|| self.hasher.clone(), Beside::tell);
        Digest::from_bytes(hasher.finalize().into())
    }
}

impl Beside {
    /// Goes on with this; none, and it stays as it is, where the machine has one core or no thread to spare.
    fn begin(hasher: &mut Sha256) -> Option<Self> {
        if thread::available_parallelism().map_or(1, usize::from) == 1 {
            return None;
        }
        let (orders, to_do) = mpsc::sync_channel(QUEUE);
        let (give_back, used) = mpsc::sync_channel(QUEUE);
        let begun = hasher.clone();
        let work = move || follow(begun, &to_do, &give_back);
        thread::Builder::new().name("hash".to_owned()).spawn(work).ok()?;
        mem::take(hasher);
        Some(Self { orders, used })
    }

    fn tell(&self) -> Sha256 {
        let (answer, told) = mpsc::sync_channel(1);
        // Nothing has this hash, so nothing wrong is taken for right.
        let _ = self.orders.send(Order::Tell(answer));
        told.recv().unwrap_or_default()
    }
}

fn follow(mut hasher: Sha256, to_do: &Receiver<Order>, give_back: &SyncSender<Vec<u8>>) {
    while let Ok(order) = to_do.recv() {
        match order {
            Order::Add(piece, length) => {
                hasher.update(&piece[..length]);
                let _ = give_back.try_send(piece);
            }
            Order::Tell(answer) => drop(answer.send(hasher.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_hash_with_and_without_a_thread() {
        let bytes: Vec<u8> = (0..3 * BESIDE).map(|number| (number % 251) as u8).collect();
        for step in [1000, 128 << 10, 5 << 20] {
            let (mut hashing, mut piece, mut at) = (Hashing::default(), vec![0; step], 0);
            while at < bytes.len() {
                let length = step.min(bytes.len() - at);
                piece[..length].copy_from_slice(&bytes[at..at + length]);
                piece = hashing.add(piece, length).unwrap_or_else(|| vec![0; step]);
                assert_eq!(piece.len(), step);
                at += length;
                if at.is_multiple_of(3 * step) {
                    assert_eq!(hashing.digest(), of(&bytes[..at]), "in the middle, {at}");
                }
            }
            assert_eq!(hashing.digest(), of(&bytes));
        }
    }

    fn of(bytes: &[u8]) -> Digest {
        Digest::from_bytes(Sha256::digest(bytes).into())
    }
}
