//! What was done, and what is kept of it, as people read it.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Output, duration, packages, shown, size};
use crate::error::Result;
use crate::ops::{Past, RelocatedPackage, Relocations, Stored};

impl Output {
    /// Prints what was moved, or would be.
    pub fn relocated(&self, moved: &Relocations) -> Result<()> {
        if self.json {
            return self.print_json(moved);
        }
        let to = shown(&moved.to.absolute());
        let count = packages(moved.packages.len() as u64);
        if moved.packages.is_empty() {
            if !self.quiet {
                self.say(format_args!("all packages are in {to}"));
            }
            return Ok(());
        }
        if !moved.committed {
            let line = |one: &RelocatedPackage| {
                format!("move {} {} from {}\n", one.name, one.version, shown(&one.from.absolute()))
            };
            return self.print(&moved.packages.iter().map(line).collect::<String>());
        }
        if !self.quiet {
            let links = match moved.links.len() {
                0 => String::new(),
                1 => ", and re-pointed 1 link".to_owned(),
                many => format!(", and re-pointed {many} links"),
            };
            self.say(format_args!("moved {count} to {to}{links} in {}", duration(moved.took)));
        }
        Ok(())
    }
}

/// A transaction: what and when on the first line, its packages below.
pub(super) fn lines(past: &Past) -> String {
    let row = &past.row;
    let state = match &past.undone_by {
        Some(by) => format!("  undone by {by}"),
        None if past.can_undo => String::new(),
        None => "  its files are no longer kept".to_owned(),
    };
    let of = row.undoes.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
    let mut text = format!("{}  {}  {}{of}{state}\n", row.id, moment(row.time), shown(&row.command));
    let origins: HashMap<&str, &str> =
        row.origins.iter().map(|origin| (origin.package.as_str(), origin.source.as_str())).collect();
    for line in &row.summary {
        text.push_str(&format!("  {}", shown(line)));
        // `install jq 1.7 (needed)`: the second word is the package.
        if let Some(source) = line.split(' ').nth(1).and_then(|package| origins.get(package)) {
            text.push_str(&format!("  from {}", shown(source)));
        }
        text.push('\n');
    }
    text
}

/// What is kept: one line each.
pub(super) fn stored(stored: &Stored) -> String {
    let mut text = String::new();
    for package in &stored.packages {
        text.push_str(&format!("{:>10}  {}\n", size(package.size), shown(&package.file)));
    }
    for one in &stored.transactions {
        let what = format!("displaced by {} of {} ({})", shown(&one.command), moment(one.time), one.id);
        text.push_str(&format!("{:>10}  {what}\n", size(one.size)));
    }
    text
}

/// All of it in one line.
pub(super) fn total(stored: &Stored) -> String {
    let of_packages: u64 = stored.packages.iter().map(|package| package.size).sum();
    let displaced: u64 = stored.transactions.iter().map(|one| one.size).sum();
    let done = if stored.freed { "freed" } else { "kept:" };
    let count = stored.transactions.len();
    let transactions = format!("{count} transaction{}", if count == 1 { "" } else { "s" });
    format!(
        "{done} {} of {}, {} that {transactions} displaced",
        size(of_packages),
        packages(stored.packages.len() as u64),
        size(displaced)
    )
}

/// `2026-01-31 12:00`, where the user is; from seconds since 1970.
fn moment(time: u64) -> String {
    let time = i64::try_from(time).ok().and_then(|time| Timestamp::from_second(time).ok()).unwrap_or(Timestamp::MAX);
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}
