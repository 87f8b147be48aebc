//! What the commands that only look print.

use packets_plugin_api::storage::{MadeBy, Reason};

use super::{Output, files, list, packages, shown, table};
use crate::audit::{Fault, Finding};
use crate::error::Result;
use crate::ops::{Explanation, Hit, Owned, Verified};
use crate::plan::Link;

/// Ways that are shown of many.
const MOST_WAYS: usize = 10;

impl Output {
    /// Prints what a search found.
    pub fn hits(&self, hits: &[Hit]) -> Result<()> {
        if self.json {
            return self.print_json(&hits);
        }
        let rows = hits.iter().map(|hit| {
            let installed = match &hit.installed {
                Some(version) if *version == hit.found.version => " (installed)".to_owned(),
                Some(version) => format!(" ({version} is installed)"),
                None => String::new(),
            };
            [hit.found.name.to_string(), format!("{}{installed}", hit.found.version), shown(&hit.found.description)]
        });
        self.print(&table(rows.collect()))
    }

    /// Prints whose paths are.
    pub fn owned(&self, all: &[Owned]) -> Result<()> {
        if self.json {
            return self.print_json(&all);
        }
        for Owned { path, owners } in all {
            let path = shown(&path.absolute());
            if owners.is_empty() {
                self.say(format_args!("error: no package owns {path}"));
            }
            for owner in owners {
                let made = if owner.made_by == MadeBy::Hook { "  (hook)" } else { "" };
                self.print(&format!("{path}  {} {}{made}\n", owner.package, owner.version))?;
            }
        }
        Ok(())
    }

    /// Prints why a package is installed.
    pub fn explained(&self, explanation: &Explanation) -> Result<()> {
        if self.json {
            return self.print_json(explanation);
        }
        let Explanation { package, version, reason, ways } = explanation;
        let mut text = match (reason, ways.is_empty()) {
            (Reason::Asked, _) => format!("{package} {version} was asked for\n"),
            (Reason::Needed, false) => format!("{package} {version} came along, because it is needed\n"),
            (Reason::Needed, true) => format!("{package} {version} came along, and nothing needs it any more\n"),
        };
        ways.iter().take(MOST_WAYS).for_each(|way| text.push_str(&way_lines(way)));
        if let more @ 1.. = ways.len().saturating_sub(MOST_WAYS) {
            text.push_str(&format!("and {more} more ways; --json shows all\n"));
        }
        self.print(&text)
    }

    /// Prints what is not as it was installed.
    pub fn verified(&self, verified: &Verified) -> Result<()> {
        if self.json {
            return self.print_json(verified);
        }
        let text: String = verified.findings.iter().map(finding).collect();
        self.print(&text)?;
        if !self.quiet {
            let count = |wanted: Fault| verified.findings.iter().filter(|finding| finding.what == wanted).count();
            let faults = [
                (Fault::Missing, "missing"),
                (Fault::Changed, "changed"),
                (Fault::Extra, "extra"),
                (Fault::Unreadable, "unreadable"),
            ];
            let told: Vec<String> = faults
                .into_iter()
                .filter(|(fault, _)| count(*fault) > 0)
                .map(|(fault, word)| format!("{} {word}", count(fault)))
                .collect();
            let verdict = if told.is_empty() { "all as installed".to_owned() } else { list(&told) };
            self.say(format_args!("{} of {}: {verdict}", files(verified.paths), packages(verified.packages)));
        }
        Ok(())
    }
}

/// `app 1 needs lib>=1: lib 2, which needs zlib: zlib 1.3`.
fn way_lines(way: &[Link]) -> String {
    let mut text = String::new();
    for (depth, link) in way.iter().enumerate() {
        let indent = "  ".repeat(depth + 1);
        let asked = if depth == 0 { " (asked for)" } else { "" };
        let needs = link.needs.as_ref().map(|wanted| format!(" needs {wanted}")).unwrap_or_default();
        text.push_str(&format!("{indent}{} {}{asked}{needs}\n", link.package, link.version));
    }
    text
}

fn finding(finding: &Finding) -> String {
    let what = match finding.what {
        Fault::Missing => "missing",
        Fault::Changed => "changed",
        Fault::Extra => "extra",
        Fault::Unreadable => "unreadable",
    };
    let made = if finding.made_by == Some(MadeBy::Hook) { "  (hook)" } else { "" };
    let details =
        if finding.details.is_empty() { String::new() } else { format!(": {}", shown(&list(&finding.details))) };
    format!("{what:<10}  {}  {}{details}{made}\n", finding.package, shown(&finding.path.absolute()))
}
