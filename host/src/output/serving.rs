//! How sharing goes.

use std::fmt::Write as _;

use super::{Output, files, shown, size};
use crate::error::Result;
use crate::ops::{Served, Status};

impl Output {
    /// Prints whether anything is shared, and how it goes.
    pub fn served(&self, served: &Served) -> Result<()> {
        if self.json {
            return self.print_json(served);
        }
        match &served.status {
            Some(status) if served.running => self.print(&text(status)),
            Some(status) => {
                self.print(&format!("sharing has ended: {} in {}\n", size(status.bytes), files(status.given)))
            }
            None => self.print("nothing is shared\n"),
        }
    }
}

fn text(status: &Status) -> String {
    let mut text = format!(
        "sharing {} on UDP port {} and TCP port {} (process {}, user {})\n",
        files(status.offered as u64),
        status.questions_port,
        status.files_port,
        status.process,
        status.user
    );
    let _ = writeln!(text, "  answered {} of {} questions", status.answers, status.questions);
    let _ = writeln!(text, "  gave {} in {}", size(status.bytes), files(status.given));
    let _ = writeln!(text, "  confined by: {}", shown(&status.confined.join(", ")));
    for peer in &status.peers {
        let _ = writeln!(text, "  peer {}, heard {} s ago", shown(&peer.address), peer.quiet_for);
    }
    text
}
