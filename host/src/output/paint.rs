//! Colours: what they mean, and where there are any.

use std::fmt::Display;
use std::io::{self, IsTerminal};

/// When there are colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colors {
    /// At a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Colors {
    /// Whether stderr has colours.
    pub(super) fn on_stderr(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                !is_set("NO_COLOR") && is_set("TERM") && !is_dumb() && io::stderr().is_terminal()
            }
        }
    }
}

/// Whether the terminal knows nothing but lines.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|kind| kind == "dumb")
}

/// What a colour says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meaning {
    /// It failed.
    Error,
    /// Somebody should know.
    Warning,
    /// What could be done.
    Hint,
    /// Something comes.
    Comes,
    /// Something takes another's place.
    Changes,
    /// Something goes.
    Goes,
}

impl Meaning {
    /// Of a line of a plan, by its verb.
    pub(super) fn of_step(verb: &str) -> Self {
        match verb {
            "remove" => Self::Goes,
            "upgrade" | "reinstall" => Self::Changes,
            _ => Self::Comes,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Error => "1;31",
            Self::Warning => "1;33",
            Self::Hint => "36",
            Self::Comes => "32",
            Self::Changes => "33",
            Self::Goes => "31",
        }
    }

    /// The text in its colour, where there are any.
    pub(super) fn paint(self, text: impl Display, has_colors: bool) -> String {
        if has_colors { format!("\u{1b}[{}m{text}\u{1b}[0m", self.code()) } else { text.to_string() }
    }
}

/// An error as it is written, its labels in their colours.
pub(super) fn error(text: &str, has_colors: bool) -> String {
    let label = |line: &str, label: &str, meaning: Meaning| {
        line.strip_prefix(label).map(|rest| format!("{}{rest}", meaning.paint(label, has_colors)))
    };
    let line = |line: &str| label(line, "  hint:", Meaning::Hint).unwrap_or_else(|| line.to_owned());
    let lines: Vec<String> = text.split('\n').map(line).collect();
    format!("{} {}", Meaning::Error.paint("error:", has_colors), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_nothing_is_added() {
        assert_eq!(error("cannot\n  caused by: x\n  hint: y", false), "error: cannot\n  caused by: x\n  hint: y");
        assert_eq!(Meaning::Goes.paint("remove", false), "remove");
    }

    #[test]
    fn labels_have_colours_and_their_texts_have_none() {
        let text = error("cannot\n  caused by: x\n  hint: y\n  z hint:", true);
        let expected = "\u{1b}[1;31merror:\u{1b}[0m cannot\n  caused by: x\n\u{1b}[36m  hint:\u{1b}[0m y\n  z hint:";
        assert_eq!(text, expected);
    }
}
