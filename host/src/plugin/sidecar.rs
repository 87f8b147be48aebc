//! `plugin.toml`: what a plugin says of itself, so that it can be listed without running it.

use packets_plugin_api::ident::Digest;
use packets_plugin_api::native::foreign::{check_version, is_name};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The file's name, beside the library.
pub(crate) const FILE_NAME: &str = "plugin.toml";

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// The plugin's name: in the config, and what its library says.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The version of the ABI that it is built for, e.g. `1.0`.
    pub abi: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// For people, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Of the library; `packets plugin add` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// The kinds of plugin that can come from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A place to fetch from.
    Fetch,
}

impl Sidecar {
    /// Reads one; `file` is its name in errors.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Self> {
        let failed = || Error::request(format!("cannot use {file}"));
        let sidecar: Self = toml::from_str(text).map_err(|error| failed().caused_by(error.to_string().trim_end()))?;
        if !is_name(&sidecar.name) {
            return Err(failed().caused_by(format!("the name {:?} is not 1 to 32 of a-z, 0-9 and '-'", sidecar.name)));
        }
        let numbers = sidecar.abi.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
        let (major, minor) = numbers.ok_or_else(|| {
            failed().caused_by(format!("abi = {:?} is no version; expected one like \"1.0\"", sidecar.abi))
        })?;
        check_version(major, minor)
            .map_err(|refused| failed().caused_by(refused.to_string()).hint("another release of the plugin may fit"))?;
        Ok(sidecar)
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p05_other_versions_are_named_and_refused() {
        let parse = |line: &str| Sidecar::parse(&format!("name = \"x\"\nkind = \"fetch\"\n{line}\n"), "plugin.toml");
        assert_eq!(parse("abi = \"1.0\"").unwrap().name, "x");
        for (line, part) in [
            ("abi = \"2.0\"", "built for version 2.0 of the plugin ABI, and this program has 1.0"),
            ("abi = \"0.9\"", "0.9"),
            ("abi = \"1.1\"", "1.1"),
            ("abi = \"1\"", "expected one like \"1.0\""),
            ("abi = \"1.+0\"", "expected one like"),
            ("abi = \"rust-1.95\"", "expected one like"),
            ("abi = \"1.0\"\nrustc = \"1.95\"", "rustc"),
            ("abi = \"1.0\"\nsha256 = \"00\"", "sha256"),
            ("", "abi"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
        for name in ["", "a/b", "..", "A", &"x".repeat(33)] {
            let text = format!("name = {name:?}\nkind = \"fetch\"\nabi = \"1.0\"");
            assert!(Sidecar::parse(&text, "plugin.toml").is_err(), "{name}");
        }
        assert!(Sidecar::parse("name = \"x\"\nkind = \"storage\"\nabi = \"1.0\"", "plugin.toml").is_err());
    }
}
