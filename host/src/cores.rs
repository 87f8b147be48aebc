//! The same work for many things, on all cores.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// For fewer things a thread costs more than it saves.
const FEW: usize = 8;

/// The answers for all items, in their order.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    map_with(vec![(); threads_for(items.len())], items, |(), item| work(item))
}

/// How many threads so many items are worth.
pub(crate) fn threads_for(items: usize) -> usize {
    match items / FEW {
        0 => 1,
        worth => thread::available_parallelism().map_or(1, usize::from).min(worth + 1),
    }
}

/// As [`map`], on as many threads as there are `tools`: each works with one of its own. Without any there are no answers.
pub(crate) fn map_with<S: Send, T: Sync, R: Send>(
    mut tools: Vec<S>,
    items: &[T],
    work: impl Fn(&mut S, &T) -> R + Sync,
) -> Vec<R> {
    let Some(mut own) = tools.pop() else { return Vec::new() };
    if tools.is_empty() {
        return items.iter().map(|item| work(&mut own, item)).collect();
    }
    let next = AtomicUsize::new(0);
    let some = |mut tool: S| {
        let taken = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        taken.map_while(|at| Some((at, work(&mut tool, items.get(at)?)))).collect::<Vec<(usize, R)>>()
    };
    let some = &some;
    let mut all = thread::scope(|scope| {
        // Where no thread is to be had this one does it all.
        let begin = |tool| thread::Builder::new().spawn_scoped(scope, move || some(tool)).ok();
        let others: Vec<_> = tools.into_iter().map_while(begin).collect();
        let mut all = some(own);
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
