//! A plugin from a file as a fetch source: what it says goes through its worker, is bounded here, and is
//! verified where everything is.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use packets_plugin_api::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};
use packets_plugin_api::ident::escape;
use packets_plugin_api::native::abi;
use packets_plugin_api::native::foreign::is_name;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::SendFlags;

use super::Installed;
use super::limits::{CHUNK, CLAIM, FIND, OPEN, READ, SLOTS, STARTS};
use super::process::{Ready, Shared, Worker};
use super::wire::{self, Reply, Request};

#[cfg(test)]
mod tests;

/// See the module. To make one costs nothing: the file is looked at, and the worker started, when it
/// is first asked.
pub(crate) struct PluginSource {
    plugin: Installed,
    user_agent: String,
    /// What its worker runs; none: this very program.
    program: Option<PathBuf>,
    patience: Patience,
    state: Mutex<State>,
}

/// How long each answer is waited for.
#[derive(Clone, Copy)]
struct Patience {
    claim: Duration,
    find: Duration,
    open: Duration,
    read: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { claim: CLAIM, find: FIND, open: OPEN, read: READ }
    }
}

#[derive(Default)]
struct State {
    worker: Option<Shared>,
    starts: u32,
    /// Why it is never started again.
    broken: Option<String>,
}

impl fmt::Debug for PluginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginSource").field(&self.plugin.name).finish()
    }
}

impl PluginSource {
    pub(crate) fn new(plugin: Installed, user_agent: &str) -> Self {
        debug_assert!(is_name(&plugin.name), "looked at when the config was read");
        Self {
            plugin,
            user_agent: user_agent.to_owned(),
            program: None,
            patience: Patience::default(),
            state: Mutex::default(),
        }
    }

    /// The same, whose worker runs another copy of this program.
    pub(crate) fn with_program(self, program: &Path) -> Self {
        Self { program: Some(program.to_owned()), ..self }
    }

    /// Starts it where it is not running.
    ///
    /// # Errors
    /// Why it is not used.
    pub(crate) fn ready(&self) -> Result<(String, Vec<String>), FetchError> {
        let worker = self.worker()?;
        let Ready { version, kept, .. } = worker.ready().clone();
        Ok((version, kept.iter().map(|line| escape(line, 300)).collect()))
    }

    fn worker(&self) -> Result<Shared, FetchError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = &state.broken {
            return Err(self.failed(problem.clone()));
        }
        if let Some(worker) = state.worker.as_ref().filter(|worker| !worker.has_ended()) {
            return Ok(worker.clone());
        }
        state.worker = None;
        if state.starts == STARTS {
            return Err(self.failed(format!("its worker has ended {STARTS} times, and is not started again")));
        }
        state.starts += 1;
        match self.start() {
            Ok(worker) => {
                let worker = Arc::new(worker);
                state.worker = Some(worker.clone());
                Ok(worker)
            }
            Err(problem) => {
                // What does not load now will not load in a moment either.
                state.broken = Some(problem.clone());
                Err(self.failed(problem))
            }
        }
    }

    fn start(&self) -> Result<Worker, String> {
        let one_line = |error: crate::error::Error| {
            let causes = error.causes().iter().map(String::as_str);
            [error.message()].into_iter().chain(causes).collect::<Vec<_>>().join(": ")
        };
        let library = self.plugin.library().map_err(one_line)?;
        let settings = self.plugin.table.settings(&self.plugin.name, &self.user_agent).map_err(one_line)?;
        let worker = Worker::start(&library, &settings, self.program.as_deref())?;
        let said = &worker.ready().name;
        if *said != self.plugin.name {
            let said = escape(said, 64);
            return Err(format!("its library says that its name is \"{said}\""));
        }
        Ok(worker)
    }

    fn failed(&self, problem: impl Into<String>) -> FetchError {
        FetchError::new(FetchErrorKind::Unreachable, format!("the plugin {} is not used", self.plugin.name))
            .because(problem.into())
    }

    fn broke_off(&self, error: io::Error) -> FetchError {
        FetchError::new(FetchErrorKind::Unreachable, format!("the plugin {} broke off", self.plugin.name))
            .because(error)
    }

    fn answered_wrong(&self) -> FetchError {
        let message = format!("the plugin {} answers something else than was asked", self.plugin.name);
        FetchError::new(FetchErrorKind::Protocol, message)
    }

    fn ask(
        &self,
        request: &Request,
        memory: Option<BorrowedFd<'_>>,
        time: Duration,
    ) -> Result<(Shared, UnixStream, Reply), FetchError> {
        let worker = self.worker()?;
        let call = worker.ask(request, memory).map_err(|error| self.broke_off(error))?;
        let reply = worker.receive(&call, time).map_err(|error| self.broke_off(error))?;
        Ok((worker, call, reply))
    }
}

