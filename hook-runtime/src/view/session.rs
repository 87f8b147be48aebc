//! One hook at work in the overlay.

use std::collections::{BTreeMap, BTreeSet};

use packets_plugin_api::hook::{Denial, FileId, HookReport, OpenMode, StagedView, ViewError, ViewErrorKind, Whence};
use packets_plugin_api::ident::escape;
use packets_plugin_api::relpath::RelPath;

use super::entry::{Entry, FileNumber, Node, Step};
use super::files::OpenFile;
use super::ownership::{Aim, Rules};
use super::resolve::{Place, Thing};
use super::stop::{Result, Stop};
use super::{Overlay, OverlayError, ViewLimits};
use crate::limits;
use crate::sandbox::RefusedGrant;

/// What one hook sees, and all that it does.
///
/// A session that is dropped without [`finish`](Self::finish) leaves nothing behind.
pub struct Session<'a> {
    pub(super) overlay: &'a mut Overlay,
    pub(super) rules: Rules<'a>,
    pub(super) limits: ViewLimits,
    /// Files that this session made carry it.
    pub(super) number: u32,
    /// What the overlay knew of each path that the hook changed.
    before: BTreeMap<RelPath, Option<Entry>>,
    pub(super) made: Vec<FileNumber>,
    pub(super) open: BTreeMap<u32, OpenFile>,
    pub(super) last_open: u32,
    pub(super) operations: u64,
    pub(super) written: u64,
    /// A limit is used up: nothing is done any more.
    pub(super) spent: bool,
    /// What the disk said when it failed first.
    broken: Option<String>,
    /// The operation with two paths that runs is at its second one, which a denial then names.
    pub(super) blames_second: bool,
    denials: Vec<Denial>,
    line: u32,
    ended: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(overlay: &'a mut Overlay, rules: Rules<'a>, limits: ViewLimits) -> Self {
        overlay.last_session += 1;
        Self {
            number: overlay.last_session,
            overlay,
            rules,
            limits,
            before: BTreeMap::new(),
            made: Vec::new(),
            open: BTreeMap::new(),
            last_open: 0,
            operations: 0,
            written: 0,
            spent: false,
            broken: None,
            blames_second: false,
            denials: Vec::new(),
            line: 0,
            ended: false,
        }
    }

    /// What the hook was denied so far.
    pub fn denials(&self) -> &[Denial] {
        &self.denials
    }

    /// The granted paths that are not in force, and why.
    pub fn refused(&self) -> &[RefusedGrant] {
        self.rules.grant.refused()
    }

    /// Ends the hook and keeps what it did: files are closed, hashed and given their
    /// modes; the effects are the net change of each path.
    ///
    /// # Errors
    /// The staging folder fails; then nothing of the hook is kept.
    pub fn finish(mut self) -> Result<HookReport, OverlayError> {
        if let Some(message) = self.broken.take() {
            // A hook need not look at what a write returns; a file that is not whole must not come of it.
            self.undo();
            return Err(OverlayError { message, cause: None });
        }
        self.open.clear();
        self.settle().inspect_err(|_| self.undo())?;
        self.ended = true;
        let mut effects = Vec::with_capacity(self.before.len());
        for (path, before) in &self.before {
            let now = self.overlay.entries.get(path);
            let same = match (before, now) {
                (None, None) => true,
                (Some(before), Some(now)) => before.node.same(&now.node) && before.by == now.by,
                (Some(before), None) => !before.node.is_there(),
                (None, Some(_)) => false,
            };
            if !same {
                effects.push(self.overlay.effect(path, now));
            }
        }
        self.forget_unused();
        Ok(HookReport { effects, denials: std::mem::take(&mut self.denials) })
    }

    /// Ends the hook; nothing of it remains.
    pub fn abandon(self) {
        drop(self);
    }

    fn settle(&mut self) -> Result<(), OverlayError> {
        for path in self.before.keys() {
            let Some(Node::File(number)) = self.overlay.entries.get(path).map(|entry| &entry.node) else { continue };
            let Some(staged) = self.overlay.files.get_mut(number) else { continue };
            if staged.session == self.number {
                Self::settle_file(staged)
                    .map_err(|error| OverlayError::new("complete the staged file for", path, error))?;
            }
        }
        Ok(())
    }

    fn undo(&mut self) {
        self.ended = true;
        self.open.clear();
        let before = std::mem::take(&mut self.before);
        for (path, entry) in &before {
            match entry {
                Some(entry) => self.overlay.entries.insert(path.clone(), entry.clone()),
                None => self.overlay.entries.remove(path),
            };
        }
        // All files that were made are unused now, those of other sessions are in use again.
        for number in std::mem::take(&mut self.made) {
            self.overlay.forget(number);
        }
    }

    /// Deletes the staged files that no path leads to any more.
    fn forget_unused(&mut self) {
        let used: BTreeSet<FileNumber> = self
            .before
            .keys()
            .filter_map(|path| match self.overlay.entries.get(path)?.node {
                Node::File(number) => Some(number),
                _ => None,
            })
            .collect();
        let replaced = self.before.values().flatten().filter_map(|entry| match entry.node {
            Node::File(number) => Some(number),
            _ => None,
        });
        let maybe: BTreeSet<FileNumber> = replaced.chain(self.made.iter().copied()).collect();
        for number in maybe.difference(&used) {
            self.overlay.forget(*number);
        }
    }

    /// Counts one operation.
    pub(super) fn tick(&mut self) -> Result<()> {
        self.operations = self.operations.saturating_add(1);
        if self.spent || self.operations > self.limits.operations {
            self.spent = true;
            return Err(Stop::Limit(if self.written > self.limits.written { "bytes written" } else { "operations" }));
        }
        Ok(())
    }

    pub(super) fn resolve(&mut self, text: &str, follow: bool) -> Result<Place> {
        let rule = match text {
            _ if text.len() > limits::PATH => "a path is at most 4096 bytes long",
            _ if text.contains('\0') => "a path holds no NUL",
            _ if !text.starts_with('/') => "a path begins with '/'",
            _ => return self.overlay.resolve(&self.rules, text, follow),
        };
        Err(Stop::Denied(rule.to_owned(), None))
    }

    pub(super) fn may_change(&self, path: &RelPath, thing: &Thing, aim: Aim) -> Result<bool> {
        self.rules.change(path, thing, self.overlay.entries.get(path), aim)
    }

    /// Records what an operation does; nothing can fail any more.
    pub(super) fn apply(&mut self, steps: Vec<Step>) {
        for step in steps {
            self.record(step);
        }
    }

    fn record(&mut self, step: Step) {
        let prior = self.overlay.entries.get(&step.path).cloned();
        let mut by = vec![self.rules.package.clone()];
        let (mut old, mut parent, mut displaces) = (step.old, step.parent, step.displaces);
        if let Some(prior) = &prior {
            // What the disk holds is what was first met there.
            (old, parent) = (prior.old, prior.parent);
            displaces |= prior.displaces;
            if let (Node::Folder { .. }, Node::Folder { .. }) = (&prior.node, &step.node) {
                by.extend(prior.by.iter().filter(|maker| **maker != self.rules.package).cloned());
                by.sort();
            }
        }
        self.before.entry(step.path.clone()).or_insert(prior);
        self.overlay.settled.touch(&step.path);
        if matches!(step.node, Node::Absent) && old.is_none() {
            self.overlay.entries.remove(&step.path);
        } else {
            self.overlay.entries.insert(step.path, Entry { node: step.node, by, displaces, old, parent });
        }
    }

    /// Turns the end of an operation into what the hook is told, and notes a denial.
    fn answer<T>(&mut self, operation: &str, path: &str, result: Result<T>) -> Result<T, ViewError> {
        let stop = match result {
            Ok(value) => return Ok(value),
            Err(stop) => stop,
        };
        let named = escape(path, 300);
        let (kind, message) = match stop {
            Stop::Denied(reason, would_allow) => {
                let message = format!("[packets] unsafe filepath: \"{named}\": {reason}");
                if self.denials.len() < limits::DENIALS {
                    let path = path.chars().take(limits::PATH).collect();
                    let (operation, line) = (operation.to_owned(), self.line);
                    self.denials.push(Denial { operation, path, line, reason, would_allow });
                }
                (ViewErrorKind::Denied, message)
            }
            Stop::NotFound => (ViewErrorKind::NotFound, format!("{operation} \"{named}\": nothing is there")),
            Stop::Invalid(why) => (ViewErrorKind::Invalid, format!("{operation} \"{named}\": {why}")),
            Stop::Limit(limit) => {
                self.spent = true;
                (ViewErrorKind::Limit, format!("the hook is over its limit of {limit}"))
            }
            Stop::Io(why) => (ViewErrorKind::Io, format!("{operation} \"{named}\": {why}")),
            Stop::Disk(why) => {
                let message = format!("{operation} \"{named}\": {why}");
                self.broken.get_or_insert_with(|| message.clone());
                (ViewErrorKind::Io, message)
            }
        };
        Err(ViewError::new(kind, message))
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.undo();
        }
    }
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("package", &self.rules.package).finish_non_exhaustive()
    }
}

