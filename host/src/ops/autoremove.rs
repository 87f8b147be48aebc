//! `autoremove`.

use std::time::Instant;

use super::context::Context;
use super::gather::Loose;
use super::install::mode;
use super::transaction::Transaction;
use super::{Options, Outcome, relocate};
use crate::error::Result;
use crate::plan;
use crate::report::{Event, Events};

/// Removes what came along because it was needed, and is needed by nothing any more.
///
/// # Errors
/// Any kind; then nothing has changed.
pub fn autoremove(options: &Options, events: &dyn Events) -> Result<Outcome> {
    let started = Instant::now();
    let context = Context::open(options, mode(options), "autoremove", events)?;
    let mut storage = context.storage(mode(options))?;
    let installed = relocate::installed(&context, options, storage.as_mut(), events)?;
    let plan = plan::removal_of_unneeded(&installed);
    events.event(&Event::Stage { name: "plan", took: started.elapsed() });
    let work = Transaction::new(&context, &installed, options, events)?;
    work.carry_out(plan, &Loose::default(), "", storage, &installed, started)
}