/// Memory that a worker puts chunks into. It keeps its size, whoever holds it.
fn shared() -> io::Result<File> {
    let memory = File::from(rustix::fs::memfd_create("chunks", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    memory.set_len((SLOTS * CHUNK) as u64)?;
    rustix::fs::fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(memory)
}

/// What a worker says of a failure: its kind, and words that cannot act on a terminal.
fn told(kind: i32, message: &str, retry_after_ms: u64) -> FetchError {
    let mut error = FetchError::new(abi::kind_of(kind), escape(message, 1000));
    error.retry_after = (retry_after_ms > 0).then(|| Duration::from_millis(retry_after_ms));
    error
}

impl FetchSource for PluginSource {
    fn name(&self) -> &str {
        &self.plugin.name
    }

    fn claims(&self, location: &str) -> bool {
        let asked = self.ask(&Request::Claims(location.to_owned()), None, self.patience.claim);
        matches!(asked, Ok((_, _, Reply::Claims(true))))
    }

    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        let (worker, call, mut reply) = self.ask(&Request::find(want), None, self.patience.find)?;
        loop {
            match reply {
                Reply::Candidate { location, size } => {
                    if location.len() > abi::MAX_LOCATION {
                        return Err(self.answered_wrong());
                    }
                    if found(Candidate { location, size, version: None }).is_break() {
                        return Ok(());
                    }
                }
                Reply::End => return Ok(()),
                Reply::Failed { kind, message, retry_after_ms } => return Err(told(kind, &message, retry_after_ms)),
                _ => return Err(self.answered_wrong()),
            }
            reply = worker.receive(&call, self.patience.find).map_err(|error| self.broke_off(error))?;
        }
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        let memory = shared().map_err(|error| self.failed(format!("cannot share memory with its worker: {error}")))?;
        let request = Request::open(from, offset);
        let (worker, call, reply) = self.ask(&request, Some(memory.as_fd()), self.patience.open)?;
        match reply {
            Reply::Opened { size, version } => {
                let version = version.filter(|version| version.len() <= abi::MAX_VERSION);
                let reader = Box::new(Bytes::of(worker, call, memory, self.patience.read));
                Ok(Opened { reader, size, version, file: None })
            }
            Reply::Failed { kind, message, retry_after_ms } => Err(told(kind, &message, retry_after_ms)),
            _ => Err(self.answered_wrong()),
        }
    }
}

/// The bytes of a place, as they come from the worker.
struct Bytes {
    worker: Shared,
    call: UnixStream,
    memory: File,
    patience: Duration,
    /// Chunks that have been taken.
    taken: usize,
    /// Of the chunk that is being taken: all of it, and what is taken already.
    length: usize,
    at: usize,
    over: bool,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.over || buffer.is_empty() {
            return Ok(0);
        }
        if self.at == self.length {
            (self.length, self.at) = (self.next_chunk()?, 0);
            if self.length == 0 {
                self.over = true;
                return self.end().map(|()| 0);
            }
        }
        let most = (self.length - self.at).min(buffer.len());
        let slot = self.taken % SLOTS * CHUNK;
        self.memory.read_exact_at(&mut buffer[..most], (slot + self.at) as u64)?;
        self.at += most;
        if self.at == self.length {
            self.taken += 1;
            self.give_back();
        }
        Ok(most)
    }
}

impl Bytes {
    fn of(worker: Shared, call: UnixStream, memory: File, patience: Duration) -> Self {
        Self { worker, call, memory, patience, taken: 0, length: 0, at: 0, over: false }
    }

    /// The slot is free again. A worker that has gone, or takes nothing, does not need it.
    fn give_back(&self) {
        let _ = rustix::net::send(&self.call, &[0], SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    fn next_chunk(&mut self) -> io::Result<usize> {
        let (mut length, mut filled) = ([0; 4], 0);
        while filled < length.len() {
            match self.worker.read(&self.call, self.patience, &mut length[filled..])? {
                0 => {
                    let problem = "its worker broke off within a transfer";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
                }
                came => filled += came,
            }
        }
        match wire::receive_length(&length[..])? {
            length if length > CHUNK => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("its worker announces a chunk of {length} bytes"),
            )),
            length => Ok(length),
        }
    }

    fn end(&self) -> io::Result<()> {
        match self.worker.receive(&self.call, self.patience)? {
            Reply::End => Ok(()),
            Reply::Failed { kind, message, retry_after_ms } => {
                Err(io::Error::other(told(kind, &message, retry_after_ms)))
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "its worker ends a transfer with something else")),
        }
    }
}
