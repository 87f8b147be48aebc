//! The same work for many things, on all cores.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// For fewer things a thread costs more than it saves.
const FEW: usize = 8;

/// The answers for all items, in their order.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = match items.len() / FEW {
        0 => 1,
        worth => thread::available_parallelism().map_or(1, usize::from).min(worth + 1),
    };
    if threads == 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let some = || {
        let taken = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        taken.map_while(|at| Some((at, work(items.get(at)?)))).collect::<Vec<(usize, R)>>()
    };
    let mut all = thread::scope(|scope| {
        // Where no thread is to be had this one does it all.
        let others: Vec<_> =
            (1..threads).map_while(|_| thread::Builder::new().spawn_scoped(scope, some).ok()).collect();
        let mut all = some();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)));
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_answered_once_and_in_order() {
        for count in [0, 1, FEW - 1, FEW, 2 * FEW, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let calls = AtomicUsize::new(0);
            let answers = map(&items, |item| {
                calls.fetch_add(1, Ordering::Relaxed);
                item * 2
            });
            assert_eq!(answers, items.iter().map(|item| item * 2).collect::<Vec<_>>());
            assert_eq!(calls.into_inner(), count);
        }
    }
}
