//! What any hook runner must show.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::view::{LogLines, MemoryView};
use crate::hook::{Grant, HookCall, HookError, HookErrorKind, HookKind, HookLimits, HookRunner, HookSource};
use crate::ident::TransactionId;
use crate::registry::HookFactory;

/// One script for each behaviour, in the language of the runner.
#[derive(Debug, Clone, Copy)]
pub struct Scripts<'a> {
    /// A name that the runner handles, e.g. `install.lua`.
    pub name: &'a str,
    /// Does nothing.
    pub nothing: &'a str,
    /// Prints `hello`.
    pub prints: &'a str,
    /// Writes the text `made` to `/usr/bin/made`.
    pub writes: &'a str,
    /// Tries to read `/etc/secret`, and prints whether it got something: `true` or `false`.
    pub reads_secret: &'a str,
    /// Raises an error that says `broken`.
    pub fails: &'a str,
    /// Never ends, and catches all errors that it can.
    pub endless: &'a str,
    /// Takes memory without end, and catches all errors that it can.
    pub hungry: &'a str,
    /// Prints `none` where a global of its own is not set, then sets it.
    pub remembers: &'a str,
    /// Prints the time and some random numbers.
    pub time_and_chance: &'a str,
    /// Does not parse.
    pub malformed: &'a str,
}

/// The bounds that the suite runs with.
const LIMITS: HookLimits =
    HookLimits { memory: 16 << 20, cpu: Duration::from_millis(500), wall: Duration::from_secs(2) };

struct Suite<'a> {
    runner: Arc<dyn HookRunner>,
    scripts: Scripts<'a>,
}

/// Holds a runner against the guarantees of [`HookRunner`].
///
/// # Panics
/// At the first one that it breaks.
pub fn hook_runner_suite(make: HookFactory, scripts: Scripts<'_>) {
    let suite = Suite { runner: make(&LIMITS), scripts };
    suite.knows_its_hooks();
    suite.parses_and_runs_nothing();
    suite.acts_through_the_view_alone();
    suite.tells_how_it_failed();
    suite.ends_what_does_not_end();
    suite.leaves_nothing_behind();
}

impl Suite<'_> {
    fn hook(&self, text: &str) -> HookSource {
        HookSource { name: self.scripts.name.parse().unwrap_or_default(), text: text.as_bytes().to_vec() }
    }

    fn run(&self, text: &str, view: &mut MemoryView) -> (Result<(), HookError>, Vec<String>) {
        let call = HookCall {
            package: "suite".parse().unwrap_or_else(|error| panic!("{error}")),
            kind: HookKind::Install,
            transaction: TransactionId::from_bytes([7; 8]),
            time: 1_700_000_000,
            packages_dir: "/opt/packets".to_owned(),
            bin_dir: "/usr/bin".to_owned(),
            data_dir: "/opt/packets/suite/data".to_owned(),
        };
        let mut log = LogLines::default();
        let ran = self.runner.run(&self.hook(text), &call, &Grant::default(), view, &mut log);
        (ran.map(|_| ()), log.0)
    }

    fn view() -> MemoryView {
        MemoryView::new().allow("/usr/bin").with_file("/etc/secret", b"secret", 0o644)
    }

    fn knows_its_hooks(&self) {
        assert!(!self.runner.name().is_empty(), "a runner has a name");
        assert!(self.runner.handles(&self.hook("")), "it handles {}", self.scripts.name);
        let foreign = HookSource { name: "hook.of-no-language".parse().unwrap_or_default(), text: Vec::new() };
        assert!(!self.runner.handles(&foreign), "it handles nothing else");
    }

    fn parses_and_runs_nothing(&self) {
        for text in [self.scripts.nothing, self.scripts.writes, self.scripts.endless] {
            assert_eq!(self.runner.check(&self.hook(text)), Ok(()), "check: {text}");
        }
        let kind = self.runner.check(&self.hook(self.scripts.malformed)).map_err(|error| error.kind);
        assert_eq!(kind, Err(HookErrorKind::Syntax), "check of what does not parse");
    }

    fn acts_through_the_view_alone(&self) {
        let mut view = Self::view();
        let (ran, log) = self.run(self.scripts.nothing, &mut view);
        assert_eq!((ran, log.len(), view.calls()), (Ok(()), 0, 0), "a hook that does nothing");
        let (ran, log) = self.run(self.scripts.prints, &mut view);
        assert_eq!((ran, log), (Ok(()), vec!["hello".to_owned()]), "what is printed is logged");
        let (ran, _) = self.run(self.scripts.writes, &mut view);
        assert_eq!((ran, view.file("/usr/bin/made")), (Ok(()), Some(&b"made"[..])), "what is written is in the view");
        assert_eq!(view.open_files(), 0, "files are closed at the end");
        let (ran, log) = self.run(self.scripts.reads_secret, &mut view);
        assert_eq!((ran, log), (Ok(()), vec!["false".to_owned()]), "a denial is told and does not end the hook");
        assert_eq!(view.denials().len(), 1, "a denial is recorded once");
    }

    fn tells_how_it_failed(&self) {
        let (ran, _) = self.run(self.scripts.fails, &mut Self::view());
        let error = ran.err().unwrap_or_else(|| panic!("an error that is not caught fails the hook"));
        assert_eq!(error.kind, HookErrorKind::Script, "{error}");
        assert!(error.message.contains("broken"), "{error}");
        let (ran, _) = self.run(self.scripts.writes, &mut Self::view().with_limit(0));
        assert_eq!(ran.map_err(|error| error.kind), Err(HookErrorKind::Limit), "a limit of the view ends the hook");
    }

    fn ends_what_does_not_end(&self) {
        for text in [self.scripts.endless, self.scripts.hungry] {
            let began = Instant::now();
            let (ran, _) = self.run(text, &mut Self::view());
            assert_eq!(ran.map_err(|error| error.kind), Err(HookErrorKind::Limit), "{text}");
            assert!(began.elapsed() < LIMITS.wall * 3, "it ends in bounded time: {text}");
        }
    }

    fn leaves_nothing_behind(&self) {
        for round in 0..2 {
            let (ran, log) = self.run(self.scripts.remembers, &mut Self::view());
            assert_eq!((ran, log), (Ok(()), vec!["none".to_owned()]), "round {round}");
        }
        let both = [(); 2].map(|()| self.run(self.scripts.time_and_chance, &mut Self::view()).1);
        assert!(!both[0].is_empty() && both[0] == both[1], "the same transaction gives the same hook: {both:?}");
    }
}
