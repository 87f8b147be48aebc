//! A worker as the host sees it: a process that may do anything, and is waited for no longer than is said.

use std::io::{self, IoSliceMut, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use packets_plugin_api::native::Settings;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvFlags};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::library::Library;
use super::limits::{REPLY, REQUEST, START};
use super::wire::{self, Reply, Request};

/// The hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "plugin-worker";
/// What a worker keeps of the environment: how the network is reached, whose certificates are trusted.
const ENVIRONMENT: [&str; 11] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "TZ",
];
/// Those whose values are files that a worker may read.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// A running worker.
#[derive(Debug)]
pub(super) struct Worker {
    child: Mutex<Child>,
    control: OwnedFd,
    /// Tells when the process has ended, where the kernel can.
    ended: Option<OwnedFd>,
    ready: Ready,
}

/// What a worker said when it had loaded its plugin.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) kept: Vec<String>,
}

impl Worker {
    /// Starts one, and has it load this library; `program` is what it runs, none: this very program.
    ///
    /// # Errors
    /// Why it does not work, in one line.
    pub(super) fn start(library: &Library, settings: &Settings, program: Option<&Path>) -> Result<Self, String> {
        let failed = |what: &str, error: io::Error| format!("cannot {what} its worker: {error}");
        let sealed = library.sealed().map_err(|error| failed("copy the library for", error))?;
        let (control, theirs) = UnixStream::pair().map_err(|error| failed("reach", error))?;
        let child = spawn(program, theirs).map_err(|error| failed("start", error))?;
        let mut worker = Self::of(child, control);
        let readable = CERTIFICATES.iter().filter_map(|name| std::env::var(name).ok()).collect();
        worker.ready = worker.load(&sealed, &Request::load(settings, readable))?;
        Ok(worker)
    }

    /// That of a process, which has the other end of `control`.
    pub(super) fn of(child: Child, control: UnixStream) -> Self {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let ended = pid.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        Self { child: Mutex::new(child), control: control.into(), ended, ready: Ready::default() }
    }

    fn load(&self, library: &OwnedFd, request: &Request) -> Result<Ready, String> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| error.to_string())?;
        wire::pass(&self.control, &[theirs.as_fd(), library.as_fd()]).map_err(|error| error.to_string())?;
        drop(theirs);
        self.say(&ours, request).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => format!("its config and its secrets are too large: {error}"),
            _ => error.to_string(),
        })?;
        match self.receive(&ours, START).map_err(|error| error.to_string())? {
            Reply::Ready { name, version, kept } => Ok(Ready { name, version, kept }),
            Reply::Refused(problem) => Err(problem),
            _ => Err("its worker answers something else than was asked".to_owned()),
        }
    }

    pub(super) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Begins a conversation, with memory that both share where bytes are to come.
    pub(super) fn ask(&self, request: &Request, memory: Option<BorrowedFd<'_>>) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        let handles: Vec<BorrowedFd<'_>> = [Some(theirs.as_fd()), memory].into_iter().flatten().collect();
        wire::pass(&self.control, &handles).map_err(|_| io::Error::other(self.epitaph()))?;
        drop(theirs);
        self.say(&ours, request)?;
        Ok(ours)
    }

    fn say(&self, call: &UnixStream, request: &Request) -> io::Result<()> {
        wire::send_at_most(call, request, REQUEST).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => error,
            _ => io::Error::other(self.epitaph()),
        })
    }

    /// The next reply, if it comes in time.
    pub(super) fn receive(&self, call: &UnixStream, time: Duration) -> io::Result<Reply> {
        wire::receive(Patient { worker: self, call, until: Instant::now() + time }, REPLY).map_err(|error| match error
            .kind()
        {
            io::ErrorKind::UnexpectedEof => io::Error::other(self.epitaph()),
            _ => error,
        })
    }

    /// What comes, if it comes in time; nothing at its end.
    pub(super) fn read(&self, call: &UnixStream, time: Duration, buffer: &mut [u8]) -> io::Result<usize> {
        Patient { worker: self, call, until: Instant::now() + time }.read(buffer)
    }

    /// Whether the process has ended.
    pub(super) fn has_ended(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(child.try_wait(), Ok(None))
    }

    /// How the process ended, in words.
    fn epitaph(&self) -> String {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // A process that closes its sockets is about to end, or is not to be waited for.
        let until = Instant::now() + Duration::from_millis(200);
        loop {
            match child.try_wait() {
                Ok(Some(status)) => {
                    return match (status.signal(), status.code()) {
                        (Some(signal), _) => {
                            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
                            format!("its worker was ended by {name}")
                        }
                        (None, Some(code)) => format!("its worker ended itself with the code {code}"),
                        (None, None) => "its worker has ended".to_owned(),
                    };
                }
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
                _ => return "its worker broke off".to_owned(),
            }
        }
    }
}

fn spawn(program: Option<&Path>, control: UnixStream) -> io::Result<Child> {
    let own = Path::new("/proc/self/exe");
    let mut command = match program {
        Some(program) => Command::new(program),
        None if own.exists() => Command::new(own),
        None => Command::new(std::env::current_exe()?),
    };
    command.arg(SUBCOMMAND).env_clear().current_dir("/").process_group(0);
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(OwnedFd::from(control)).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn()
}

/// It, and whatever it has started, where the kernel let it.
impl Drop for Worker {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        if matches!(child.try_wait(), Ok(None)) {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads until a time, and not longer than the process lives: a child of it may hold the socket open.
struct Patient<'a> {
    worker: &'a Worker,
    call: &'a UnixStream,
    until: Instant,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ancillary = RecvAncillaryBuffer::default();
        // What has come already needs no look at the clock. Handles that come along are closed.
        let buffers = &mut [IoSliceMut::new(buffer)];
        match rustix::net::recvmsg(self.call, buffers, &mut ancillary, RecvFlags::DONTWAIT) {
            Ok(received) => return Ok(received.bytes),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let wait = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let mut watched = vec![PollFd::new(self.call, PollFlags::IN)];
            watched.extend(self.worker.ended.as_ref().map(|ended| PollFd::new(ended, PollFlags::IN)));
            match rustix::event::poll(&mut watched, Some(&wait)) {
                Ok(0) => {
                    let problem = "it lets us wait too long";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
                }
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let has_more = !watched[0].revents().is_empty();
            return if has_more { (&*self.call).read(buffer) } else { Ok(0) };
        }
    }
}

/// A worker that others use too.
pub(super) type Shared = Arc<Worker>;
