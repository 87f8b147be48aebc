//! The only place that prints: results on stdout, everything else on stderr.

mod ask;
mod config;
mod look;
mod paint;
mod past;
mod planned;
mod plugin;
mod progress;
mod pushed;
mod script;
mod serving;

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::Duration;

use packets_plugin_api::hook::{EffectKind, HookReport};
use packets_plugin_api::ident::{PackageName, escape};
use packets_plugin_api::storage::{FileKind, InstalledPackage, MadeBy, Reason};
use serde::Serialize;

use self::paint::Meaning;
use self::progress::Progress;
use crate::error::{Context, Error, Result};
use crate::ops::{
    FilesOf, HookOutcome, HookTest, Indexed, Information, Mark, Marked, Outcome, Packed, Past, RecoveredAll, Shown,
    Stored, Synced, Undone,
};
use crate::plan::{Action, Installation, Plan};
use crate::report::{Event, Events, Permission};

pub use paint::Colors;

/// Prints what the commands say.
#[derive(Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    verbose: bool,
    timings: bool,
    dry_run: bool,
    has_colors: bool,
    /// None where nobody would see it.
    progress: Option<Progress>,
    /// One line at a time, from any thread.
    line: Mutex<()>,
}

/// How much is printed, and how.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Wanted {
    /// JSON on stdout.
    pub json: bool,
    /// Only errors and results.
    pub quiet: bool,
    /// More.
    pub verbose: bool,
    /// The time that each stage took.
    pub timings: bool,
    /// What hooks would do is the result, and not told beside it.
    pub dry_run: bool,
    /// When there are colours.
    pub colors: Colors,
}

impl Output {
    /// As the global options want it.
    pub fn new(wanted: Wanted) -> Self {
        let Wanted { json, quiet, verbose, timings, dry_run, colors } = wanted;
        let progress = if json || quiet { None } else { Progress::new() };
        let has_colors = colors.on_stderr();
        Self { json, quiet, verbose, timings, dry_run, has_colors, progress, line: Mutex::new(()) }
    }

    /// A line for people, on stderr. That nobody reads it is no reason to fail.
    fn say(&self, text: impl Display) {
        let line = format!("{text}\n");
        let _one = self.line.lock();
        let write = || drop(io::stderr().lock().write_all(line.as_bytes()));
        match &self.progress {
            Some(progress) => progress.write_between(write),
            None => write(),
        }
    }

