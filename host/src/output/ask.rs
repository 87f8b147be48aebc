//! Approvals: the question, and what was answered.

use std::io::{self, BufRead, IsTerminal, Write};

use packets_plugin_api::hook::Grant;

use super::{Output, shown};
use crate::error::Result;
use crate::ops::{Approved, ApprovedBy, Revoked};
use crate::report::Permission;

impl Output {
    /// Asks at a terminal for one of several.
    pub(super) fn ask_to_choose(&self, question: &str, choices: &[String]) -> Option<usize> {
        if !io::stdin().is_terminal() {
            return None;
        }
        self.say(question);
        for (at, choice) in choices.iter().enumerate() {
            self.say(format_args!("  {}) {}", at + 1, shown(choice)));
        }
        let mut terminal = io::stderr().lock();
        write!(terminal, "which one? [1] ").and_then(|()| terminal.flush()).ok()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).ok()?;
        answered(&line)
    }

    /// Asks at a terminal, path by path; anything but a yes is a no, and `--yes` is no answer.
    pub(super) fn ask_to_approve(&self, question: &Permission<'_>) -> bool {
        if self.json || !io::stdin().is_terminal() {
            return false;
        }
        let Permission { package, approved, missing } = question;
        let more = if **approved == Grant::default() { "what nobody has approved" } else { "more than was approved" };
        self.say(format_args!("the hooks of {package} ask for {more}:"));
        rights(missing).iter().for_each(|line| self.say(format_args!("  {line}")));
        for line in rights(approved) {
            self.say(format_args!("  (approved before: {line})"));
        }
        asked_yes(&format!("approve this, for {package} and its later releases?"))
    }

    /// Asks at a terminal; anything but a yes is a no, and `--yes` is no answer.
    pub(super) fn ask_to_confirm(&self, question: &str) -> bool {
        !self.json && io::stdin().is_terminal() && asked_yes(&shown(question))
    }

    /// Prints what is approved.
    pub fn approvals(&self, all: &[Approved]) -> Result<()> {
        if self.json {
            return self.print_json(&all);
        }
        self.print(&all.iter().map(approved_lines).collect::<String>())
    }

    /// Prints what was revoked, or would be.
    pub fn revoked(&self, revoked: &Revoked) -> Result<()> {
        if self.json {
            return self.print_json(revoked);
        }
        let text: String = revoked.revoked.iter().map(approved_lines).collect();
        if !revoked.committed {
            return self.print(&text);
        }
        if !self.quiet {
            self.say(format_args!("{text}revoked"));
        }
        Ok(())
    }
}

fn approved_lines(approved: &Approved) -> String {
    let family = approved.family.as_ref().filter(|family| !family.is_none());
    let family = family.map(|family| format!(" of the family {}", shown(family.as_str()))).unwrap_or_default();
    let by = if approved.by == ApprovedBy::Config { "  (in the config)" } else { "" };
    rights(&approved.grant).into_iter().map(|line| format!("{}{family} may {line}{by}\n", approved.package)).collect()
}

/// One line a path.
pub(super) fn rights(grant: &Grant) -> Vec<String> {
    let rights = [("write in", &grant.write), ("read", &grant.read), ("replace", &grant.replace)];
    let line = |(right, paths): (&str, &Vec<packets_plugin_api::relpath::RelPath>)| {
        paths.iter().map(|path| format!("{right} {}", shown(&path.absolute()))).collect::<Vec<_>>()
    };
    rights.into_iter().flat_map(line).collect()
}

fn asked_yes(question: &str) -> bool {
    let mut terminal = io::stderr().lock();
    if write!(terminal, "{question} [y/N] ").and_then(|()| terminal.flush()).is_err() {
        return false;
    }
    drop(terminal);
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).is_ok() && is_yes(&line)
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// The answer to a numbered question; a bare line feed takes the first, the end of input none.
fn answered(line: &str) -> Option<usize> {
    match (line.trim(), line.ends_with('\n')) {
        ("", true) => Some(0),
        (text, _) => text.parse::<usize>().ok()?.checked_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_and_no_answer_is_none() {
        assert_eq!(
            ["\n", "2\n", " 1 \n", "", "0\n", "x\n"].map(answered),
            [Some(0), Some(1), Some(0), None, None, None]
        );
    }
}
