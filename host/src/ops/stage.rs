//! Fetching, verifying and unpacking, all packages of a command at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use packets_hook_runtime::folder::Folder;
use packets_plugin_api::storage::FileKind;

use super::gather::Loose;
use crate::error::{Error, Result};
use crate::fetch::limits::TRANSFERS;
use crate::fetch::{self, Fetched, Fetcher, Wanted};
use crate::interrupt;
use crate::plan::{Installation, Plan, Source};
use crate::report::{Event, Events};
use crate::unpack::{self, Expected, Staged};
use crate::verify;

/// Where the packages of a plan come from.
pub(super) struct Supply<'a> {
    pub(super) fetcher: &'a Fetcher<'a>,
    pub(super) loose: &'a Loose,
    /// Where the index came from; its relative mirrors are relative to it.
    pub(super) base: &'a str,
    pub(super) events: &'a dyn Events,
}

impl Supply<'_> {
    /// Tells those that packages are fetched from what it will be.
    pub(super) fn prepare(&self, plan: &Plan) {
        let wants: Vec<Wanted> = plan.installations().iter().filter_map(|one| self.wanted(one)).collect();
        self.fetcher.prepare(&wants);
    }

    /// All packages of the plan, unpacked in `into`, in the plan's order.
    ///
    /// # Errors
    /// The first package in the plan's order that cannot be had whole and right.
    pub(super) fn stage(&self, plan: &Plan, into: &Folder) -> Result<Vec<Staged>> {
        match plan.installations() {
            [] => Ok(Vec::new()),
            [one] => Ok(vec![self.fetch(one).and_then(|fetched| self.unpack(one, fetched, into))?]),
            many => self.stage_many(many, into),
        }
    }

    /// While one package unpacks, the next ones are fetched.
    fn stage_many(&self, many: &[Installation], into: &Folder) -> Result<Vec<Staged>> {
        let results: Mutex<Vec<Option<Result<Staged>>>> = Mutex::new(many.iter().map(|_| None).collect());
        let failed = AtomicBool::new(false);
        let next = AtomicUsize::new(0);
        let (send, receive) = mpsc::sync_channel::<(usize, Result<Fetched>)>(TRANSFERS);
        let receive = Mutex::new(receive);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..TRANSFERS.min(many.len()) {
                let send = send.clone();
                let (next, failed) = (&next, &failed);
                scope.spawn(move || {
                    while !failed.load(Ordering::Relaxed) {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(one) = many.get(at) else { break };
                        if send.send((at, self.fetch(one))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            for _ in 0..cores.min(many.len()) {
                scope.spawn(|| {
                    loop {
                        let message = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok((at, fetched)) = message else { break };
                        if failed.load(Ordering::Relaxed) {
                            continue;
                        }
                        let staged = fetched.and_then(|fetched| self.unpack(&many[at], fetched, into));
                        if staged.is_err() {
                            failed.store(true, Ordering::Relaxed);
                        }
                        results.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(staged);
                    }
                });
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut staged = Vec::with_capacity(many.len());
        let mut missing = None;
        for (result, one) in results.into_iter().zip(many) {
            match result {
                Some(result) => staged.push(result?),
                None => missing = missing.or(Some(one.name())),
            }
        }
        match missing {
            Some(name) => Err(Error::storage(format!("{name} was not staged"))),
            None => Ok(staged),
        }
    }

    fn fetch(&self, one: &Installation) -> Result<Fetched> {
        interrupt::check()?;
        match self.wanted(one) {
            Some(want) => {
                self.tell_of_unusable(one);
                self.fetcher.fetch(&want)
            }
            None => fetch::local(self.loose.open(one.name())?, one.name().as_str()),
        }
    }

    /// What is to be fetched for a package; none where its file was given.
    fn wanted(&self, one: &Installation) -> Option<Wanted> {
        let candidate = one.candidate();
        let mirrors = match &candidate.from {
            Source::Index(mirrors) => {
                mirrors.iter().filter_map(|mirror| fetch::resolve_mirror(self.base, mirror).ok()).collect()
            }
            _ if self.loose.contains(one.name()) => return None,
            Source::Given(_) | Source::Repository(_) => Vec::new(),
        };
        Some(Wanted { package: one.name().clone(), digest: one.digest(), size: candidate.size, mirrors })
    }

    /// A bad mirror is no reason not to ask the others (N22).
    fn tell_of_unusable(&self, one: &Installation) {
        let Source::Index(mirrors) = &one.candidate().from else { return };
        for error in mirrors.iter().filter_map(|mirror| fetch::resolve_mirror(self.base, mirror).err()) {
            self.events.event(&Event::FetchRetry { package: one.name(), problem: error.message() });
        }
    }

    fn unpack(&self, one: &Installation, fetched: Fetched, into: &Folder) -> Result<Staged> {
        self.events.event(&Event::UnpackStarted { package: one.name() });
        let candidate = one.candidate();
        let verified = verify::verify(fetched, &verify::Expected { digest: one.digest(), size: candidate.size })?;
        let expected = Expected {
            name: candidate.name.clone(),
            version: candidate.version.clone(),
            requires: Some(candidate.requires.clone()),
            installed_size: candidate.installed_size,
        };
        let staged = unpack::unpack(verified, into, &expected)?;
        let files = staged.files().iter().filter(|record| matches!(record.kind, FileKind::File { .. })).count() as u64;
        self.events.event(&Event::Unpacked { package: one.name(), files });
        for warning in staged.warnings() {
            self.events.event(&Event::Warning(&format!("{}: {warning}", one.name())));
        }
        Ok(staged)
    }
}
