//! `serve`: a process that shares the cache on the local network.

use std::io::Read as _;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use packets_plugin_api::share::{Control, Figures, Ports, ShareError};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::Options;
use super::context::{Context, Mode, without_privilege};
use super::transaction::now;
use crate::error::{Context as _, Error, Result};
use crate::report::{Event, Events};
use crate::share::confine::confine;
use crate::share::holder::holder;
use crate::share::shelf::Shelf;
use crate::share::state::{self, PeerStatus, StateFile};

pub use crate::share::state::Status;

/// How long a server may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(10);

/// What became of a server, or how it is.
#[derive(Debug, Serialize)]
pub struct Served {
    /// Whether one is running now.
    pub running: bool,
    /// What it says of itself, or said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// Shares until a signal ends it.
///
/// # Errors
/// It cannot begin: a port is taken, another server runs, root cannot be given up.
pub fn serve_run(is_detached: bool, options: &Options, events: &dyn Events) -> Result<Served> {
    if is_detached {
        // Where it leads a session already there is no terminal to leave.
        let _ = rustix::process::setsid();
    }
    let context = Context::open(options, Mode::Read, "serve run", events)?;
    let place = context.run_folder().map_err(|error| without_privilege(error, options))?;
    let state = StateFile::take(&place.folder)?;
    let ports = Ports { questions: context.config.lan.port, files: context.config.base.http_port };
    let shelf = Arc::new(context.shelf()?);
    let is_over = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGQUIT] {
        signal_hook::flag::register(signal, is_over.clone()).context(|| "cannot watch for signals".to_owned())?;
    }
    if is_detached {
        signal_hook::flag::register(SIGHUP, Arc::default()).context(|| "cannot watch for signals".to_owned())?;
    }
    let sharing = context.sharer()?.open(ports).map_err(taken)?;
    let folders = context.shared_folders()?;
    let confined = confine(&folders.iter().map(|place| &place.folder).collect::<Vec<_>>())?;
    let status = Status {
        process: std::process::id(),
        since: now(),
        questions_port: ports.questions,
        files_port: ports.files,
        user: rustix::process::geteuid().as_raw(),
        confined,
        ..Status::default()
    };
    events.event(&Event::Note(&format!("sharing on UDP port {} and TCP port {}", ports.questions, ports.files)));
    let last = Mutex::new(status.clone());
    let control = Serving { status, last: &last, state, shelf: shelf.clone(), is_over: is_over.clone() };
    thread::scope(|scope| {
        scope.spawn(|| shelf.keep(&is_over));
        let outcome = sharing.run(shelf.clone(), &control);
        is_over.store(true, Ordering::SeqCst);
        outcome.context(|| "cannot share".to_owned())
    })?;
    drop(control);
    Ok(Served { running: false, status: last.into_inner().ok() })
}

fn taken(error: ShareError) -> Error {
    let is_taken = error.cause.kind() == std::io::ErrorKind::AddrInUse;
    let held = error.port.filter(|_| is_taken).and_then(holder);
    let named = Error::request(error.message).because(&error.cause);
    match held {
        Some(holder) => named.caused_by(format!("{holder} holds it")),
        None => named,
    }
    .hint("the config names the ports: port of [Lan] for UDP, httpPort of [Config] for TCP")
}

/// Writes down how it goes, and goes on until a signal came.
struct Serving<'a> {
    status: Status,
    last: &'a Mutex<Status>,
    state: StateFile,
    shelf: Arc<Shelf>,
    is_over: Arc<AtomicBool>,
}

impl Control for Serving<'_> {
    fn goes_on(&self, figures: &Figures) -> bool {
        let peer = |peer: &packets_plugin_api::share::Peer| PeerStatus {
            address: std::net::SocketAddr::new(peer.address, peer.port).to_string(),
            quiet_for: peer.quiet_for,
        };
        let status = Status {
            ready: true,
            offered: self.shelf.count(),
            questions: figures.questions,
            answers: figures.answers,
            ignored: figures.ignored,
            given: figures.files,
            bytes: figures.bytes,
            refused: figures.refused,
            peers: figures.peers.iter().map(peer).collect(),
            ..self.status.clone()
        };
        self.state.write(&status);
        if let Ok(mut last) = self.last.lock() {
            *last = status;
        }
        !self.is_over.load(Ordering::SeqCst)
    }
}

