//! Open files, and the content that is staged.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;

use packets_plugin_api::hook::{FileId, OpenMode, Whence};
use packets_plugin_api::ident::Digest;
use packets_plugin_api::relpath::RelPath;
use sha2::{Digest as _, Sha256};

use super::Session;
use super::entry::{FileNumber, Node, StagedFile, Step};
use super::ownership::Aim;
use super::resolve::{Found, Place, Spot, Thing};
use super::stop::{Result, Stop};
use crate::{folder, limits};

/// Bytes that are copied or hashed at once.
const BUFFER: usize = 128 << 10;
/// Permission bits that are kept of a file: no setuid, setgid, sticky, nor writing by others.
pub(super) const KEPT_MODE: u32 = 0o755;
/// Permission bits that every folder has: its owner can always fill and empty it.
pub(super) const FOLDER_MODE: u32 = 0o700;
/// Permission bits that a staged file has until its hook ends.
const WORK_MODE: u32 = 0o600;
/// Permission bits of a new file.
const NEW_MODE: u32 = 0o644;

/// A file that a hook has open.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    /// The staged file that it is; none for one of the disk.
    staged: Option<FileNumber>,
    access: Access,
    position: u64,
}

#[derive(Debug, Clone, Copy)]
struct Access {
    read: bool,
    write: bool,
    append: bool,
    /// What was there goes.
    empty: bool,
}

impl From<OpenMode> for Access {
    fn from(mode: OpenMode) -> Self {
        let (read, write, append, empty) = match mode {
            OpenMode::Read => (true, false, false, false),
            OpenMode::Write => (false, true, false, true),
            OpenMode::Append => (false, true, true, false),
            OpenMode::ReadUpdate => (true, true, false, false),
            OpenMode::WriteUpdate => (true, true, false, true),
            OpenMode::AppendUpdate => (true, true, true, false),
        };
        Self { read, write, append, empty }
    }
}

/// What is copied.
pub(super) struct Source {
    file: File,
    mode: u32,
    size: u64,
}

fn staging(error: &io::Error) -> Stop {
    Stop::Disk(format!("cannot write to the staging folder: {error}"))
}

