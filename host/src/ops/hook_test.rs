//! `hook test`: a package's hooks on a view of the system, for whoever writes them.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::context::{Context, Mode};
use super::gather::Loose;
use super::transaction::Transaction;
use super::{DryRun, ExtraGrant, HookOutcome, Options};
use crate::error::{Error, Result};
use crate::plan::{Catalogue, Chosen, Known, Plan, Selection};
use crate::report::Events;
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::Reason;

/// What a package's hooks would do.
#[derive(Debug, Serialize)]
pub struct HookTest {
    /// The package.
    pub package: PackageName,
    /// The install hook, then the remove hook on what that left.
    pub hooks: Vec<HookOutcome>,
}

/// Runs the hooks of a package file or folder and changes nothing.
///
/// # Errors
/// A hook that fails or is denied.
pub fn hook_test(package: &Path, grants: &[ExtraGrant], options: &Options, events: &dyn Events) -> Result<HookTest> {
    let started = Instant::now();
    let options = Options { dry_run: Some(DryRun::Hooks), ..options.clone() };
    let context = Context::open(&options, Mode::Read, "hook test", events)?;
    let mut loose = Loose::default();
    let name = loose.add_given(package, events)?;
    let known = Known { loose: loose.candidates(), ..Known::default() };
    let mut goal =
        known.named(&name)?.ok_or_else(|| Error::request(format!("cannot use the package {}", package.display())))?;
    loose.complete(&mut goal)?;
    // What it needs is not looked for: only its own hooks run.
    let chosen = vec![Chosen { candidate: goal, reason: Reason::Asked }];
    let plan = Plan::install("hook test", Selection { chosen, ..Selection::default() }, &[])?;
    let storage = context.storage(Mode::Read)?;
    let work = Transaction { grants, ..Transaction::new(&context, &storage.installed()?, &options, events)? };
    let hooks = work.test_hooks(&plan, &loose, storage.as_ref(), started)?;
    Ok(HookTest { package: name, hooks })
}
