//! A sink whose files are written by other threads, a bounded way behind the reader.
//!
//! Folders and links are made at once, by the reader: so the folder of a file is there when its
//! turn comes. A small file is one task; a large one is made at once and comes in pieces, which
//! may be written in any order.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

use packets_plugin_api::relpath::RelPath;
use rustix::fs::{Advice, fadvise};

use super::writer::{Writer, failed};
use crate::archive::Sink;
use crate::error::{Context, Error, Result};
use crate::interrupt;

/// Files up to this size are one task each.
const SMALL: u64 = 128 << 10;
/// Bytes of a batch, about: handing over each file alone would cost more than writing it.
const BATCH_BYTES: usize = 256 << 10;
/// Files of a batch.
const BATCH_TASKS: usize = 64;
/// Batches that wait.
const BATCHES: usize = 4;
/// Threads that write: more only wait for each other in one file system.
const WRITERS: usize = 4;
/// The disk begins with a large file's bytes each time so many have come, so that the sync at the end finds little left.
const EARLY: u64 = 8 << 20;
/// And waits for what it has each time so many have come: what a disk holds in its own memory until the end, it writes
/// at the end, when nothing else is left to do.
const DURABLE: u64 = 32 << 20;

enum Task {
    File { path: RelPath, mode: u32, bytes: Vec<u8> },
    Piece { path: Arc<RelPath>, file: Arc<File>, at: u64, bytes: Vec<u8> },
}

impl Task {
    fn weight(&self) -> usize {
        let (Self::File { bytes, .. } | Self::Piece { bytes, .. }) = self;
        bytes.len()
    }
}

/// The file whose content is coming.
enum Coming {
    Small { path: RelPath, mode: u32, bytes: Vec<u8> },
    Large { path: Arc<RelPath>, file: Arc<File>, at: u64 },
}

/// The reader's side.
pub(super) struct Behind<'scope> {
    here: Writer,
    tasks: SyncSender<Vec<Task>>,
    /// Whether a writer has met an error: then the others need not go on.
    failed: Arc<AtomicBool>,
    batch: Vec<Task>,
    coming: Option<Coming>,
    /// Made last, when all files are there.
    hard_links: Vec<(RelPath, RelPath)>,
    writers: Vec<ScopedJoinHandle<'scope, Result<()>>>,
}

impl<'scope> Behind<'scope> {
    /// The threads end with [`Self::finish`], with their first error, or when this is dropped.
    ///
    /// # Errors
    /// There is no thread to be had, or no second handle of the folder.
    pub(super) fn new(here: Writer, threads: usize, scope: &'scope Scope<'scope, '_>) -> Result<Self> {
        let (tasks, receive) = mpsc::sync_channel(BATCHES);
        let receive = Arc::new(Mutex::new(receive));
        let mut writers = Vec::new();
        let failed = Arc::new(AtomicBool::new(false));
        let syncs = Arc::new(AtomicBool::new(false));
        for number in 0..threads.clamp(1, WRITERS) {
            let (mut writer, receive, failed) = (here.again()?, receive.clone(), failed.clone());
            let syncs = syncs.clone();
            let work =
                move || write(&mut writer, &receive, &syncs).inspect_err(|_| failed.store(true, Ordering::Relaxed));
            match thread::Builder::new().spawn_scoped(scope, work) {
                Ok(begun) => writers.push(begun),
                // One is enough.
                Err(_) if number > 0 => break,
                Err(error) => return Err(error).context(|| "cannot begin a thread that writes".to_owned()),
            }
        }
        Ok(Self { here, tasks, failed, batch: Vec::new(), coming: None, hard_links: Vec::new(), writers })
    }

    /// Waits until everything is written; returns whom the folder belongs to.
    pub(super) fn finish(mut self) -> Result<Writer> {
        self.hand_over()?;
        self.join()?;
        for (path, existing) in &self.hard_links {
            self.here.hard_link(path, existing)?;
        }
        Ok(self.here)
    }

