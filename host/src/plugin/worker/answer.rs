//! One call: a request, its answer, and the bytes of a place.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use packets_plugin_api::fetch::{Candidate, FetchError, FetchErrorKind, FetchSource, Opened};
use packets_plugin_api::native::foreign::{Cancelled, ForeignSource};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::slots::Slots;
use crate::plugin::limits::{REQUEST, SLOTS};
use crate::plugin::wire::{self, Reply, Request};

/// Answers what is asked on this socket. That the host has hung up is no reason for anything.
pub(super) fn answer(call: UnixStream, memory: Option<OwnedFd>, source: &ForeignSource) {
    let Ok(request) = wire::receive(&call, REQUEST) else { return };
    let call = Arc::new(call);
    let watched = call.clone();
    let cancelled: Cancelled = Arc::new(move || has_hung_up(&watched));
    let _ = match request {
        Request::Load { .. } => wire::send(&*call, &failure("it is loaded already")),
        Request::Claims(location) => wire::send(&*call, &Reply::Claims(source.claims(&location))),
        Request::Find { package, digest, size, mirrors } => match wire::artifact(&package, &digest, size, mirrors) {
            Ok(want) => {
                let mut found = |candidate: Candidate| {
                    let Candidate { location, size, .. } = candidate;
                    match wire::send(&*call, &Reply::Candidate { location, size }) {
                        Ok(()) => ControlFlow::Continue(()),
                        Err(_) => ControlFlow::Break(()),
                    }
                };
                let outcome = source.find_until(&want, &mut found, &cancelled);
                wire::send(&*call, &outcome.map_or_else(Reply::from, |()| Reply::End))
            }
            Err(error) => wire::send(&*call, &failure(&error.to_string())),
        },
        Request::Open { location, size, version, offset } => {
            let from = Candidate { location, size, version };
            match source.open_until(&from, offset, cancelled) {
                Ok(opened) => pass_on(&call, memory, opened),
                Err(error) => wire::send(&*call, &Reply::from(error)),
            }
        }
    };
}

/// Says that a call cannot be answered.
pub(super) fn refuse(call: &UnixStream, why: &str) {
    // The host may have hung up.
    let _ = call.set_nonblocking(true).and_then(|()| wire::send(call, &failure(why)));
}

fn failure(message: &str) -> Reply {
    FetchError::new(FetchErrorKind::Unreachable, message).into()
}

fn has_hung_up(call: &UnixStream) -> bool {
    let mut watched = [PollFd::new(call, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let _ = rustix::event::poll(&mut watched, Some(&now));
    watched[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}

/// The bytes, as the plugin gives them.
fn pass_on(mut call: &UnixStream, memory: Option<OwnedFd>, opened: Opened) -> io::Result<()> {
    let mut slots = match memory.ok_or_else(|| io::ErrorKind::InvalidInput.into()).and_then(|memory| Slots::of(&memory))
    {
        Ok(slots) => slots,
        Err(error) => return wire::send(call, &failure(&format!("no memory is shared: {error}"))),
    };
    let Opened { mut reader, size, version, .. } = opened;
    wire::send(call, &Reply::Opened { size, version })?;
    let mut number = 0;
    let outcome = loop {
        // Each slot is given back when the host has taken what stands there.
        if number >= SLOTS {
            call.read_exact(&mut [0])?;
        }
        match reader.read(slots.slot(number)) {
            Ok(0) => break Reply::End,
            Ok(came) => call.write_all(&u32::try_from(came).map_err(io::Error::other)?.to_le_bytes())?,
            Err(error) => break failure(&error.to_string()),
        }
        number += 1;
    };
    call.write_all(&0_u32.to_le_bytes())?;
    wire::send(call, &outcome)
}
