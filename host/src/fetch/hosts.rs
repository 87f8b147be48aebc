//! Whom a command talks to: how many transfers there are with each host, and who has failed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use url::Url;

/// All hosts of one command.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    all: Mutex<HashMap<String, Host>>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Host {
    busy: usize,
    faults: u32,
    /// Whether a file came so slowly from it that others helped.
    is_slow: bool,
}

impl Hosts {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until fewer than `most` transfers with this host are under way, and counts one
    /// more; none when the transfer is not wanted any more.
    pub(super) fn enter(self: &Arc<Self>, host: &str, most: usize, unwanted: &AtomicBool) -> Option<Slot> {
        let mut all = self.all();
        loop {
            if unwanted.load(Ordering::SeqCst) {
                return None;
            }
            let entry = all.entry(host.to_owned()).or_default();
            if entry.busy < most {
                entry.busy += 1;
                return Some(Slot { hosts: self.clone(), host: host.to_owned() });
            }
            all = self.freed.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The same, where that needs no waiting.
    pub(super) fn try_enter(self: &Arc<Self>, host: &str, most: usize) -> Option<Slot> {
        let mut all = self.all();
        let entry = all.entry(host.to_owned()).or_default();
        if entry.busy >= most {
            return None;
        }
        entry.busy += 1;
        Some(Slot { hosts: self.clone(), host: host.to_owned() })
    }

    /// Lets those look again whose transfer may not be wanted any more.
    pub(super) fn wake(&self) {
        // Whoever is about to wait has looked under this lock.
        drop(self.all());
        self.freed.notify_all();
    }

    /// The host has failed: from now on others are asked before it (N09, N22).
    pub(super) fn blame(&self, host: &str) {
        let mut all = self.all();
        let faults = &mut all.entry(host.to_owned()).or_default().faults;
        *faults = faults.saturating_add(1);
    }

    /// The host is slow: where it is near, it does not come before others any more (N12).
    pub(super) fn is_slow_from_now(&self, host: &str) {
        self.all().entry(host.to_owned()).or_default().is_slow = true;
    }

    /// Whether it was slow in this command.
    pub(super) fn is_slow(&self, host: &str) -> bool {
        self.all().get(host).is_some_and(|host| host.is_slow)
    }

    /// How often it has failed in this command.
    pub(super) fn faults(&self, host: &str) -> u32 {
        self.all().get(host).map_or(0, |host| host.faults)
    }
}

/// One transfer with a host; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    hosts: Arc<Hosts>,
    host: String,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(host) = self.hosts.all().get_mut(&self.host) {
            host.busy -= 1;
        }
        self.hosts.freed.notify_all();
    }
}

/// A slot that can be given back by whoever uses it, and before that by whoever waits no longer.
#[derive(Debug, Clone)]
pub(super) struct Lent(Arc<Mutex<Option<Slot>>>);

impl Lent {
    pub(super) fn new(slot: Slot) -> Self {
        Self(Arc::new(Mutex::new(Some(slot))))
    }

    pub(super) fn give_back(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Whom a location means: its server, or the source where it names none.
pub(super) fn host_of(source: &str, location: &str) -> String {
    match Url::parse(location) {
        Ok(url) if url.has_host() && url.scheme() != "file" => {
            let port = url.port_or_known_default().unwrap_or(0);
            format!("{}:{port}", url.host_str().unwrap_or_default())
        }
        // A URL cannot name an address of one link.
        _ => match location.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
            Some((host, _)) if !host.is_empty() => host.to_owned(),
            _ => source.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_host_is_a_name_with_a_port() {
        for (location, host) in [
            ("http://a.example/x", "a.example:80"),
            ("https://user:secret@a.example/y", "a.example:443"),
            ("http://a.example:8080/x", "a.example:8080"),
            ("http://[::1]:8080/x", "[::1]:8080"),
            ("lan://10.0.0.1:9123/x", "10.0.0.1:9123"),
            ("lan://[fe80::1%3]:9123/x", "[fe80::1%3]:9123"),
            ("/srv/x", "file"),
            ("file:///srv/x", "file"),
            ("", "file"),
        ] {
            assert_eq!(host_of("file", location), host);
        }
    }

    #[test]
    fn no_more_than_so_many_at_a_time() {
        let (hosts, wanted) = (Arc::new(Hosts::default()), AtomicBool::new(false));
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let _slot = hosts.enter("a", 3, &wanted).unwrap();
                    assert!(hosts.try_enter("a", 1).is_none());
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(10));
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn who_is_not_wanted_any_more_stops_waiting() {
        let (hosts, unwanted) = (Arc::new(Hosts::default()), AtomicBool::new(false));
        let _held = hosts.enter("a", 1, &unwanted).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| hosts.enter("a", 1, &unwanted).is_none());
            std::thread::sleep(Duration::from_millis(20));
            unwanted.store(true, Ordering::SeqCst);
            hosts.wake();
            assert!(waiting.join().unwrap());
        });
        assert!(hosts.enter("b", 1, &AtomicBool::new(false)).is_some(), "another host is free");
        assert!(hosts.try_enter("a", 1).is_none() && hosts.try_enter("a", 2).is_some());
    }
}
