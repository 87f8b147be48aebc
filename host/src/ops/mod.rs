//! What each command does: its stages in order, readable from top to bottom.

mod approvals;
mod autoremove;
mod cache;
mod change_config;
mod config;
mod context;
mod gather;
mod ground;
mod history;
mod hook_test;
mod index;
mod install;
mod known_index;
mod leaving;
mod look;
mod mark;
mod names;
mod owns;
mod pack;
mod plugin;
mod private;
mod push;
mod relocate;
mod remove;
mod room;
mod search;
mod serve;
mod skeleton;
mod stage;
mod sync;
mod transaction;
mod upgrade;
mod verify;
mod why;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use packets_plugin_api::hook::{Grant, HookKind, HookReport};
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use serde::Serialize;

pub use approvals::{Approved, ApprovedBy, Revoked, approvals, revoke};
pub use autoremove::autoremove;
pub use cache::{Stored, StoredPackage, StoredTransaction, Which, cache_clean, cache_list};
pub use config::{Set as ConfigSet, Shown as ConfigShown, config_check, config_set, config_show};
pub use history::{Past, RecoveredAll, Undone, history, recover, undo};
pub use hook_test::{HookTest, hook_test};
pub use index::{Indexed, index};
pub use install::install;
pub use look::{FilesOf, Information, Shown, available, files, info, installed};
pub use mark::{Mark, Marked, MarkedPackage, mark};
pub use names::{available_names, installed_names};
pub use owns::{Owned, Owner, owns};
pub use pack::{Packed, pack};
pub use plugin::{
    CheckedPlugin, PluginInformation, Question, plugin_add, plugin_check, plugin_info, plugin_list, plugin_remove,
};
pub use push::{Pushed, PushedFile, PushedIndex, PushedPackage, push};
pub use relocate::{RelocatedPackage, Relocations, relocate};
pub use remove::remove;
pub use search::{Hit, search};
pub use serve::{Served, Status, serve_init, serve_run, serve_status, serve_stop};
pub use skeleton::{NewPlugin, plugin_new};
pub use sync::{Synced, sync};
pub use upgrade::upgrade;
pub use verify::{Verified, verify};
pub use why::{Explanation, why};

use crate::plan::Plan;

/// What holds for every command.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--root`.
    pub root: Option<PathBuf>,
    /// `--repo`.
    pub repo: Option<String>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--yes`.
    pub yes: bool,
    /// `--dry-run`.
    pub dry_run: Option<DryRun>,
    /// `--no-lan`.
    pub no_lan: bool,
    /// Whether plugins from files are used.
    pub plugins: bool,
    /// Whether to wait for another run.
    pub wait: bool,
    /// `recover --give-up`: what cannot be brought to its end is left as it stands.
    pub give_up: bool,
}

/// How far a dry run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRun {
    /// To the plan.
    Plan,
    /// To the hooks.
    Hooks,
}

impl FromStr for DryRun {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "plan" => Ok(Self::Plan),
            "hooks" => Ok(Self::Hooks),
            _ => Err("expected plan or hooks".to_owned()),
        }
    }
}

/// `--grant NAME=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraGrant {
    /// Whose hooks.
    pub package: PackageName,
    /// Where they may write.
    pub path: RelPath,
}

/// What `install` is asked for.
#[derive(Debug, Clone, Default)]
pub struct InstallRequest {
    /// Names, package files or folders.
    pub packages: Vec<String>,
    /// Grants for this run.
    pub grants: Vec<ExtraGrant>,
    /// Installed packages that a package file may take the place of.
    pub replace: Vec<PackageName>,
}

/// What `upgrade` is asked for.
#[derive(Debug, Clone, Default)]
pub struct UpgradeRequest {
    /// Names of installed packages; none means all.
    pub packages: Vec<PackageName>,
    /// Grants for this run.
    pub grants: Vec<ExtraGrant>,
}

/// What `remove` is asked for.
#[derive(Debug, Clone, Default)]
pub struct RemoveRequest {
    /// Names of installed packages.
    pub packages: Vec<PackageName>,
    /// Whether what needs them goes too.
    pub cascade: bool,
    /// Whether files under /etc go that were changed by hand.
    pub purge: bool,
    /// Whether remove hooks run.
    pub hooks: bool,
}

/// What a transaction did, or would do.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What was decided.
    pub plan: Plan,
    /// What each hook did.
    pub hooks: Vec<HookOutcome>,
    /// What hooks may do beyond the default that those of the release before did not ask for.
    pub permissions: Vec<NewPermissions>,
    /// Files and links of the packages that arrived, those that hooks made too.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Whether anything was changed.
    pub committed: bool,
    /// Programs that can be run now, where they are on this machine.
    pub programs: Vec<PathBuf>,
    /// Files of the administrator that were kept, and where they are now.
    pub kept: Vec<Kept>,
    /// What came along and is needed by nothing any more; told after a removal.
    pub unneeded: Vec<PackageName>,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

impl Outcome {
    /// Of what has changed nothing.
    fn nothing(plan: Plan, started: Instant) -> Self {
        Self {
            plan,
            hooks: Vec::new(),
            permissions: Vec::new(),
            files: 0,
            bytes: 0,
            committed: false,
            programs: Vec::new(),
            kept: Vec::new(),
            unneeded: Vec::new(),
            took: started.elapsed(),
        }
    }
}

/// What the hooks of a package may do from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPermissions {
    /// Whose hooks.
    pub package: PackageName,
    /// What is new.
    pub grant: Grant,
}

/// What one hook did.
#[derive(Debug, Clone, Serialize)]
pub struct HookOutcome {
    /// Whose hook.
    pub package: PackageName,
    /// Which.
    pub hook: HookKind,
    /// Its effects and denials.
    #[serde(flatten)]
    pub report: HookReport,
    /// What it asks for that nobody has approved; only in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_ask: Option<Grant>,
    /// What it printed.
    pub log: Vec<String>,
}

/// A file that no package recorded and that would have been lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Where it was.
    pub was: RelPath,
    /// Where it is now.
    pub now: RelPath,
    /// Where the package's new file is, for which it made no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<RelPath>,
}
