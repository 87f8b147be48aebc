//! A terminal of its own for a run: a pseudo terminal, at which somebody types.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;

use nix::pty::openpty;

use crate::output::Output;

/// Runs a command at a terminal, on which `typed` is typed. All that it shows is its stdout here.
pub(crate) fn run(mut command: Command, name: String, typed: &str) -> Output {
    let terminal = openpty(None, None).unwrap();
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
    while let Ok(came @ 1..) = master.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..came]);
    }
    // A terminal ends its lines in this way.
    let shown = String::from_utf8_lossy(&shown).replace("\r\n", "\n");
    Output::new(name, child.wait().unwrap(), shown.as_bytes(), &[])
}
