//! One source is searched, one place is opened: guarded against a source that does not keep to what it promises.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use packets_plugin_api::fetch::{Begun, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};

use crate::fetch::Wanted;
use crate::fetch::limits::MAX_CANDIDATES;

/// The places of a source, at most [`MAX_CANDIDATES`], until `found` says false.
pub(super) fn find(
    source: &dyn FetchSource,
    want: &Wanted,
    found: &mut dyn FnMut(Candidate) -> bool,
) -> Result<(), FetchError> {
    let mut count = 0;
    let searching = || {
        source.find(want, &mut |candidate| {
            count += 1;
            // Nor does a source that ignores the Break get more.
            match count <= MAX_CANDIDATES && found(candidate) && count < MAX_CANDIDATES {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })
    };
    catch_unwind(AssertUnwindSafe(searching)).unwrap_or_else(|_| Err(panicked()))
}

/// Asks the place, and does not wait; none where its source knows no such way.
pub(super) fn begin(source: &dyn FetchSource, from: &Candidate, offset: u64) -> Option<Begun> {
    catch_unwind(AssertUnwindSafe(|| source.begin(from, offset))).unwrap_or_default()
}

/// The place from this offset on, or from the beginning where it cannot start there; and which of both. It may have been
/// asked already.
pub(super) fn open(
    source: &dyn FetchSource,
    from: &Candidate,
    offset: u64,
    begun: Option<Begun>,
) -> Result<(Opened, u64), FetchError> {
    let opening = || match begun.map_or_else(|| source.open(from, offset), |begun| begun()) {
        Err(error) if error.kind == FetchErrorKind::NoSuchRange && offset > 0 => Ok((source.open(from, 0)?, 0)),
        opened => Ok((opened?, offset)),
    };
    catch_unwind(AssertUnwindSafe(opening)).unwrap_or_else(|_| Err(panicked()))
}

pub(in crate::fetch) fn panicked() -> FetchError {
    FetchError::new(FetchErrorKind::Protocol, "the source panicked")
}

/// Runs what may take long, and is not waited for when another was faster. It ends by
/// itself: whatever a source does comes back within bounded time. Where the machine has no
/// thread to spare, it is waited for.
pub(in crate::fetch) fn in_thread(work: impl FnOnce() + Send + 'static) {
    let work = Arc::new(Mutex::new(Some(work)));
    let shared = work.clone();
    let take = |work: &Mutex<Option<_>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let run = move || take(&shared).into_iter().for_each(|work| work());
    if thread::Builder::new().spawn(run).is_err() {
        take(&work).into_iter().for_each(|work| work());
    }
}
