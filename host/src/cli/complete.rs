//! Completions: the shell asks the program itself, so that names of packages are among the answers.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{CompleteEnv, Shells};
use packets_plugin_api::ident::PackageName;

use super::Cli;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::ops::{self, Options};
use crate::output::Output;

/// What the shell's script sets when it asks.
const VARIABLE: &str = "PACKETS_COMPLETE";

/// Where a shell asks for completions, answers it and ends the process.
pub(super) fn answer_a_shell() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// Print the script that makes a shell complete commands, options and names of packages
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  packets completions bash > ~/.local/share/bash-completion/completions/packets\n  packets completions zsh\n  packets completions fish"
)]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub(super) fn run(self, output: &Output) -> Result<()> {
        let name = match self.shell {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        };
        let shells = Shells::builtins();
        let shell = shells.completer(name).ok_or_else(|| Error::new(ErrorKind::Bug, format!("{name} is not known")))?;
        let mut script = Vec::new();
        shell
            .write_registration(VARIABLE, "packets", "packets", "packets", &mut script)
            .context(|| format!("cannot write the script for {name}"))?;
        output.script(name, &String::from_utf8_lossy(&script))
    }
}

/// Completes names of installed packages.
pub(super) fn installed() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| candidates(current, ops::installed_names))
}

/// Completes names that can be installed, and paths.
pub(super) fn available() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| match current.to_str() {
        Some(text) if !text.contains('/') && !text.starts_with('.') => candidates(current, ops::available_names),
        _ => PathCompleter::any().complete(current),
    })
}

/// What cannot be told is not offered: a shell has no place for errors.
fn candidates(current: &OsStr, names: impl Fn(&str, &Options) -> Result<Vec<PackageName>>) -> Vec<CompletionCandidate> {
    let found = current.to_str().map(|prefix| names(prefix, &typed(std::env::args_os()))).and_then(Result::ok);
    found.unwrap_or_default().into_iter().map(|name| CompletionCandidate::new(name.to_string())).collect()
}

/// The global options on the line that is being typed, as far as names depend on them.
fn typed(words: impl Iterator<Item = OsString>) -> Options {
    let mut options = Options::default();
    let mut words = words.skip_while(|word| word != "--").skip(1);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.as_ref(), None),
        };
        if !["--root", "--repo", "--config"].contains(&name) {
            continue;
        }
        let Some(value) = value.or_else(|| words.next().and_then(|word| word.into_string().ok())) else { continue };
        match name {
            "--root" => options.root = Some(PathBuf::from(value)),
            "--repo" => options.repo = Some(value),
            _ => options.config = Some(PathBuf::from(value)),
        }
    }
    options
}

/// Write the manual, one page a command
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets manual ./man1")]
pub(super) struct Manual {
    /// An existing folder for the pages, packets.1 and so on
    folder: PathBuf,
}

impl Manual {
    pub(super) fn run(self, output: &Output) -> Result<()> {
        clap_mangen::generate_to(Cli::command(), &self.folder)
            .context(|| format!("cannot write the manual into {}", self.folder.display()))?;
        let mut program = Cli::command();
        // Only then it knows the full names of its commands.
        program.build();
        let mut pages = Vec::new();
        add_pages(&program, &mut pages);
        output.manual(&self.folder, &pages)
    }
}

/// The pages of a command and of those below it, as clap_mangen names them.
fn add_pages(command: &clap::Command, pages: &mut Vec<String>) {
    pages.push(format!("{}.1", command.get_display_name().unwrap_or_else(|| command.get_name())));
    let with_page = |below: &&clap::Command| !below.is_hide_set() && below.get_name() != "help";
    command.get_subcommands().filter(with_page).for_each(|below| add_pages(below, pages));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_the_line_that_is_typed() {
        let line = ["packets", "--repo", "x", "--", "packets", "--root", "/r", "--repo=/p", "install", "jq"];
        let options = typed(line.into_iter().map(OsString::from));
        assert_eq!((options.root, options.repo), (Some(PathBuf::from("/r")), Some("/p".to_owned())));
        assert_eq!(typed(["packets", "--", "packets", "--root"].into_iter().map(OsString::from)).root, None);
    }
}
