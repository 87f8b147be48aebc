//! The command line: one file a command, each its arguments and one call into `ops`.

mod approvals;
mod autoremove;
mod cache;
mod complete;
mod config;
mod files;
mod history;
mod hook;
mod index;
mod info;
mod install;
mod list;
mod mark;
mod owns;
mod pack;
mod plugin;
mod push;
mod recover;
mod relocate;
mod remove;
mod search;
mod serve;
mod sync;
mod undo;
mod upgrade;
mod verify;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, ErrorKind, Result};
use crate::ops::{DryRun, Options};
use crate::output::{Colors, Output, Wanted};

/// A package manager whose hooks cannot escape.
#[derive(Debug, Parser)]
#[command(name = "packets", bin_name = "packets", version, max_term_width = 100, propagate_version = true)]
#[command(
    after_help = "Examples:\n  packets sync https://example.org/index.db\n  packets install jq ripgrep\n  packets install ./mytool.pkt.tar.zst --dry-run\n  packets remove jq"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Work on the system in this folder instead of the running one
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Use this repository instead of the synced index: a folder, or the path or URL of an index.db or index.db.zst
    #[arg(long, global = true, value_name = "PATH|URL")]
    repo: Option<String>,
    /// Read this config instead of /etc/packets/config.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer every question with yes; never approves permissions, never moves packages
    #[arg(long, short, global = true)]
    yes: bool,
    /// Show what would happen and change nothing; hooks run on a view. =plan: stop at the plan, fetch nothing
    #[arg(long, global = true, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "hooks")]
    dry_run: Option<DryRun>,
    /// Fetch from no plugin that is loaded from a file
    #[arg(long, global = true)]
    no_plugins: bool,
    /// Print JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Print only errors and results
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print more about what is done
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// When messages have colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_default_value = true)]
    color: Colors,
    /// Print how long each stage took
    #[arg(long, global = true)]
    timings: bool,
    /// Ask no peers on the local network
    #[arg(long, global = true)]
    no_lan: bool,
    /// Fail at once when another run holds the lock
    #[arg(long, global = true)]
    no_wait: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Install(install::Install),
    Remove(remove::Remove),
    Autoremove(autoremove::Autoremove),
    Upgrade(upgrade::Upgrade),
    Hold(mark::Hold),
    Unhold(mark::Unhold),
    Mark(mark::Mark),
    Sync(sync::Sync),
    List(list::List),
    Search(search::Search),
    Info(info::Info),
    Files(files::Files),
    Owns(owns::Owns),
    Why(why::Why),
    Verify(verify::Verify),
    History(history::History),
    Undo(undo::Undo),
    Recover(recover::Recover),
    Relocate(relocate::Relocate),
    Cache(cache::Cache),
    Approvals(approvals::Approvals),
    Config(config::Config),
    Pack(pack::Pack),
    Index(index::Index),
    Push(push::Push),
    Hook(hook::Hook),
    Serve(serve::Serve),
    Plugin(plugin::Plugin),
    /// What one plugin runs in; for the program itself
    #[command(hide = true)]
    PluginWorker,
    Completions(complete::Completions),
    Manual(complete::Manual),
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    // A closed pipe ends the output, not the transaction; and what is made has the modes that are asked for.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // A transaction has a handle for each folder that it changes something in.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let _ = rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit { current: files.maximum, ..files },
    );
    complete::answer_a_shell();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() {
                match wants_json() {
                    true => Output::new(Wanted { json: true, ..Wanted::default() }).error(&mistake(&error)),
                    // It repeats what was typed, which a script may have from anywhere.
                    false => crate::output::usage(&error.to_string()),
                }
                return ExitCode::from(ErrorKind::Usage.exit_code());
            }
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
    };
    if matches!(cli.command, Command::PluginWorker) {
        return crate::plugin::worker::run();
    }
    let output = Output::new(Wanted {
        json: cli.global.json,
        quiet: cli.global.quiet,
        verbose: cli.global.verbose,
        timings: cli.global.timings,
        colors: cli.global.color,
        dry_run: cli.global.dry_run.is_some() || matches!(cli.command, Command::Hook(_)),
    });
    crate::interrupt::tell_with(output.last_words());
    let options = options(&cli.global);
    match run(cli.command, &options, &output) {
        Ok(code) => code,
        Err(error) => {
            crate::interrupt::wait_for_the_end_of_clearing();
            output.error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// A command line that cannot be parsed may still say what its answer should look like.
fn wants_json() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

/// What is wrong with a command line: the first line is the error, tips are hints, the rest says how it is used.
fn mistake(error: &clap::Error) -> Error {
    let text = error.to_string();
    let mut parts = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    let what = parts.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    parts.fold(Error::new(ErrorKind::Usage, what), |error, part| match part.strip_prefix("tip: ") {
        Some(tip) => error.hint(tip),
        None if part.starts_with("For more information") => error,
        None => error.caused_by(part),
    })
}

fn options(global: &Global) -> Options {
    Options {
        root: global.root.clone(),
        repo: global.repo.clone(),
        config: global.config.clone(),
        yes: global.yes,
        dry_run: global.dry_run,
        plugins: !global.no_plugins,
        wait: !global.no_wait,
        no_lan: global.no_lan,
        give_up: false,
    }
}

fn run(command: Command, options: &Options, output: &Output) -> Result<ExitCode> {
    match command {
        // These tell by their exit code what they found.
        Command::Owns(args) => return args.run(options, output),
        Command::Verify(args) => return args.run(options, output),
        Command::Install(args) => args.run(options, output),
        Command::Remove(args) => args.run(options, output),
        Command::Autoremove(args) => args.run(options, output),
        Command::Hold(args) => args.run(options, output),
        Command::Unhold(args) => args.run(options, output),
        Command::Mark(args) => args.run(options, output),
        Command::Upgrade(args) => args.run(options, output),
        Command::Sync(args) => args.run(options, output),
        Command::List(args) => args.run(options, output),
        Command::Search(args) => args.run(options, output),
        Command::Why(args) => args.run(options, output),
        Command::Info(args) => args.run(options, output),
        Command::Files(args) => args.run(options, output),
        Command::History(args) => args.run(options, output),
        Command::Undo(args) => args.run(options, output),
        Command::Recover(args) => args.run(options, output),
        Command::Relocate(args) => args.run(options, output),
        Command::Cache(args) => args.run(options, output),
        Command::Approvals(args) => args.run(options, output),
        Command::Config(args) => args.run(options, output),
        Command::Pack(args) => args.run(options, output),
        Command::Index(args) => args.run(options, output),
        Command::Push(args) => args.run(options, output),
        Command::Hook(args) => args.run(options, output),
        Command::Serve(args) => args.run(options, output),
        Command::Plugin(args) => args.run(options, output),
        Command::PluginWorker => Ok(()),
        Command::Completions(args) => args.run(output),
        Command::Manual(args) => args.run(output),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// `NAME=PATH` of `--grant`.
#[derive(Debug, Clone)]
pub(crate) struct GrantArgument(pub(crate) crate::ops::ExtraGrant);

impl std::str::FromStr for GrantArgument {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, path) = text.split_once('=').ok_or("expected NAME=PATH, e.g. nginx=/etc/nginx")?;
        let package = name.parse().map_err(|error| format!("{error}"))?;
        let path = crate::config::AbsolutePath::try_from(path.to_owned())?;
        Ok(Self(crate::ops::ExtraGrant { package, path: path.0 }))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
