//! What somebody begins a plugin with: the examples under another name, so that what is begun with is what is tested.

use std::path::Path;

use packets_plugin_api::native::foreign::is_name;

use super::sidecar;
use crate::error::{Error, Result};

/// What a plugin is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Language {
    /// C, with the header beside it.
    C,
    /// Rust, with the SDK in this folder; none: its released version.
    Rust(Option<String>),
}

const C_SOURCE: &str = include_str!("../../../plugin-api/examples/c/plugin.c");
const C_SIDECAR: &str = include_str!("../../../plugin-api/examples/c/plugin.toml");
const C_HEADER: &str = include_str!("../../../plugin-api/include/packets_plugin.h");
const RUST_SOURCE: &str = include_str!("../../../plugin-api/examples/rust/src/lib.rs");
const RUST_SIDECAR: &str = include_str!("../../../plugin-api/examples/rust/plugin.toml");
const RUST_MANIFEST: &str = include_str!("../../../plugin-api/examples/rust/Cargo.toml");

/// The names in the examples.
const C_NAME: &str = "plain-c";
const RUST_NAME: &str = "plain-rust";

/// The files of a new plugin, each by its path in the plugin's folder.
///
/// # Errors
/// It cannot have this name.
pub(crate) fn files(name: &str, language: &Language) -> Result<Vec<(&'static str, String)>> {
    let may_be = is_name(name) && name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
    if !may_be {
        let rule = "a name is 1 to 32 of a-z, 0-9 and '-', begins with a letter and does not end with '-'";
        return Err(Error::request(format!("no plugin can have the name {name:?}")).caused_by(rule));
    }
    let mut files = match language {
        Language::C => in_c(name),
        Language::Rust(sdk) => in_rust(name, sdk.as_deref())?,
    };
    files.push(("README.md", readme(name, language)));
    Ok(files)
}

fn in_c(name: &str) -> Vec<(&'static str, String)> {
    let length = |name: &str| format!("{{\"{name}\", {}}}", name.len());
    let source = C_SOURCE.replace(&length(C_NAME), &length(name)).replace(C_NAME, name);
    vec![
        ("plugin.c", source.replace("-I../../include", "-I.")),
        ("packets_plugin.h", C_HEADER.to_owned()),
        (sidecar::FILE_NAME, said(C_SIDECAR, C_NAME, name)),
    ]
}

fn in_rust(name: &str, sdk: Option<&str>) -> Result<Vec<(&'static str, String)>> {
    let needs = match sdk {
        Some(path) => format!("{{ path = {} }}", toml::Value::from(path)),
        None => format!("\"{}\"", env!("CARGO_PKG_VERSION")),
    };
    let manifest = RUST_MANIFEST.replace(RUST_NAME, name).replace("{ path = \"../..\" }", &needs);
    Ok(vec![
        ("Cargo.toml", manifest),
        ("src/lib.rs", RUST_SOURCE.replace(RUST_NAME, name)),
        (sidecar::FILE_NAME, said(RUST_SIDECAR, RUST_NAME, name)),
        (".gitignore", "/target\n/plugin.so\n".to_owned()),
    ])
}

fn said(sidecar: &str, example: &str, name: &str) -> String {
    sidecar.replace(example, name).replace(": an example in C", "").replace(": an example in Rust", "")
}

fn readme(name: &str, language: &Language) -> String {
    let build = match language {
        Language::C => "cc -shared -fPIC -O2 -I. -o plugin.so plugin.c",
        Language::Rust(_) => "cargo build --release\ncp target/release/libplugin.so plugin.so",
    };
    format!(
        "# {name}\n\nA place to fetch from, for Packets. As it is, it fetches `{name}://HOST:PORT/PATH` by HTTP/1.0.\n\n\
         ```sh\n{build}\npackets plugin add plugin.so\npackets plugin check {name}\n```\n\n\
         `packets plugin check {name} --location LOCATION --file FILE` compares what it fetches with a file.\n"
    )
}

/// A folder that a manifest can name.
///
/// # Errors
/// Its path is no text.
pub(crate) fn sdk(folder: &Path) -> Result<String> {
    let text = folder.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        Error::request(format!("cannot use the SDK in {}", folder.display())).caused_by("it is no UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Sidecar;

    #[test]
    fn nothing_of_the_examples_names_is_left() {
        for language in [Language::C, Language::Rust(None), Language::Rust(Some("/a \"b\"".to_owned()))] {
            let files = files("my-source", &language).unwrap();
            for (path, text) in &files {
                assert!(!text.contains("plain-") && !text.contains("example in"), "{path}");
                assert!(text.contains("my-source") || ["packets_plugin.h", ".gitignore"].contains(path), "{path}");
                assert!(!text.contains("../"), "{path} leads out of its folder");
            }
            let text = |name: &str| &files.iter().find(|(path, _)| *path == name).unwrap().1;
            assert_eq!(Sidecar::parse(text("plugin.toml"), "plugin.toml").unwrap().name, "my-source");
            if let Language::Rust(sdk) = &language {
                let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
                let needs = &manifest["dependencies"]["packets-plugin-api"];
                let path = needs.get("path").and_then(toml::Value::as_str).map(str::to_owned);
                assert_eq!((&path, path.is_some() || needs.is_str()), (sdk, true));
            } else {
                assert!(text("plugin.c").contains("{\"my-source\", 9}"));
            }
        }
    }

    #[test]
    fn names_that_no_plugin_can_have() {
        let long = "x".repeat(33);
        for name in ["", "A", "a/b", "..", "9x", "-x", "x-", "a_b", "a b", &long] {
            assert!(files(name, &Language::C).is_err(), "{name}");
        }
        assert!(files(&long[1..], &Language::C).is_ok());
    }
}
