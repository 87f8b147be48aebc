//! `plugin new`: a folder with everything that a plugin begins with.

use std::path::{Path, PathBuf};

use packets_hook_runtime::folder::Folder;
use serde::Serialize;

use super::Options;
use super::context::fetch_names;
use crate::durable;
use crate::error::{Context as _, Error, Result};
use crate::given::{self, Given};
use crate::plugin::skeleton::{self, Language};

/// A plugin that was begun, or would be.
#[derive(Debug, Serialize)]
pub struct NewPlugin {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The files in it.
    pub files: Vec<String>,
    /// Whether they are there.
    pub made: bool,
}

/// Writes the skeleton of a plugin into a new folder of its name; a dry run writes nothing.
///
/// # Errors
/// It cannot have this name, or something of that name is there already.
pub fn plugin_new(name: &str, in_c: bool, sdk: Option<&Path>, options: &Options) -> Result<NewPlugin> {
    let failed = || format!("cannot begin the plugin {name}");
    let language = match sdk {
        _ if in_c => Language::C,
        None => Language::Rust(None),
        Some(folder) => match given::open(folder)? {
            Given::Folder(_) => Language::Rust(Some(skeleton::sdk(&std::path::absolute(folder).context(failed)?)?)),
            Given::File(_) => return Err(Error::request(failed()).caused_by("its SDK is no folder")),
        },
    };
    let files = skeleton::files(name, &language)?;
    if fetch_names()?.contains(&name) {
        return Err(Error::request(failed()).caused_by(format!("a source with the name {name} is built in")));
    }
    let folder = PathBuf::from(name);
    let here = Folder::open_ambient(Path::new(".")).context(failed)?;
    if here.stat(name).context(failed)?.is_some() {
        return Err(Error::request(failed()).caused_by(format!("there is a {name} here already")));
    }
    let names = files.iter().map(|(path, _)| (*path).to_owned()).collect();
    let made = options.dry_run.is_none();
    if made && let Err(error) = write(&here, name, &files).context(failed) {
        let _ = here.remove_tree(name);
        return Err(error);
    }
    Ok(NewPlugin { name: name.to_owned(), folder, files: names, made })
}

fn write(here: &Folder, name: &str, files: &[(&'static str, String)]) -> std::io::Result<()> {
    here.make(name, 0o755)?;
    let top = here.open(name)?;
    for (path, text) in files {
        match path.split_once('/') {
            Some((folder, file)) => durable::write(&top.open_or_make(folder, 0o755)?, file, text.as_bytes(), 0o644)?,
            None => durable::write(&top, path, text.as_bytes(), 0o644)?,
        }
    }
    Ok(())
}