    fn print(&self, text: &str) -> Result<()> {
        self.progress.iter().for_each(Progress::clear);
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // `packets list | head` has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.context(|| "cannot write to stdout".to_owned()),
        }
    }

    fn print_json(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).context(|| "cannot write JSON".to_owned())?;
        self.print(&format!("{text}\n"))
    }

    /// Prints an error: on stderr for people, as JSON for machines.
    pub fn error(&self, error: &Error) {
        if self.json {
            let value = serde_json::json!({ "error": {
                "kind": error.kind().name(), "what": error.message(), "causes": error.causes(), "hints": error.hints(),
            } });
            let _ = self.print_json(&value);
        }
        self.progress.iter().for_each(Progress::clear);
        self.say(paint::error(&error.to_string(), self.has_colors));
    }

    /// What prints an error when the process is about to end, whoever is at work.
    pub(crate) fn last_words(&self) -> impl Fn(&Error) + Send + Sync + 'static {
        let curtain = self.progress.as_ref().map(Progress::curtain);
        move |error| {
            curtain.iter().for_each(|fall| fall());
            let _ = io::stderr().lock().write_all(format!("error: {error}\n").as_bytes());
        }
    }

    /// Asks somebody at the terminal, without bars.
    fn asking<T>(&self, ask: impl FnOnce() -> T) -> T {
        match &self.progress {
            Some(progress) => progress.paused(ask),
            None => ask(),
        }
    }

    /// Prints what a transaction did or would do.
    pub fn transaction(&self, outcome: &Outcome) -> Result<()> {
        if self.json {
            return self.print_json(outcome);
        }
        if !self.quiet {
            for left in outcome.plan.left() {
                self.say(left);
            }
        }
        if !outcome.committed && !self.dry_run {
            return self.nothing_to_do(&outcome.plan);
        }
        if !outcome.committed {
            let mut text = outcome.plan.to_string();
            for hook in &outcome.hooks {
                text.push_str(&effects(&hook.package, &hook.report));
                text.push_str(&would_ask(hook));
            }
            return self.print(&text);
        }
        if self.quiet {
            return Ok(());
        }
        for kept in &outcome.kept {
            if kept.was == kept.now {
                let new = kept.beside.as_ref().map(|path| format!("; the new one is {}", shown(&path.absolute())));
                self.say(format_args!(
                    "kept {}, which was changed by hand{}",
                    shown(&kept.was.absolute()),
                    new.unwrap_or_default()
                ));
            } else {
                self.say(format_args!("kept {} as {}", shown(&kept.was.absolute()), shown(&kept.now.absolute())));
            }
        }
        self.say(format_args!("{}{} in {}", done(&outcome.plan), weight(outcome), duration(outcome.took)));
        if !outcome.unneeded.is_empty() {
            let names = match outcome.unneeded.as_slice() {
                [one] => one.to_string(),
                [most @ .., last] if most.len() < 8 => format!("{} and {last}", list(most)),
                all => packages(all.len() as u64),
            };
            self.say(format_args!("`packets autoremove` removes {names}, which nothing needs any more"));
        }
        if let [only] = outcome.programs.as_slice() {
            self.say(format_args!("run it: {}", only.display()));
        } else if !outcome.programs.is_empty() && outcome.programs.len() <= 8 {
            let programs: Vec<String> = outcome.programs.iter().map(|path| path.display().to_string()).collect();
            self.say(format_args!("programs: {}", programs.join(" ")));
        }
        Ok(())
    }

    /// What was asked for stands there already.
    fn nothing_to_do(&self, plan: &Plan) -> Result<()> {
        if !self.quiet {
            self.say(plan.to_string().trim_end());
        }
        Ok(())
    }

    /// Prints what was synced.
    pub fn synced(&self, synced: &Synced) -> Result<()> {
        if self.json {
            return self.print_json(synced);
        }
        if !self.quiet {
            let what = match (synced.changed, self.dry_run) {
                (false, _) => ", which has not changed",
                (true, true) => "; it was not put in place",
                (true, false) => "",
            };
            self.say(format_args!("{} in the index from {}{what}", packages(synced.packages), shown(&synced.from)));
        }
        Ok(())
    }

    /// Prints what is installed.
    pub fn installed(&self, packages: &[InstalledPackage]) -> Result<()> {
        if self.json {
            return self.print_json(&packages);
        }
        let rows = packages
            .iter()
            .map(|package| [package.name.to_string(), package.version.to_string(), shown(&package.description)]);
        self.print(&table(rows.collect()))
    }

    /// Prints what can be installed.
    pub fn available(&self, packages: &[Shown]) -> Result<()> {
        if self.json {
            return self.print_json(&packages);
        }
        let rows = packages
            .iter()
            .map(|package| [package.name.to_string(), package.version.clone(), shown(&package.description)]);
        self.print(&table(rows.collect()))
    }

    /// Prints what is known of a package.
    pub fn info(&self, information: &Information) -> Result<()> {
        if self.json {
            return self.print_json(information);
        }
        let mut lines: Vec<(&str, String)> = Vec::new();
        if let Some(package) = &information.installed {
            lines.push(("name", package.name.to_string()));
            lines.push(("installed", package.version.to_string()));
            lines.push(("description", package.description.clone()));
            lines.push(("needs", list(&package.requires)));
            lines.push(("folder", package.folder.absolute()));
            lines.push(("size", size(package.installed_size)));
            let reason = match package.reason {
                Reason::Asked => "it was asked for",
                Reason::Needed => "it is needed; `packets why` tells by what",
            };
            lines.push(("installed as", reason.to_owned()));
            lines.push(("held", if package.held { "yes".to_owned() } else { String::new() }));
        }
        if let Some(package) = &information.available {
            if information.installed.is_none() {
                lines.push(("name", package.name.to_string()));
                lines.push(("description", package.description.clone()));
                lines.push(("needs", package.requires.join(", ")));
            }
            lines.push(("available", package.version.clone()));
            lines.push(("arch", package.arch.clone().unwrap_or_default()));
            lines.push(("to fetch", package.size.map(size).unwrap_or_default()));
            lines.push(("sha256", package.sha256.clone().unwrap_or_default()));
            lines.push(("from", package.from.join(" ")));
        }
        let text: String = lines
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key:<12} {}\n", shown(&value)))
            .collect();
        self.print(&text)
    }

    /// Prints the paths of a package.
    pub fn files(&self, files: &FilesOf) -> Result<()> {
        if self.json {
            return self.print_json(files);
        }
        let mut text = String::new();
        for file in &files.files {
            let made = if file.made_by == MadeBy::Hook { "  (hook)" } else { "" };
            let path = shown(&file.path.absolute());
            match &file.kind {
                FileKind::Symlink { stored, .. } => text.push_str(&format!("{path} -> {}{made}\n", shown(stored))),
                FileKind::Folder { .. } => text.push_str(&format!("{path}/{made}\n")),
                FileKind::File { .. } => text.push_str(&format!("{path}{made}\n")),
            }
        }
        self.print(&text)
    }

    /// Prints the transactions of the past.
    pub fn history(&self, all: &[Past]) -> Result<()> {
        if self.json {
            return self.print_json(&all);
        }
        self.print(&all.iter().map(past::lines).collect::<String>())
    }

    /// Prints what was undone, or would be.
    pub fn undone(&self, undone: &Undone) -> Result<()> {
        if self.json {
            return self.print_json(undone);
        }
        let lines: String = undone.summary.iter().map(|line| format!("{}\n", shown(line))).collect();
        if !undone.committed {
            return self.print(&lines);
        }
        if self.quiet {
            return Ok(());
        }
        for kept in &undone.kept {
            self.say(format_args!("kept {} as {}", shown(&kept.was.absolute()), shown(&kept.now.absolute())));
        }
        self.say(format_args!("{lines}undone; `packets undo {}` brings it back", undone.id));
        Ok(())
    }

    /// Prints what was marked, or would be.
    pub fn marked(&self, marked: &Marked) -> Result<()> {
        if self.json {
            return self.print_json(marked);
        }
        let is = match marked.mark {
            Mark::Asked => "marked as asked for",
            Mark::Needed => "marked as needed by others only",
            Mark::Held => "held",
            Mark::Free => "free to be upgraded",
        };
        let would = if marked.committed { "is now" } else { "would be" };
        let lines: String =
            marked.changed.iter().map(|one| format!("{} {} {would} {is}\n", one.name, one.version)).collect();
        if self.dry_run {
            self.print(&lines)?;
        } else if !self.quiet && !lines.is_empty() {
            self.say(lines.trim_end());
        }
        if !self.quiet {
            marked
                .unchanged
                .iter()
                .for_each(|one| self.say(format_args!("{} {} is {is} already", one.name, one.version)));
        }
        Ok(())
    }

    /// Prints what was brought to its end; what it was has been told as it happened.
    pub fn recovered(&self, all: &RecoveredAll) -> Result<()> {
        if self.json {
            return self.print_json(all);
        }
        if all.recovered.is_empty() && !self.quiet {
            self.say("nothing was cut off");
        }
        Ok(())
    }

    /// Prints what is kept, or was freed.
    pub fn stored(&self, stored: &Stored) -> Result<()> {
        if self.json {
            return self.print_json(stored);
        }
        if !stored.freed {
            self.print(&past::stored(stored))?;
        }
        if !self.quiet {
            self.say(past::total(stored));
        }
        Ok(())
    }

    /// Prints what was packed.
    pub fn packed(&self, packed: &Packed) -> Result<()> {
        if self.json {
            return self.print_json(packed);
        }
        self.print(&format!("{}\n", packed.file.display()))?;
        if !self.quiet {
            self.say(format_args!(
                "{} {}: {}, {}, sha256 {}",
                packed.name,
                packed.version,
                files(packed.files),
                size(packed.size),
                packed.sha256
            ));
        }
        Ok(())
    }

    /// Prints what was indexed.
    pub fn indexed(&self, indexed: &Indexed) -> Result<()> {
        if self.json {
            return self.print_json(indexed);
        }
        self.print(&format!("{}\n", indexed.file.display()))?;
        if !self.quiet {
            self.say(packages(indexed.packages as u64));
        }
        Ok(())
    }

    /// Prints what the hooks of a package would do.
    pub fn hook_test(&self, test: &HookTest) -> Result<()> {
        if self.json {
            return self.print_json(test);
        }
        let mut text = String::new();
        if test.hooks.is_empty() {
            text.push_str(&format!("{} has no hooks\n", test.package));
        }
        for hook in &test.hooks {
            text.push_str(&format!("{} hook:\n", hook.hook));
            text.push_str(&effects(&hook.package, &hook.report));
            text.push_str(&would_ask(hook));
        }
        self.print(&text)
    }
}

