//! One writing run at a time.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::thread;
use std::time::Duration;

use packets_hook_runtime::folder::Folder;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::error::{Context, Error, Result};
use crate::interrupt;
use crate::report::{Event, Events};

/// The lock on a target; given back when it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    /// What counts: a folder cannot be deleted under a run as a file can (C21).
    _folder: File,
    /// What tells who holds it.
    _file: File,
}

const NAME: &str = "lock";
/// Between two looks at a lock that another run holds.
const PAUSE: Duration = Duration::from_millis(20);

impl Lock {
    /// Takes the lock in `folder`, waiting for another run unless `wait` is false.
    /// `command` is what another run is told that waits for this one.
    pub(crate) fn take(folder: &Folder, command: &str, wait: bool, events: &dyn Events) -> Result<Self> {
        let named = || "cannot take the lock /etc/packets/lock".to_owned();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mut file: File = openat(folder, NAME, flags, Mode::from_raw_mode(0o644)).context(named)?.into();
        // A handle of its own: a lock belongs to one open.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let held: File = openat(folder, ".", flags, Mode::empty()).context(named)?.into();
        for (at, lock) in [&held, &file].into_iter().enumerate() {
            match flock(lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => wait_for(lock, &mut file.try_clone().context(named)?, wait, events)?,
                // Some file systems lock files only.
                Err(Errno::BADF | Errno::OPNOTSUPP | Errno::INVAL) if at == 0 => {}
                Err(error) => return Err(error).context(named),
            }
        }
        // For whoever waits; nothing depends on it.
        let note = format!("{command} (process {})\n", std::process::id());
        let _ =
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| file.write_all(note.as_bytes()));
        Ok(Self { _folder: held, _file: file })
    }
}

fn wait_for(lock: &File, note: &mut File, wait: bool, events: &dyn Events) -> Result<()> {
    let holder = holder(note);
    if !wait {
        return Err(Error::request(format!("another run holds the lock: {holder}"))
            .hint("without --no-wait this run waits for it"));
    }
    events.event(&Event::Warning(&format!("waiting for {holder}")));
    while let Err(error) = flock(lock, FlockOperation::NonBlockingLockExclusive) {
        if !matches!(error, Errno::INTR | Errno::WOULDBLOCK) {
            return Err(error).context(|| "cannot take the lock /etc/packets/lock".to_owned());
        }
        // Not one long wait: a signal must be able to end it.
        interrupt::check()?;
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Whether the process that noted itself in the lock still runs. A reader takes no lock, not even for a
/// moment, which could turn away a run that does not wait.
pub(crate) fn is_held(folder: &Folder) -> bool {
    let note = folder.read(NAME).map(|mut file| holder(&mut file)).unwrap_or_default();
    let number = note.rsplit_once("(process ").and_then(|(_, rest)| rest.trim_end_matches(')').parse().ok());
    let process = number.and_then(Pid::from_raw);
    process.is_some_and(|process| test_kill_process(process) != Err(Errno::SRCH))
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(200).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => packets_plugin_api::ident::escape(text.trim(), 100),
        _ => "another run".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Silent;

    #[test]
    fn c20_one_at_a_time_and_free_after_the_holder() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        let first = Lock::take(&folder, "install jq", false, &Silent).unwrap();
        let error = Lock::take(&folder, "remove jq", false, &Silent).unwrap_err();
        assert!(error.message().contains("install jq (process "), "{error}");
        drop(first);
        Lock::take(&folder, "remove jq", false, &Silent).unwrap();
    }

    #[test]
    fn c21_a_lock_file_that_was_deleted_frees_nothing() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        let first = Lock::take(&folder, "install jq", false, &Silent).unwrap();
        std::fs::remove_file(home.path().join("lock")).unwrap();
        assert!(Lock::take(&folder, "remove jq", false, &Silent).is_err());
        drop(first);
        Lock::take(&folder, "remove jq", false, &Silent).unwrap();
    }

    #[test]
    fn c21_a_planted_link_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("victim"), "keep").unwrap();
        std::os::unix::fs::symlink("victim", home.path().join("lock")).unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        assert!(Lock::take(&folder, "install", false, &Silent).is_err());
        assert_eq!(std::fs::read_to_string(home.path().join("victim")).unwrap(), "keep");
    }
}
