//! A terminal of its own for a run: a pseudo terminal, at which somebody types.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, ExitStatus};

use nix::pty::{Winsize, openpty};

use crate::output::Output;

/// How large it is.
const SIZE: Winsize = Winsize { ws_row: 50, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };

/// Runs a command at a terminal, on which `typed` is typed. All that it shows is its stdout here.
pub(crate) fn run(command: Command, name: String, typed: &str) -> Output {
    let (shown, status) = show(command, typed, usize::MAX);
    // A terminal ends its lines in this way.
    let shown = String::from_utf8_lossy(&shown).replace("\r\n", "\n");
    Output::new(name, status, shown.as_bytes(), &[])
}

/// Runs a command at a terminal that is gone after `most` bytes; all bytes that were sent to it.
pub fn show(mut command: Command, typed: &str, most: usize) -> (Vec<u8>, ExitStatus) {
    let terminal = openpty(Some(&SIZE), None).unwrap();
    let side = || terminal.slave.try_clone().unwrap();
    let mut child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
    // The last handle of its side must be the child's, or the end never shows.
    drop(command);
    drop(terminal.slave);
    let mut master = File::from(terminal.master);
    master.write_all(typed.as_bytes()).unwrap();
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    // A terminal that nobody holds any more ends with an error.
    while shown.len() < most
        && let Ok(came @ 1..) = master.read(&mut buffer)
    {
        shown.extend_from_slice(&buffer[..came]);
    }
    drop(master);
    (shown, child.wait().unwrap())
}
