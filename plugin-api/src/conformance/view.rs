//! A [`StagedView`] that is only memory, and a log that is a list: for tests of
//! hook runners.

use std::collections::{BTreeMap, BTreeSet};

use crate::hook::{Denial, FileId, HookLog, OpenMode, StagedView, ViewError, ViewErrorKind, Whence};

/// Links followed on the way to one path.
const LINKS: usize = 40;

/// What stands at a path of a [`MemoryView`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Its content.
        bytes: Vec<u8>,
        /// Its permission bits.
        mode: u32,
    },
    /// A symbolic link with this text.
    Symlink(String),
    /// A folder with these permission bits.
    Folder(u32),
}

#[derive(Debug)]
struct Open {
    path: String,
    mode: OpenMode,
    place: usize,
}

/// A small system in memory. Only what stands in an allowed folder can be touched.
///
/// Simpler than a real view: links are followed only where they are the last
/// component, and nothing has an owner.
#[derive(Debug, Default)]
pub struct MemoryView {
    nodes: BTreeMap<String, Node>,
    allowed: BTreeSet<String>,
    open: BTreeMap<u32, Open>,
    opened: u32,
    line: u32,
    denials: Vec<Denial>,
    calls: u64,
    most_calls: Option<u64>,
}

type Done<T> = Result<T, ViewError>;

impl MemoryView {
    /// An empty system in which nothing is allowed.
    pub fn new() -> Self {
        Self { nodes: BTreeMap::from([("/".to_owned(), Node::Folder(0o755))]), ..Self::default() }
    }

    /// Allows all below this folder, and makes it.
    pub fn allow(mut self, folder: &str) -> Self {
        self.allowed.insert(folder.to_owned());
        self.make_folders(folder, 0o755);
        self
    }

    /// Adds a file with its folders.
    pub fn with_file(mut self, path: &str, bytes: &[u8], mode: u32) -> Self {
        self.make_folders(parent(path), 0o755);
        self.nodes.insert(path.to_owned(), Node::File { bytes: bytes.to_vec(), mode });
        self
    }

    /// Ends the hook with a limit after this many calls.
    pub fn with_limit(mut self, calls: u64) -> Self {
        self.most_calls = Some(calls);
        self
    }

    /// All that stands there, by path.
    pub fn nodes(&self) -> &BTreeMap<String, Node> {
        &self.nodes
    }

    /// The content of a file; none where there is none.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        match self.nodes.get(path) {
            Some(Node::File { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }

    /// What was denied, in order.
    pub fn denials(&self) -> &[Denial] {
        &self.denials
    }

    /// How many calls there were, without [`StagedView::at_line`].
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// How many files are open.
    pub fn open_files(&self) -> usize {
        self.open.len()
    }

    fn make_folders(&mut self, path: &str, mode: u32) {
        let mut at = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            at = format!("{at}/{part}");
            self.nodes.entry(at.clone()).or_insert(Node::Folder(mode));
        }
    }

    fn count(&mut self) -> Done<()> {
        self.calls += 1;
        if self.most_calls.is_some_and(|most| self.calls > most) {
            return Err(ViewError::new(ViewErrorKind::Limit, "it made too many calls"));
        }
        Ok(())
    }

    /// The clean form of a path that is allowed.
    fn judge(&mut self, operation: &str, path: &str) -> Done<String> {
        self.count()?;
        if !path.starts_with('/') || path.contains('\0') {
            return Err(ViewError::new(ViewErrorKind::Invalid, format!("{path:?}: not an absolute path")));
        }
        let clean = clean(path);
        if self.allowed.iter().any(|folder| clean == *folder || clean.starts_with(&format!("{folder}/"))) {
            return Ok(clean);
        }
        self.denials.push(Denial {
            operation: operation.to_owned(),
            path: path.to_owned(),
            line: self.line,
            reason: "no grant covers it".to_owned(),
            would_allow: None,
        });
        Err(ViewError::new(ViewErrorKind::Denied, format!("[packets] unsafe filepath: {path}")))
    }

    /// The path at the end of links.
    fn follow(&mut self, operation: &str, path: String) -> Done<String> {
        let mut path = path;
        for _ in 0..LINKS {
            let Some(Node::Symlink(target)) = self.nodes.get(&path) else {
                return Ok(path);
            };
            let target = if target.starts_with('/') { target.clone() } else { format!("{}/{target}", parent(&path)) };
            path = self.judge(operation, &target)?;
        }
        Err(ViewError::new(ViewErrorKind::Invalid, format!("{path}: too many links")))
    }

    fn need_parent(&self, path: &str) -> Done<()> {
        match self.nodes.get(parent(path)) {
            Some(Node::Folder(_)) => Ok(()),
            _ => Err(not_found(path)),
        }
    }

    fn below(&self, path: &str) -> Vec<String> {
        let prefix = format!("{path}/");
        self.nodes.keys().filter(|name| *name == path || name.starts_with(&prefix)).cloned().collect()
    }

    /// An open file and its bytes.
    fn stream(&mut self, file: FileId) -> Done<(&mut Open, &mut Vec<u8>)> {
        self.count()?;
        let bad = || ViewError::new(ViewErrorKind::Invalid, "Bad file descriptor");
        let open = self.open.get_mut(&file.0).ok_or_else(bad)?;
        match self.nodes.get_mut(&open.path) {
            Some(Node::File { bytes, .. }) => Ok((open, bytes)),
            _ => Err(bad()),
        }
    }
}

