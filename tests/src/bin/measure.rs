//! Runs the words behind its first argument, and writes into the file that this one names what the kernel has
//! counted of memory: the most that the program, or any that it waited for, had at once, in kilobytes.
//!
//! A program of its own, because a child's figure begins at its parent's: this one is small, and a test is not.
#![expect(clippy::disallowed_methods, reason = "the test names the file")]

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

use nix::sys::resource::{UsageWho, getrusage};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [report, program, rest @ ..] = &words[..] else { return ExitCode::from(2) };
    let Ok(status) = Command::new(program).args(rest).status() else { return ExitCode::from(127) };
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return ExitCode::from(127) };
    if std::fs::write(report, usage.max_rss().to_string()).is_err() {
        return ExitCode::from(127);
    }
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(127))
}
