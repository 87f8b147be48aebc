//! What is going to be done, before it is done.

use super::paint::Meaning;
use super::{Output, packages, size};
use crate::plan::Plan;
use crate::report::Cost;

/// Packages that are named one by one; `--verbose` names all.
const NAMED: usize = 20;

impl Output {
    /// Prints a plan: a line for each package, and what all of them cost.
    pub(super) fn planned(&self, plan: &Plan, cost: &Cost) {
        let count = plan.installations().len() + plan.removals().len();
        let most = if self.verbose { usize::MAX } else { NAMED };
        for line in plan.steps().take(if count > most { most - 1 } else { most }) {
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            self.say(format_args!("{} {rest}", Meaning::of_step(verb).paint(verb, self.has_colors)));
        }
        if count > most {
            self.say(format_args!("and {} more packages", count + 1 - most));
        }
        let told = told(cost);
        match count {
            _ if told.is_empty() => {}
            1 => self.say(told),
            _ => self.say(format_args!("{}: {told}", packages(count as u64))),
        }
    }
}

/// In words; nothing where it costs nothing, or nobody knows.
fn told(cost: &Cost) -> String {
    let mut parts = Vec::new();
    if cost.to_fetch > 0 {
        parts.push(format!("{} to fetch", size(cost.to_fetch)));
    }
    match cost.arriving.map(|arriving| (arriving.checked_sub(cost.leaving), cost.leaving.saturating_sub(arriving))) {
        Some((Some(more), _)) if more > 0 => parts.push(format!("{} more on disk", size(more))),
        Some((None, less)) => parts.push(format!("{} less on disk after `packets cache clean`", size(less))),
        _ => {}
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_told() {
        let told = |to_fetch, arriving, leaving| told(&Cost { to_fetch, arriving, leaving });
        assert_eq!(told(0, Some(0), 0), "");
        assert_eq!(told(0, None, 7), "");
        assert_eq!(told(2048, None, 7), "2.0 KiB to fetch");
        assert_eq!(told(2048, Some(5000), 904), "2.0 KiB to fetch, 4.0 KiB more on disk");
        assert_eq!(told(0, Some(904), 5000), "4.0 KiB less on disk after `packets cache clean`");
        assert_eq!(told(0, Some(u64::MAX), u64::MAX), "");
    }
}
