//! Changing the config in use: comments, order and everything else in it stay.

use toml_edit::{DocumentMut, Item};

use super::Options;
use super::context::{CONFIG, Context};
use crate::config::{Config, MAX_CONFIG_SIZE};
use crate::error::{Context as _, Result};
use crate::{durable, given};

/// A config that was changed, and not written yet.
pub(super) struct Changed {
    text: String,
    pub(super) config: Config,
}

/// The config in use with a change made to it.
///
/// # Errors
/// It could not be used afterwards.
pub(super) fn changed(context: &Context, options: &Options, change: impl FnOnce(&mut DocumentMut)) -> Result<Changed> {
    let file = &context.config_name;
    let named = || format!("cannot change the config {file}");
    let text = match &options.config {
        Some(path) => given::read_text(path, MAX_CONFIG_SIZE)?,
        None if context.has_config()? => context.read_config_text()?,
        // Of a dry run, where nothing is there yet.
        None => String::new(),
    };
    let mut document: DocumentMut = text.parse().context(named)?;
    change(&mut document);
    let text = document.to_string();
    let config = Config::parse(&text, file)?;
    Ok(Changed { text, config })
}

/// Writes it down.
pub(super) fn write(context: &Context, options: &Options, changed: &Changed) -> Result<()> {
    let (folder, name) = match &options.config {
        Some(path) => given::split(path)?,
        None => (context.index_folder()?.folder, CONFIG.to_owned()),
    };
    durable::write(&folder, &name, changed.text.as_bytes(), 0o644)
        .context(|| format!("cannot write the config {}", context.config_name))
}

/// Changes it at once.
pub(super) fn change(context: &Context, options: &Options, change: impl FnOnce(&mut DocumentMut)) -> Result<()> {
    write(context, options, &changed(context, options, change)?)
}

/// The table of that name, made where it is missing.
pub(super) fn table<'a>(document: &'a mut DocumentMut, name: &str) -> &'a mut Item {
    if !document.contains_table(name) {
        document[name] = toml_edit::table();
    }
    &mut document[name]
}
