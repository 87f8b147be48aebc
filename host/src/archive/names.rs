//! Rules for the names in an archive. They are judged as text, before anything is made, and never resolved.

use packets_plugin_api::ident::{escape, text_acts_on_terminal};
use packets_plugin_api::relpath::RelPath;

use super::limits;
use crate::error::{Error, Result};

/// The path of an entry whose name is `raw`; the root for the entry of the package's own
/// folder (`./`). A `folder`'s name may end with a slash.
pub(super) fn entry_path(raw: &[u8], folder: bool) -> Result<RelPath> {
    let text = utf8(raw)?;
    let name = if folder { text.strip_suffix('/').unwrap_or(text) } else { text };
    let name = if folder && name == "." { "" } else { name.strip_prefix("./").unwrap_or(name) };
    let root = folder && name.is_empty() && matches!(text, "." | "./");
    if name.is_empty() && !root {
        return Err(wrong(text, "has no name"));
    }
    let path: RelPath = name.parse().map_err(|_| wrong(text, broken_rule(name)))?;
    check_path(&path)?;
    Ok(path)
}

/// The path that a hard link names.
pub(super) fn existing_path(raw: &[u8]) -> Result<RelPath> {
    entry_path(raw, false)
}

/// What a path must be beyond the guarantees of its type.
pub(crate) fn check_path(path: &RelPath) -> Result<()> {
    if text_acts_on_terminal(path.as_str()) {
        return Err(wrong(path.as_str(), "has a control character in its name"));
    }
    if path.components().count() > limits::DEPTH {
        return Err(wrong(path.as_str(), "lies too deep: at most 128 folders inside each other are allowed"));
    }
    Ok(())
}

/// The text of the symbolic link at `path`: any that Linux takes and a terminal does not act on.
pub(crate) fn check_target<'t>(path: &RelPath, raw: &'t [u8]) -> Result<&'t str> {
    let wrong = |problem| Err(wrong(path.as_str(), problem));
    let Ok(target) = std::str::from_utf8(raw) else { return wrong("is a link to something that is not UTF-8") };
    if target.is_empty() {
        return wrong("is a link to nothing");
    }
    if target.len() > limits::LINK_TARGET {
        return wrong("is a link to a path of more than 4095 bytes");
    }
    if text_acts_on_terminal(target) {
        return wrong("is a link to a path with a control character");
    }
    Ok(target)
}

fn utf8(raw: &[u8]) -> Result<&str> {
    std::str::from_utf8(raw).map_err(|_| wrong(&String::from_utf8_lossy(raw), "has a name that is not UTF-8"))
}

/// An error about the entry `name`.
pub(super) fn wrong(name: &str, problem: &str) -> Error {
    Error::integrity(format!("entry \"{}\" {problem}", escape(name, 200)))
}

fn broken_rule(name: &str) -> &'static str {
    if name.starts_with('/') {
        "has an absolute name"
    } else if name.split('/').any(|part| part == "..") {
        "leads out of its folder with '..'"
    } else if name.ends_with('/') {
        "is a file whose name ends with a slash"
    } else if name.split('/').any(|part| part.is_empty() || part == ".") {
        "has an empty or '.' component in its name"
    } else if name.contains('\0') {
        "has a NUL in its name"
    } else {
        "has a name that is too long: at most 255 bytes a component and 4095 in all are allowed"
    }
}
