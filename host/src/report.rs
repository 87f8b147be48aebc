//! What happens, told to whoever shows it: no stage prints.

use std::time::Duration;

use packets_plugin_api::hook::{Grant, HookKind, HookReport, HookUsage};
use packets_plugin_api::ident::{PackageName, TransactionId};

use crate::plan::Plan;

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// What will be done from now on.
    Planned {
        /// Package by package.
        plan: &'a Plan,
        /// What it costs.
        cost: Cost,
    },
    /// A transfer begins.
    FetchStarted {
        /// What is fetched.
        package: &'a PackageName,
        /// In bytes, where known.
        size: Option<u64>,
    },
    /// More bytes have come, or all must come anew.
    FetchProgress {
        /// What is fetched.
        package: &'a PackageName,
        /// How many bytes of it there are.
        bytes: u64,
    },
    /// More bytes of an index have come.
    IndexProgress {
        /// How many there are.
        bytes: u64,
        /// Of how many, where known.
        size: Option<u64>,
    },
    /// A place failed, and the next one is tried.
    FetchRetry {
        /// What is fetched.
        package: &'a PackageName,
        /// What failed on which place.
        problem: &'a str,
    },
    /// Every place has failed for now, and they are asked again after a pause.
    FetchWaits {
        /// What is fetched: a package's name, or the index.
        what: &'a str,
        /// How long.
        pause: Duration,
    },
    /// A transfer is complete and verified.
    FetchDone {
        /// What was fetched.
        package: &'a PackageName,
        /// The name of the source that had it.
        source: &'a str,
    },
    /// A package begins to unpack.
    UnpackStarted {
        /// The package.
        package: &'a PackageName,
    },
    /// A package stands in staging.
    Unpacked {
        /// The package.
        package: &'a PackageName,
        /// Its files.
        files: u64,
    },
    /// A package's hooks may do what those of the release before did not ask for.
    Permitted {
        /// Whose hooks.
        package: &'a PackageName,
        /// What is new.
        grant: &'a Grant,
    },
    /// A hook begins.
    HookStarted {
        /// The hook's package.
        package: &'a PackageName,
        /// Which.
        kind: HookKind,
    },
    /// A line that a hook printed.
    HookLine {
        /// The hook's package.
        package: &'a PackageName,
        /// Escaped.
        line: &'a str,
    },
    /// A hook came to its end.
    HookDone {
        /// The hook's package.
        package: &'a PackageName,
        /// Which.
        kind: HookKind,
        /// What it did.
        report: &'a HookReport,
        /// What it took.
        usage: HookUsage,
    },
    /// What is kept of a past transaction for `undo` is deleted.
    Freeing {
        /// The transaction.
        transaction: &'a TransactionId,
    },
    /// Something that the user should know, one sentence.
    Warning(&'a str),
    /// Something that is good to know, one sentence.
    Note(&'a str),
    /// A stage has ended.
    Stage {
        /// Its name, as `--timings` prints it.
        name: &'static str,
        /// How long it took.
        took: Duration,
    },
}

/// What a plan costs in bytes, as far as that is known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// What is fetched: the files that are not in the cache.
    pub to_fetch: u64,
    /// What comes to the disk; none where a package does not say.
    pub arriving: Option<u64>,
    /// What goes from it, once it is no longer kept for `undo`.
    pub leaving: u64,
}

/// What a package's hooks ask for and nobody has approved.
#[derive(Debug)]
pub struct Permission<'a> {
    /// The package.
    pub package: &'a PackageName,
    /// What was approved for it before.
    pub approved: &'a Grant,
    /// What it asks for beyond that.
    pub missing: &'a Grant,
}

/// Takes events, from any thread.
pub trait Events: Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);

    /// Asks someone to choose, and returns the place among the choices; none where nobody is
    /// there to answer, or the answer is none of them.
    fn choose(&self, question: &str, choices: &[String]) -> Option<usize> {
        let _ = (question, choices);
        None
    }

    /// Asks someone whether something should be done; no where nobody is there to answer.
    fn confirm(&self, question: &str) -> bool {
        let _ = question;
        false
    }

    /// Asks someone whether a package's hooks may have what they ask for; no where nobody is there to answer.
    fn approve(&self, question: &Permission<'_>) -> bool {
        let _ = question;
        false
    }
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Events for Silent {
    fn event(&self, _: &Event<'_>) {}
}