/// Begins to share in the background.
///
/// # Errors
/// As for [`serve_run`].
pub fn serve_init(options: &Options, events: &dyn Events) -> Result<Served> {
    let context = Context::open(options, Mode::Read, "serve init", events)?;
    let place = context.run_folder().map_err(|error| without_privilege(error, options))?;
    // Fails where one is running; it is free again for the process that is started.
    drop(StateFile::take(&place.folder)?);
    let mut child = start(options)?;
    let process = child.id();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = state::running(&place.folder).context(unreadable)?
            && status.ready
            && status.process == process
        {
            return Ok(Served { running: true, status: Some(status) });
        }
        if child.try_wait().context(|| "cannot wait for the server".to_owned())?.is_some() {
            return Err(told_by(child));
        }
        thread::sleep(LOOK);
    }
    let _ = child.kill();
    Err(Error::request("cannot begin to share").caused_by("the server did not get ready in time"))
}

fn start(options: &Options) -> Result<Child> {
    let named = || "cannot start the server".to_owned();
    let mut command = Command::new(std::env::current_exe().context(named)?);
    command.args(["serve", "run", "--detached", "--json"]);
    if let Some(root) = &options.root {
        command.arg("--root").arg(std::path::absolute(root).context(named)?);
    }
    if let Some(config) = &options.config {
        command.arg("--config").arg(std::path::absolute(config).context(named)?);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).current_dir("/").process_group(0);
    command.spawn().context(named)
}

/// The error that the server ended with.
fn told_by(mut child: Child) -> Error {
    let mut text = String::new();
    if let Some(out) = child.stdout.as_mut() {
        let _ = out.take(64 << 10).read_to_string(&mut text);
    }
    let error: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let list = |name: &str| {
        let texts = error["error"][name].as_array().cloned().unwrap_or_default();
        texts.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let what = error["error"]["what"].as_str().unwrap_or("cannot begin to share");
    let told = list("causes").into_iter().fold(Error::request(what), Error::caused_by);
    list("hints").into_iter().fold(told, Error::hint)
}

/// Ends it.
///
/// # Errors
/// There is none, or it does not end.
pub fn serve_stop(options: &Options, events: &dyn Events) -> Result<Served> {
    let context = Context::open(options, Mode::Read, "serve stop", events)?;
    let Some(place) = context.run_folder_to_read()? else { return Err(none_runs()) };
    let Some(status) = state::running(&place.folder).context(unreadable)? else { return Err(none_runs()) };
    let named = || format!("cannot end process {}", status.process);
    let process = i32::try_from(status.process).ok().and_then(Pid::from_raw);
    let process = process.ok_or_else(|| Error::request("cannot end the server: it does not tell its process"))?;
    kill_process(process, Signal::TERM).context(named)?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if state::running(&place.folder).context(unreadable)?.is_none() {
            return Ok(Served { running: false, status: Some(status) });
        }
        thread::sleep(LOOK);
    }
    Err(Error::request(named()).caused_by("it did not end in time"))
}

fn none_runs() -> Error {
    Error::request("nothing is shared").hint("`packets serve init` begins to share")
}

fn unreadable() -> String {
    "cannot read run/packets/serve.json".to_owned()
}

/// How it is.
///
/// # Errors
/// It cannot be seen.
pub fn serve_status(options: &Options, events: &dyn Events) -> Result<Served> {
    let context = Context::open(options, Mode::Read, "serve status", events)?;
    let place = context.run_folder_to_read()?;
    let status = place.map(|place| state::running(&place.folder).context(unreadable)).transpose()?.flatten();
    Ok(Served { running: status.is_some(), status })
}