impl Session<'_> {
    /// Makes an empty staged file for `path` in `parent`.
    pub(super) fn stage(&mut self, parent: &Spot, path: &RelPath, mode: u32) -> Result<(FileNumber, File)> {
        let overlay = &mut *self.overlay;
        let place = overlay.staging.folder_for(parent.device, path).map_err(|error| staging(&error))?;
        overlay.last_file += 1;
        let number = overlay.last_file;
        let name = format!("hook-{number}");
        let file = place.folder.create(&name, WORK_MODE).map_err(|error| staging(&error))?;
        folder::set_mode(&file, mode | WORK_MODE).map_err(|error| staging(&error))?;
        let staged = StagedFile { place, name, mode, size: 0, sha256: None, session: self.number };
        overlay.files.insert(number, staged);
        self.made.push(number);
        Ok((number, file))
    }

    /// Copies `source` into a new staged file, and hashes it on the way.
    pub(super) fn stage_copy(&mut self, source: Source, parent: &Spot, path: &RelPath) -> Result<FileNumber> {
        let Source { file: mut source, mode, size } = source;
        if self.written.saturating_add(size) > self.limits.written {
            return self.charge(size).map(|()| 0);
        }
        let (number, mut file) = self.stage(parent, path, mode & KEPT_MODE)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; BUFFER.min(usize::try_from(size).unwrap_or(BUFFER) + 1)];
        let mut total = 0;
        loop {
            let count = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Stop::io("read", path, &error)),
            };
            self.charge(count as u64)?;
            file.write_all(&buffer[..count]).map_err(|error| staging(&error))?;
            hash.update(&buffer[..count]);
            total += count as u64;
        }
        if let Some(staged) = self.overlay.files.get_mut(&number) {
            staged.size = total;
            staged.sha256 = Some(Digest::from_bytes(hash.finalize().into()));
        }
        Ok(number)
    }

    /// Opens what stands at a name for reading, where the hook may read it.
    pub(super) fn source(&mut self, parent: &Spot, name: &str, path: &RelPath, found: &Found) -> Result<Source> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Stop::NotFound,
            _ => Stop::io("open", path, &error),
        };
        match found {
            Found::File(_) => {
                let base = parent.base.as_ref().ok_or(Stop::NotFound)?;
                let file = base.folder.read(name).map_err(failed)?;
                let stat = folder::stat(&file).map_err(failed)?;
                self.rules.read_open(path, &stat)?;
                Ok(Source { file, mode: stat.mode, size: stat.size })
            }
            Found::Staged(number) => {
                let staged = self.overlay.files.get(number).ok_or(Stop::NotFound)?;
                self.rules.read_content(path, staged.mode, self.overlay.entries.get(path))?;
                let file = staged.place.folder.read(&staged.name).map_err(|error| staging(&error))?;
                Ok(Source { file, mode: staged.mode, size: staged.size })
            }
            Found::Special => Err(special()),
            Found::Folder(_) => Err(Stop::invalid("it is a folder")),
            Found::Symlink { .. } => Err(Stop::invalid("it is a link")),
            Found::Nothing => Err(Stop::NotFound),
        }
    }

    pub(super) fn open_path(&mut self, text: &str, mode: OpenMode) -> Result<FileId> {
        if self.open.len() >= limits::OPEN_FILES {
            return Err(Stop::invalid("too many open files"));
        }
        let place = self.resolve(text, true)?;
        let access = Access::from(mode);
        if !access.write {
            self.rules.read(&place.path)?;
            let name = place.name().ok_or(Stop::NotFound)?;
            no_folder_meant(&place)?;
            let file = self.source(&place.parent, name, &place.path, &place.thing.found)?.file;
            let staged = match place.thing.found {
                Found::Staged(number) => Some(number),
                _ => None,
            };
            return Ok(self.add(OpenFile { file, staged, access, position: 0 }));
        }
        let displaces = self.may_change(&place.path, &place.thing, Aim::Name)?;
        let (number, file, steps) = self.open_staged(&place, mode, displaces)?;
        self.apply(steps);
        Ok(self.add(OpenFile { file, staged: Some(number), access, position: 0 }))
    }

    /// The staged file that a hook is to write, new where it has to be, and what that changes.
    fn open_staged(&mut self, place: &Place, mode: OpenMode, displaces: bool) -> Result<(FileNumber, File, Vec<Step>)> {
        let access = Access::from(mode);
        let there = place.thing.found.is_there();
        if !there && mode == OpenMode::ReadUpdate {
            return Err(Stop::NotFound);
        }
        let (parent, mut steps) = self.parents(place, false)?;
        no_folder_meant(place)?;
        let name = place.names.last().map_or("", String::as_str);
        let (number, file) = match &place.thing.found {
            Found::Special => return Err(special()),
            Found::Folder(_) => return Err(Stop::invalid("it is a folder")),
            Found::Symlink { .. } => return Err(Stop::invalid("it is a link")),
            Found::Nothing => self.stage(&parent, &place.path, NEW_MODE)?,
            Found::Staged(number) if self.is_made_here(*number) => {
                if access.read {
                    self.source(&parent, name, &place.path, &place.thing.found)?;
                }
                let file = self.reopen(*number, access.empty)?;
                return Ok((*number, file, steps));
            }
            Found::File(stat) if access.empty => self.stage(&parent, &place.path, stat.mode & KEPT_MODE)?,
            Found::Staged(old) if access.empty => {
                let mode = self.overlay.files.get(old).map_or(NEW_MODE, |staged| staged.mode);
                self.stage(&parent, &place.path, mode)?
            }
            found => {
                let source = self.source(&parent, name, &place.path, found)?;
                let number = self.stage_copy(source, &parent, &place.path)?;
                (number, self.reopen(number, false)?)
            }
        };
        steps.push(step(&place.path, &parent, &place.thing, Node::File(number), displaces));
        Ok((number, file, steps))
    }

    pub(super) fn is_made_here(&self, number: FileNumber) -> bool {
        self.overlay.files.get(&number).is_some_and(|staged| staged.session == self.number)
    }

    fn reopen(&mut self, number: FileNumber, empty: bool) -> Result<File> {
        let staged = self.overlay.files.get_mut(&number).ok_or(Stop::NotFound)?;
        let file = staged.place.folder.update(&staged.name).map_err(|error| staging(&error))?;
        if empty {
            file.set_len(0).map_err(|error| staging(&error))?;
            staged.size = 0;
            staged.sha256 = None;
        }
        Ok(file)
    }

    fn add(&mut self, file: OpenFile) -> FileId {
        self.last_open += 1;
        self.open.insert(self.last_open, file);
        FileId(self.last_open)
    }

    fn opened(&mut self, id: FileId) -> Result<&mut OpenFile> {
        self.open.get_mut(&id.0).ok_or_else(|| Stop::invalid("the file is closed"))
    }

    pub(super) fn read_file(&mut self, id: FileId, buffer: &mut [u8]) -> Result<usize> {
        let open = self.opened(id)?;
        if !open.access.read {
            return Err(Stop::invalid("the file is not open for reading"));
        }
        loop {
            match open.file.read_at(buffer, open.position) {
                Ok(count) => {
                    open.position += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::Disk(format!("cannot read: {error}"))),
            }
        }
    }

    pub(super) fn write_file(&mut self, id: FileId, bytes: &[u8]) -> Result<()> {
        let open = self.opened(id)?;
        let (true, Some(number)) = (open.access.write, open.staged) else {
            return Err(Stop::invalid("the file is not open for writing"));
        };
        let (append, position) = (open.access.append, open.position);
        let staged = self.overlay.files.get(&number).ok_or_else(|| Stop::invalid("the file is gone"))?;
        let size = staged.size;
        let at = if append { size } else { position };
        // A hole counts as written: what is hashed and committed is the whole length.
        let end = at.saturating_add(bytes.len() as u64);
        self.charge((bytes.len() as u64).saturating_add(at.saturating_sub(size)))?;
        let open = self.opened(id)?;
        open.file.write_all_at(bytes, at).map_err(|error| staging(&error))?;
        open.position = end;
        if let Some(staged) = self.overlay.files.get_mut(&number) {
            staged.size = size.max(end);
            staged.sha256 = None;
        }
        Ok(())
    }

    pub(super) fn seek_file(&mut self, id: FileId, whence: Whence, offset: i64) -> Result<u64> {
        let staged = self.opened(id)?.staged;
        let staged_size = staged.and_then(|number| self.overlay.files.get(&number)).map(|staged| staged.size);
        let open = self.opened(id)?;
        let from = match (whence, staged_size) {
            (Whence::Start, _) => 0,
            (Whence::Current, _) => open.position,
            (Whence::End, Some(size)) => size,
            (Whence::End, None) => {
                folder::stat(&open.file).map_err(|error| Stop::Disk(format!("cannot seek: {error}")))?.size
            }
        };
        let place = from.checked_add_signed(offset).filter(|place| i64::try_from(*place).is_ok());
        open.position = place.ok_or_else(|| Stop::invalid("a place before the start or behind all files"))?;
        Ok(open.position)
    }

    /// Counts bytes as written.
    pub(super) fn charge(&mut self, bytes: u64) -> Result<()> {
        self.written = self.written.saturating_add(bytes);
        if self.written > self.limits.written {
            return Err(Stop::Limit("bytes written"));
        }
        Ok(())
    }

    /// Gives a staged file its mode and its hash.
    pub(super) fn settle_file(staged: &mut StagedFile) -> io::Result<()> {
        if staged.mode | WORK_MODE == staged.mode && staged.sha256.is_some() {
            return Ok(());
        }
        let mut file = staged.place.folder.read(&staged.name)?;
        folder::set_mode(&file, staged.mode)?;
        if staged.sha256.is_none() {
            let mut hash = Sha256::new();
            let mut buffer = vec![0; BUFFER.min(usize::try_from(staged.size).unwrap_or(BUFFER) + 1)];
            let mut total = 0;
            loop {
                match file.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        hash.update(&buffer[..count]);
                        total += count as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            if total != staged.size {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a staged file has changed by itself"));
            }
            staged.sha256 = Some(Digest::from_bytes(hash.finalize().into()));
        }
        Ok(())
    }
}

/// The change that lets `node` stand where `thing` stood in `parent`.
pub(super) fn step(path: &RelPath, parent: &Spot, thing: &Thing, node: Node, displaces: bool) -> Step {
    Step { path: path.clone(), node, displaces, old: thing.old, parent: parent.identity() }
}

pub(super) fn special() -> Stop {
    Stop::Denied("only regular files, folders and links are opened and copied".to_owned(), None)
}

/// `x/` means no file.
pub(super) fn no_folder_meant(place: &Place) -> Result<()> {
    match place.slash && !matches!(place.thing.found, Found::Folder(_)) {
        true if place.thing.found.is_there() => Err(Stop::invalid("it is not a folder")),
        true => Err(Stop::NotFound),
        false => Ok(()),
    }
}