impl StagedView for MemoryView {
    fn at_line(&mut self, line: u32) {
        self.line = line;
    }

    fn open(&mut self, path: &str, mode: OpenMode) -> Done<FileId> {
        let path = self.judge("open", path)?;
        let path = self.follow("open", path)?;
        let makes = !matches!(mode, OpenMode::Read | OpenMode::ReadUpdate);
        match self.nodes.get_mut(&path) {
            Some(Node::File { bytes, .. }) => {
                if matches!(mode, OpenMode::Write | OpenMode::WriteUpdate) {
                    bytes.clear();
                }
            }
            Some(_) => return Err(ViewError::new(ViewErrorKind::Invalid, format!("{path}: not a regular file"))),
            None if makes => {
                self.need_parent(&path)?;
                self.nodes.insert(path.clone(), Node::File { bytes: Vec::new(), mode: 0o644 });
            }
            None => return Err(not_found(&path)),
        }
        self.opened += 1;
        self.open.insert(self.opened, Open { path, mode, place: 0 });
        Ok(FileId(self.opened))
    }

    fn read(&mut self, file: FileId, buffer: &mut [u8]) -> Done<usize> {
        let (open, bytes) = self.stream(file)?;
        let rest = bytes.get(open.place..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        open.place += length;
        Ok(length)
    }

    fn write(&mut self, file: FileId, bytes: &[u8]) -> Done<()> {
        let (open, content) = self.stream(file)?;
        if open.mode == OpenMode::Read {
            return Err(ViewError::new(ViewErrorKind::Invalid, "Bad file descriptor"));
        }
        if matches!(open.mode, OpenMode::Append | OpenMode::AppendUpdate) {
            open.place = content.len();
        }
        let end = open.place + bytes.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[open.place..end].copy_from_slice(bytes);
        open.place = end;
        Ok(())
    }

    fn seek(&mut self, file: FileId, whence: Whence, offset: i64) -> Done<u64> {
        let (open, bytes) = self.stream(file)?;
        let base = match whence {
            Whence::Start => 0,
            Whence::Current => open.place,
            Whence::End => bytes.len(),
        };
        let place = i64::try_from(base).ok().and_then(|base| base.checked_add(offset));
        // Far enough for tests, and nothing that a write would then allocate.
        match place.and_then(|place| usize::try_from(place).ok()).filter(|place| *place <= 1 << 30) {
            Some(place) => {
                open.place = place;
                Ok(u64::try_from(place).unwrap_or(u64::MAX))
            }
            None => Err(ViewError::new(ViewErrorKind::Invalid, "Invalid argument")),
        }
    }

    fn close(&mut self, file: FileId) -> Done<()> {
        self.stream(file)?;
        self.open.remove(&file.0);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Done<()> {
        let path = self.judge("remove", path)?;
        for name in self.below(&path) {
            self.nodes.remove(&name);
        }
        Ok(())
    }

    fn rename(&mut self, old: &str, new: &str) -> Done<()> {
        let old = self.judge("rename", old)?;
        let new = self.judge("rename", new)?;
        let moved = self.below(&old);
        if moved.is_empty() {
            return Err(not_found(&old));
        }
        self.need_parent(&new)?;
        if new == old || new.starts_with(&format!("{old}/")) {
            return Err(ViewError::new(ViewErrorKind::Invalid, format!("{new}: inside itself")));
        }
        for name in self.below(&new) {
            self.nodes.remove(&name);
        }
        for name in moved {
            if let Some(node) = self.nodes.remove(&name) {
                self.nodes.insert(format!("{new}{}", &name[old.len()..]), node);
            }
        }
        Ok(())
    }

    fn copy(&mut self, source: &str, target: &str) -> Done<()> {
        let source = self.judge("copy", source)?;
        let target = self.judge("copy", target)?;
        let copied = self.below(&source);
        if copied.is_empty() {
            return Err(not_found(&source));
        }
        if target == source || target.starts_with(&format!("{source}/")) {
            return Err(ViewError::new(ViewErrorKind::Invalid, format!("{target}: inside itself")));
        }
        self.make_folders(parent(&target), 0o755);
        for name in copied {
            if let Some(node) = self.nodes.get(&name).cloned() {
                self.nodes.insert(format!("{target}{}", &name[source.len()..]), node);
            }
        }
        Ok(())
    }

    fn symlink(&mut self, target: &str, link: &str) -> Done<()> {
        let link = self.judge("symlink", link)?;
        self.need_parent(&link)?;
        self.nodes.insert(link, Node::Symlink(target.to_owned()));
        Ok(())
    }

    fn mkdir(&mut self, path: &str, mode: u32) -> Done<()> {
        let path = self.judge("mkdir", path)?;
        if matches!(self.nodes.get(&path), Some(Node::File { .. } | Node::Symlink(_))) {
            return Err(ViewError::new(ViewErrorKind::Invalid, format!("{path}: not a folder")));
        }
        self.make_folders(&path, mode & 0o755);
        Ok(())
    }
}

/// A log that keeps its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogLines(pub Vec<String>);

impl HookLog for LogLines {
    fn line(&mut self, line: &str) {
        self.0.push(line.to_owned());
    }
}

fn not_found(path: &str) -> ViewError {
    ViewError::new(ViewErrorKind::NotFound, format!("{path}: No such file or directory"))
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
