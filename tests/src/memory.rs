//! How much memory a run needs.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::output::Output;

/// The most memory that a run had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peak {
    /// In bytes, shared pages included.
    pub resident: u64,
}

/// Runs a command and looks every millisecond at its high-water mark, which the kernel
/// keeps (`VmHWM` in proc(5)). The mark of a child would begin at its parent's with
/// wait4's figure.
pub fn run_measured(command: &mut Command) -> (Output, Peak) {
    let shown = format!("{command:?}");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        // Looked at before it is asked whether it has ended: on a busy machine it may have by then.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes: Option<u64> = mark.and_then(|mark| mark.trim().strip_suffix(" kB")?.trim().parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().unwrap();
    assert!(peak > 0, "the run was too short to look at: {shown}");
    (Output::new(shown, output.status, &output.stdout, &output.stderr), Peak { resident: peak })
}