/// Prints what is wrong with a command line.
pub(crate) fn usage(text: &str) {
    let _ = io::stderr().lock().write_all(crate::error::clean(text).as_bytes());
}

/// What a plan has done, in one line.
fn done(plan: &Plan) -> String {
    // What `install` puts in the place of another release may be older than that.
    let is_upgrade = plan.command() == "upgrade";
    let verb = |one: &Installation| match one.action() {
        Action::Upgrade if is_upgrade => "upgraded",
        Action::Install | Action::Upgrade => "installed",
        Action::Reinstall => "reinstalled",
    };
    let of = |wanted: &'static str| {
        let those = plan.installations().iter().filter(move |one| verb(one) == wanted);
        (wanted, those.map(ToString::to_string).collect::<Vec<_>>())
    };
    let removed = plan.removals().iter().map(|one| format!("{} {}", one.name, one.version)).collect();
    let parts = [("removed", removed), of("installed"), of("upgraded"), of("reinstalled")];
    let told = parts.into_iter().filter(|(_, names)| !names.is_empty()).map(|(verb, names)| match names.len() {
        0..=8 => format!("{verb} {}", names.join(", ")),
        count => format!("{verb} {count} packages"),
    });
    told.collect::<Vec<_>>().join("; ")
}

/// How many files stand there now, and how large they are.
fn weight(outcome: &Outcome) -> String {
    match outcome.files {
        0 => String::new(),
        many => format!(": {}, {},", files(many), size(outcome.bytes)),
    }
}