impl StagedView for Session<'_> {
    fn at_line(&mut self, line: u32) {
        self.line = line;
    }

    fn open(&mut self, path: &str, mode: OpenMode) -> Result<FileId, ViewError> {
        let result = self.tick().and_then(|()| self.open_path(path, mode));
        self.answer("open", path, result)
    }

    fn read(&mut self, file: FileId, buffer: &mut [u8]) -> Result<usize, ViewError> {
        let result = self.tick().and_then(|()| self.read_file(file, buffer));
        self.answer("read", "", result)
    }

    fn write(&mut self, file: FileId, bytes: &[u8]) -> Result<(), ViewError> {
        let result = self.tick().and_then(|()| self.write_file(file, bytes));
        self.answer("write", "", result)
    }

    fn seek(&mut self, file: FileId, whence: Whence, offset: i64) -> Result<u64, ViewError> {
        let result = self.tick().and_then(|()| self.seek_file(file, whence, offset));
        self.answer("seek", "", result)
    }

    fn close(&mut self, file: FileId) -> Result<(), ViewError> {
        let closed = self.open.remove(&file.0).map(drop).ok_or_else(|| Stop::invalid("the file is closed"));
        let result = self.tick().and(closed);
        self.answer("close", "", result)
    }

    fn remove(&mut self, path: &str) -> Result<(), ViewError> {
        let result = self.tick().and_then(|()| self.remove_path(path));
        self.answer("remove", path, result)
    }

    fn rename(&mut self, old: &str, new: &str) -> Result<(), ViewError> {
        let result = self.tick().and_then(|()| self.rename_path(old, new));
        let path = if self.blames_second { new } else { old };
        self.answer("rename", path, result)
    }

    fn copy(&mut self, source: &str, target: &str) -> Result<(), ViewError> {
        let result = self.tick().and_then(|()| self.copy_path(source, target));
        let path = if self.blames_second { target } else { source };
        self.answer("copy", path, result)
    }

    fn symlink(&mut self, target: &str, link: &str) -> Result<(), ViewError> {
        let result = self.tick().and_then(|()| self.symlink_path(target, link));
        self.answer("symlink", link, result)
    }

    fn mkdir(&mut self, path: &str, mode: u32) -> Result<(), ViewError> {
        let result = self.tick().and_then(|()| self.mkdir_path(path, mode));
        self.answer("mkdir", path, result)
    }
}
