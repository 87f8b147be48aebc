//! The process in which one plugin runs: the hidden subcommand of the same program.
//!
//! It reads nothing of the system and decides nothing. Over its stdin, a socket, the host passes the
//! library and then one socket for each call. When the host goes, so does it.

mod answer;
mod confine;
mod load;
mod slots;
#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use packets_plugin_api::native::Settings;
use packets_plugin_api::native::foreign::ForeignSource;

use super::limits::{CALLS, REQUEST};
use super::wire::{self, Reply, Request};

/// Runs a worker, until the host hangs up.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(never) => match never {},
        // Nobody who started it by hand gets any further.
        Err(_) => ExitCode::FAILURE,
    }
}

enum Never {}

fn serve() -> std::io::Result<Never> {
    let control = take_stdin()?;
    let [call, library] = wire::take(&control)?.try_into().map_err(|_| std::io::ErrorKind::InvalidInput)?;
    let call = UnixStream::from(call);
    let outcome = begin(&call, &library);
    let reply = match &outcome {
        Ok((_, ready)) => ready,
        Err(problem) => &Reply::Refused(problem.clone()),
    };
    wire::send(&call, reply)?;
    drop((call, library));
    let Ok((source, _)) = outcome else { return Err(std::io::ErrorKind::InvalidData.into()) };
    let calls = Arc::new(AtomicUsize::new(0));
    while let Ok(handles) = wire::take(&control) {
        if handles.is_empty() {
            break;
        }
        let mut handles = handles.into_iter();
        if let Some(call) = handles.next() {
            begin_call(UnixStream::from(call), handles.next(), &source, &calls);
        }
    }
    end()
}

/// The control socket. Whoever reads from stdin afterwards reads nothing.
fn take_stdin() -> std::io::Result<OwnedFd> {
    let control = std::io::stdin().as_fd().try_clone_to_owned()?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let null = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(control)
}

/// Gives up what can be given up, and only then loads the library.
fn begin(call: &UnixStream, library: &OwnedFd) -> Result<(ForeignSource, Reply), String> {
    let request = wire::receive(call, REQUEST).map_err(|error| format!("the host says nothing: {error}"))?;
    let Request::Load { user_agent, config, values, secrets, readable } = request else {
        return Err("the host begins with something else".to_owned());
    };
    let kept = confine::confine(&readable);
    let plugin = load::load(library.as_fd())?;
    let settings = Settings { user_agent, config, values, secrets };
    let source = plugin.create(&settings).map_err(|error| format!("it makes no source: {error}"))?;
    let ready = Reply::Ready { name: plugin.name().to_owned(), version: plugin.version(), kept };
    Ok((source, ready))
}

fn begin_call(call: UnixStream, memory: Option<OwnedFd>, source: &ForeignSource, calls: &Arc<AtomicUsize>) {
    if calls.fetch_add(1, Ordering::SeqCst) >= CALLS {
        calls.fetch_sub(1, Ordering::SeqCst);
        answer::refuse(&call, "too many of its calls have not come back");
        return;
    }
    let (source, counted) = (source.clone(), calls.clone());
    let answering = thread::Builder::new().spawn(move || {
        answer::answer(call, memory, &source);
        counted.fetch_sub(1, Ordering::SeqCst);
    });
    if answering.is_err() {
        calls.fetch_sub(1, Ordering::SeqCst);
    }
}

/// At once: the plugin's own destructors could wait for ever.
fn end() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}
