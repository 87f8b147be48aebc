//! `approvals`: what hooks may do because somebody said so.

use packets_plugin_api::hook::Grant;
use packets_plugin_api::ident::{Family, PackageName};
use packets_plugin_api::storage::{Approval, Rows, TransactionRow};
use serde::Serialize;

use super::Options;
use super::context::{Context, Mode};
use super::install::mode;
use super::mark::record_rows;
use super::transaction::{new_id, now};
use crate::commit::About;
use crate::error::{Error, Result};
use crate::report::Events;

/// Something that somebody has approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approved {
    /// Whose hooks.
    pub package: PackageName,
    /// Of which family; none: of any.
    pub family: Option<Family>,
    /// What they may reach.
    pub grant: Grant,
    /// Where it was approved.
    pub by: ApprovedBy,
}

/// Where something was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovedBy {
    /// At a terminal; it is on record.
    Terminal,
    /// In the config, by a `[[Sandbox.grant]]`.
    Config,
}

/// What was revoked, or would be.
#[derive(Debug, Serialize)]
pub struct Revoked {
    /// What is no longer approved.
    pub revoked: Vec<Approved>,
    /// Whether anything was changed.
    pub committed: bool,
}

/// All that has been approved, by name.
///
/// # Errors
/// The record cannot be read.
pub fn approvals(options: &Options, events: &dyn Events) -> Result<Vec<Approved>> {
    let context = Context::open(options, Mode::Read, "approvals", events)?;
    let mut all: Vec<Approved> = context.storage(Mode::Read)?.all_approvals()?.into_iter().map(recorded).collect();
    all.extend(of_config(&context));
    all.sort_by(|a, b| (&a.package, &a.family).cmp(&(&b.package, &b.family)));
    Ok(all)
}

fn recorded(Approval { name, family, grant }: Approval) -> Approved {
    Approved { package: name, family: Some(family), grant, by: ApprovedBy::Terminal }
}

fn of_config(context: &Context) -> impl Iterator<Item = Approved> {
    context.config.sandbox.grants.iter().map(|entry| Approved {
        package: entry.package.clone(),
        family: entry.family.clone(),
        grant: entry.grant(),
        by: ApprovedBy::Config,
    })
}

/// Takes back what was approved for a package at a terminal. What its hooks have done already stays.
///
/// # Errors
/// Nothing was, or the record cannot be written; then nothing has changed.
pub fn revoke(name: &PackageName, options: &Options, events: &dyn Events) -> Result<Revoked> {
    let context = Context::open(options, mode(options), "approvals revoke", events)?;
    let mut storage = context.storage(mode(options))?;
    let mut all = storage.all_approvals()?;
    all.retain(|approval| approval.name == *name);
    if all.is_empty() {
        let error = Error::request(format!("nothing was approved at a terminal for {name}"));
        return Err(match of_config(&context).any(|entry| entry.package == *name) {
            true => error.hint(format!("a [[Sandbox.grant]] for it stands in {}", context.config_name)),
            false => error.hint("`packets approvals list` shows what is approved"),
        });
    }
    let revoked = all.iter().cloned().map(recorded).collect();
    if options.dry_run.is_some() {
        return Ok(Revoked { revoked, committed: false });
    }
    let about = About { id: new_id()?, command: "approvals revoke", time: now() };
    let transaction = TransactionRow {
        id: about.id.clone(),
        time: about.time,
        command: about.command.to_owned(),
        summary: vec![format!("revoke what was approved for {name}")],
        origins: Vec::new(),
        undoes: None,
    };
    let approved = all.into_iter().map(|approval| Approval { grant: Grant::default(), ..approval }).collect();
    let rows = Rows { transaction, gone: Vec::new(), installed: Vec::new(), approved };
    record_rows(&context, storage.as_mut(), &about, rows, events)?;
    Ok(Revoked { revoked, committed: true })
}
