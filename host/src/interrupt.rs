//! Signals that ask the program to end: before the decision everything is taken back, after it
//! everything is finished first.
//!
//! Work asks [`check`] often and unwinds. Work that is waiting for something is not waited for
//! long: then what it has staged is cleared and the process ends where it stands.

use std::process;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::error::{Context, Error, ErrorKind, Result};

/// How long work may take to see that it is to end.
const GRACE: Duration = Duration::from_millis(500);

/// The signal that came; 0: none.
static CAME: AtomicI32 = AtomicI32::new(0);
/// Whether nothing is interrupted: a decision has fallen, or a recovery is at work.
static DECIDED: Mutex<bool> = Mutex::new(false);
/// What is cleared where work does not see in time that it is to end.
static TO_CLEAR: Mutex<Option<Clear>> = Mutex::new(None);
/// How often that is tried: the work may still be adding to it.
const TRIES: u32 = 5;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Tells that the process ends, where the work itself cannot.
static TELL: OnceLock<Tell> = OnceLock::new();

/// Tells why the process ends.
type Tell = Box<dyn Fn(&Error) + Send + Sync>;

/// Who tells it.
pub(crate) fn tell_with(tell: impl Fn(&Error) + Send + Sync + 'static) {
    let _ = TELL.set(Box::new(tell));
}

/// Clears what was begun; true when nothing of it is left.
type Clear = Box<dyn FnMut() -> bool + Send>;

/// Says what is to be cleared when the process must end before a decision.
pub(crate) fn clear_with(clear: impl FnMut() -> bool + Send + 'static) {
    *TO_CLEAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(clear));
}

/// From here on signals are seen. For commands that change something; others just end.
pub(crate) fn watch() -> Result<()> {
    // A limit on the size of files is told by a write that fails (EFBIG), not by a signal that kills.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).context(|| "cannot watch for signals".to_owned())?;
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]).context(|| "cannot watch for signals".to_owned())?;
    let watcher = move || {
        for signal in signals.forever() {
            if CAME.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                thread::spawn(move || end_after_grace(signal));
            }
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(watcher)
        .context(|| "cannot watch for signals".to_owned())?;
    Ok(())
}

fn end_after_grace(signal: i32) {
    thread::sleep(GRACE);
    // Held until the end, so that no decision falls meanwhile.
    let decided = DECIDED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*decided {
        if let Some(clear) = TO_CLEAR.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // What is left all the same is named in the journal: the next run clears it.
            let _ = (0..TRIES).any(|_| {
                clear() || {
                    thread::sleep(PAUSE);
                    false
                }
            });
        }
        if let Some(tell) = TELL.get() {
            tell(&interrupted(signal));
        }
        process::exit(i32::from(ErrorKind::Signal(signal).exit_code()));
    }
}

/// Whether the work may go on.
///
/// # Errors
/// A signal came, and nothing is decided yet.
pub(crate) fn check() -> Result<()> {
    match CAME.load(Ordering::Relaxed) {
        0 => Ok(()),
        signal => Err(interrupted(signal)),
    }
}

/// Lets a decision fall: all or nothing of it happens before or after a signal.
///
/// # Errors
/// A signal came before, or `decide` fails; then signals are seen again.
pub(crate) fn decide(decide: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut decided = DECIDED.lock().unwrap_or_else(PoisonError::into_inner);
    check()?;
    decide()?;
    *decided = true;
    Ok(())
}

/// Does what no signal may cut short: one that comes meanwhile is seen afterwards.
pub(crate) fn shield<T>(work: impl FnOnce() -> T) -> T {
    let shielded = |is: bool| *DECIDED.lock().unwrap_or_else(PoisonError::into_inner) = is;
    shielded(true);
    let done = work();
    shielded(false);
    match CAME.load(Ordering::SeqCst) {
        0 => {}
        signal => drop(thread::spawn(move || end_after_grace(signal))),
    }
    done
}

/// Before a command tells how it failed. Where what it has staged is being cleared, it may have failed of that: the
/// process ends there, by its signal.
pub(crate) fn wait_for_the_end_of_clearing() {
    drop(DECIDED.lock().unwrap_or_else(PoisonError::into_inner));
}

fn interrupted(signal: i32) -> Error {
    let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
    Error::new(ErrorKind::Signal(signal), format!("interrupted by {name}")).hint("nothing was changed")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn c31_nobody_tells_of_an_error_while_something_is_cleared() {
        let told = AtomicBool::new(false);
        thread::scope(|scope| {
            // As `end_after_grace` holds it until the process ends.
            let clearing = DECIDED.lock().unwrap();
            scope.spawn(|| {
                wait_for_the_end_of_clearing();
                told.store(true, Ordering::SeqCst);
            });
            thread::sleep(Duration::from_millis(50));
            assert!(!told.load(Ordering::SeqCst), "C31");
            drop(clearing);
        });
        assert!(told.load(Ordering::SeqCst), "C31: it waits no longer than that");
    }
}