fn effects(package: &PackageName, report: &HookReport) -> String {
    let mut text = String::new();
    for effect in &report.effects {
        let path = shown(&effect.path.absolute());
        let what = match &effect.becomes {
            EffectKind::File { mode, size: bytes, .. } => format!("writes {path} ({}, mode {mode:o})", size(*bytes)),
            EffectKind::Symlink { stored, .. } => format!("links {path} -> {}", shown(stored)),
            EffectKind::Folder { .. } => format!("makes {path}/"),
            EffectKind::Absent => format!("removes {path}"),
        };
        let displaced = if effect.displaces { " (in the place of another's)" } else { "" };
        text.push_str(&format!("  {package}: {what}{displaced}\n"));
    }
    text
}

fn would_ask(hook: &HookOutcome) -> String {
    let asked = hook.would_ask.iter().flat_map(ask::rights);
    asked.map(|right| format!("  {}: would ask to {right}\n", hook.package)).collect()
}

/// Text from outside, safe for a terminal.
fn shown(text: &str) -> String {
    escape(text, 4096)
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn packages(count: u64) -> String {
    format!("{count} package{}", if count == 1 { "" } else { "s" })
}

fn files(count: u64) -> String {
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}

/// A size as people read it.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut scaled = bytes as f64;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{scaled:.1} {}", UNITS[unit]) }
}

