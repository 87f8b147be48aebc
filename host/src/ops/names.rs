//! The names that a shell offers while one is being typed.

use packets_plugin_api::ident::PackageName;

use super::Options;
use super::context::{Context, Mode};
use super::gather::Loose;
use crate::error::Result;
use crate::report::Silent;

/// Names that are offered at most: nobody chooses from more.
const MOST: usize = 1000;

/// The installed packages whose names begin so.
///
/// # Errors
/// The record cannot be read.
pub fn installed_names(prefix: &str, options: &Options) -> Result<Vec<PackageName>> {
    let context = Context::open(options, Mode::Read, "completions", &Silent)?;
    let all = context.storage(Mode::Read)?.installed()?;
    Ok(all
        .into_iter()
        .map(|package| package.name)
        .filter(|name| name.as_str().starts_with(prefix))
        .take(MOST)
        .collect())
}

/// The names that begin so and that some package answers to which can be installed.
///
/// # Errors
/// The index cannot be read. A repository on the network is not asked.
pub fn available_names(prefix: &str, options: &Options) -> Result<Vec<PackageName>> {
    if options.repo.as_ref().is_some_and(|repo| repo.contains("://")) {
        return Ok(Vec::new());
    }
    let context = Context::open(options, Mode::Read, "completions", &Silent)?;
    let mut loose = Loose::default();
    let (known, _) = super::install::known(&context, options, &mut loose, &Silent)?;
    let mut names: Vec<PackageName> = known.loose.into_iter().map(|candidate| candidate.name).collect();
    names.retain(|name| name.as_str().starts_with(prefix));
    if let Some(index) = &known.index {
        names.extend(index.names(prefix, MOST)?);
    }
    names.sort();
    names.dedup();
    names.truncate(MOST);
    Ok(names)
}