    /// Closes the queue and waits for the writers; the first error that one of them met.
    fn join(&mut self) -> Result<()> {
        (self.tasks, _) = mpsc::sync_channel(0);
        let ended = |writer: ScopedJoinHandle<'_, Result<()>>| {
            writer.join().unwrap_or_else(|_| Err(Error::storage("a thread that unpacks has broken down")))
        };
        // All are waited for, also behind an error.
        let results: Vec<Result<()>> = self.writers.drain(..).map(ended).collect();
        results.into_iter().collect()
    }

    fn add(&mut self, task: Task) -> Result<()> {
        self.batch.push(task);
        let bytes: usize = self.batch.iter().map(Task::weight).sum();
        if bytes >= BATCH_BYTES || self.batch.len() >= BATCH_TASKS { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        if !self.failed.load(Ordering::Relaxed) && self.tasks.send(batch).is_ok() {
            return Ok(());
        }
        self.join().and(Err(Error::storage("nothing writes what is unpacked")))
    }
}

impl Sink for Behind<'_> {
    fn folder(&mut self, path: &RelPath, mode: u32) -> Result<()> {
        self.here.folder(path, mode)
    }

    fn folder_mode(&mut self, path: &RelPath, mode: u32) -> Result<()> {
        self.here.folder_mode(path, mode)
    }

    fn file(&mut self, path: &RelPath, mode: u32, size: u64) -> Result<()> {
        interrupt::check()?;
        self.coming = Some(if size <= SMALL {
            // At most SMALL bytes, so that the number fits.
            Coming::Small { path: path.clone(), mode, bytes: Vec::with_capacity(size as usize) }
        } else {
            Coming::Large { path: Arc::new(path.clone()), file: Arc::new(self.here.create(path, mode)?), at: 0 }
        });
        Ok(())
    }

    fn content(&mut self, content: &[u8]) -> Result<()> {
        interrupt::check()?;
        match &mut self.coming {
            None => Err(Error::storage("no file is open to unpack to")),
            Some(Coming::Small { bytes, .. }) => {
                bytes.extend_from_slice(content);
                Ok(())
            }
            Some(Coming::Large { path, file, at }) => {
                let (path, file) = (path.clone(), file.clone());
                let task = Task::Piece { path, file, at: *at, bytes: content.to_vec() };
                *at += content.len() as u64;
                self.add(task)
            }
        }
    }

    fn file_done(&mut self) -> Result<()> {
        match self.coming.take() {
            Some(Coming::Small { path, mode, bytes }) => self.add(Task::File { path, mode, bytes }),
            _ => Ok(()),
        }
    }

    fn symlink(&mut self, path: &RelPath, target: &str) -> Result<()> {
        self.here.symlink(path, target)
    }

    fn hard_link(&mut self, path: &RelPath, existing: &RelPath) -> Result<()> {
        self.hard_links.push((path.clone(), existing.clone()));
        Ok(())
    }
}

/// `syncs`: whether a writer is waiting for the disk.
fn write(writer: &mut Writer, tasks: &Mutex<Receiver<Vec<Task>>>, syncs: &AtomicBool) -> Result<()> {
    let next = || {
        let tasks: MutexGuard<'_, _> = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.recv()
    };
    while let Ok(batch) = next() {
        for task in batch {
            interrupt::check()?;
            match task {
                Task::File { path, mode, bytes } => writer.whole(&path, mode, &bytes)?,
                Task::Piece { path, file, at, bytes } => {
                    piece(&path, &file, at, &bytes)?;
                    if passes(at, &bytes, DURABLE) {
                        sync(&path, &file, syncs)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn passes(at: u64, bytes: &[u8], step: u64) -> bool {
    at / step < (at + bytes.len() as u64) / step
}

/// One writer at a time: the others go on meanwhile.
fn sync(path: &RelPath, file: &File, syncs: &AtomicBool) -> Result<()> {
    if !syncs.swap(true, Ordering::Relaxed) {
        // The kernel tells an error once, so it cannot be left to the sync at the end.
        file.sync_data().context(failed(path))?;
        syncs.store(false, Ordering::Relaxed);
    }
    Ok(())
}

pub(super) fn piece(path: &RelPath, file: &File, at: u64, bytes: &[u8]) -> Result<()> {
    file.write_all_at(bytes, at).context(failed(path))?;
    if passes(at, bytes, EARLY) {
        // Linux begins to write back what it is told is not needed soon (mm/fadvise.c); what is not on the disk yet
        // stays in memory. It is advice: where it does nothing, the sync at the end does all.
        let _ = fadvise(file, at / EARLY * EARLY, std::num::NonZeroU64::new(EARLY), Advice::DontNeed);
    }
    Ok(())
}