fn duration(took: Duration) -> String {
    if took.as_secs() >= 10 {
        format!("{:.0} s", took.as_secs_f64())
    } else if took.as_millis() >= 1000 {
        format!("{:.1} s", took.as_secs_f64())
    } else {
        format!("{} ms", took.as_millis())
    }
}

fn table(rows: Vec<[String; 3]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let line =
        |row: &[String; 3]| format!("{:<first$}  {:<second$}  {}", row[0], row[1], row[2]).trim_end().to_owned() + "\n";
    rows.iter().map(line).collect()
}

impl Events for Output {
    fn choose(&self, question: &str, choices: &[String]) -> Option<usize> {
        self.asking(|| self.ask_to_choose(question, choices))
    }

    fn confirm(&self, question: &str) -> bool {
        self.asking(|| self.ask_to_confirm(question))
    }

    fn approve(&self, question: &Permission<'_>) -> bool {
        self.asking(|| self.ask_to_approve(question))
    }

    fn event(&self, event: &Event<'_>) {
        self.progress.iter().for_each(|progress| progress.event(event));
        match event {
            Event::Warning(text) => {
                let label = Meaning::Warning.paint("warning:", self.has_colors);
                self.say(format_args!("{label} {}", text.lines().map(shown).collect::<Vec<_>>().join("\n")))
            }
            Event::Stage { name, took } if self.timings => {
                self.say(format_args!("{name:<18} {:>9.3} ms", took.as_secs_f64() * 1000.0))
            }
            _ if self.quiet || self.json => {}
            Event::Planned { plan, cost } => self.planned(plan, cost),
            Event::Note(text) => self.say(shown(text)),
            Event::Permitted { package, grant } => {
                ask::rights(grant).iter().for_each(|right| self.say(format_args!("  {package} may {right}")));
            }
            Event::HookLine { package, line } => self.say(format_args!("  {package}: {line}")),
            Event::HookDone { package, kind, report, usage } => {
                if !self.dry_run {
                    effects(package, report).lines().for_each(|line| self.say(line));
                }
                if self.verbose {
                    let took = format!("{}, {} of memory", duration(usage.wall), size(usage.memory));
                    self.say(format_args!("  {package}: the {kind} hook took {took}"));
                }
            }
            Event::FetchRetry { package, problem } => self.say(format_args!("  {package}: {}", shown(problem))),
            Event::FetchWaits { what, pause } => {
                self.say(format_args!("  {}: trying again in {}", shown(what), duration(*pause)))
            }
            Event::FetchDone { package, source } if self.verbose => {
                self.say(format_args!("  {package}: fetched from {}", shown(source)))
            }
            Event::Unpacked { package, files } if self.verbose => {
                self.say(format_args!("  {package}: {}", self::files(*files)))
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!([size(0), size(1023), size(1536), size(5 << 30)], ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
        assert_eq!([duration(Duration::from_millis(8)), duration(Duration::from_millis(2500))], ["8 ms", "2.5 s"]);
    }

    #[test]
    fn m31_nothing_from_outside_acts_on_the_terminal() {
        assert_eq!(shown("\u{1b}[31mred\u{202e}"), "\\u{1b}[31mred\\u{202e}");
    }
}
