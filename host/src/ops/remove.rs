//! `remove`.

use std::time::Instant;

use super::context::Context;
use super::gather::Loose;
use super::install::mode;
use super::transaction::Transaction;
use super::{Options, Outcome, RemoveRequest, relocate};
use crate::error::Result;
use crate::plan;
use crate::report::{Event, Events};

/// Removes packages with all that they and their hooks made.
///
/// # Errors
/// Any kind; then nothing has changed.
pub fn remove(request: &RemoveRequest, options: &Options, events: &dyn Events) -> Result<Outcome> {
    let started = Instant::now();
    let context = Context::open(options, mode(options), "remove", events)?;
    let mut storage = context.storage(mode(options))?;
    let installed = relocate::installed(&context, options, storage.as_mut(), events)?;
    let plan = plan::removal(&request.packages, &installed, request.cascade)?;
    events.event(&Event::Stage { name: "plan", took: started.elapsed() });
    let work = Transaction {
        run_remove_hooks: request.hooks,
        purge: request.purge,
        ..Transaction::new(&context, &installed, options, events)?
    };
    work.carry_out(plan, &Loose::default(), "", storage, &installed, started)
}
