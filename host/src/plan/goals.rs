//! From what a person typed to the package that is meant.

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::InstalledPackage;

use super::candidate::{Candidate, Catalogue};
use super::resolve::for_this_machine;
use crate::error::{Error, Result};

/// How to choose where several packages share a name.
pub enum Wanted<'a> {
    /// The highest serial (`--yes`).
    Highest,
    /// Someone says, if someone is there.
    Ask(&'a dyn Fn(&PackageName, &[Candidate]) -> Option<usize>),
    /// Nobody can say: an error that names the choices.
    Refuse,
}

/// The package that `name` means: the one of that name, else the one with that
/// alias, else one that provides it.
pub fn find_goal(name: &PackageName, known: &dyn Catalogue, wanted: &Wanted<'_>) -> Result<Candidate> {
    if let Some(found) = known.named(name)? {
        return fitting(found);
    }
    let aliased = runnable(known.aliased(name)?);
    let found = if aliased.is_empty() { runnable(known.providing(name)?) } else { aliased };
    match found.len() {
        0 => Err(unknown(name, known)?),
        1 => found.into_iter().next().ok_or_else(|| Error::request(format!("no package {name} is known"))),
        _ => choose(name, found, wanted),
    }
}

fn runnable(all: Vec<Candidate>) -> Vec<Candidate> {
    all.into_iter().filter(for_this_machine).collect()
}

fn fitting(found: Candidate) -> Result<Candidate> {
    if for_this_machine(&found) {
        return Ok(found);
    }
    let arch = found.arch.unwrap_or_default();
    Err(Error::request(format!("{} is for {arch}; this machine is {}", found.name, std::env::consts::ARCH)))
}

fn choose(name: &PackageName, mut found: Vec<Candidate>, wanted: &Wanted<'_>) -> Result<Candidate> {
    let at = match wanted {
        Wanted::Highest => Some(0),
        Wanted::Ask(ask) => ask(name, &found),
        Wanted::Refuse => None,
    };
    if let Some(at) = at.filter(|at| *at < found.len()) {
        return Ok(found.swap_remove(at));
    }
    let names: Vec<&str> = found.iter().map(|candidate| candidate.name.as_str()).collect();
    Err(Error::request(format!("{name} is the name of several packages")).hint(format!(
        "say which: {}; or --yes for the newest, {}",
        names.join(", "),
        names[0]
    )))
}

fn unknown(name: &PackageName, known: &dyn Catalogue) -> Result<Error> {
    let error = Error::request(format!("no package {name} is known"));
    let similar = known.similar(name)?;
    Ok(if similar.is_empty() {
        error.hint(known.advice())
    } else {
        let names: Vec<&str> = similar.iter().map(PackageName::as_str).collect();
        error.hint(format!("did you mean {}?", names.join(" or ")))
    })
}

/// The installed package that a name means: its own name, else its alias.
pub fn find_installed<'a>(name: &PackageName, installed: &'a [InstalledPackage]) -> Result<&'a InstalledPackage> {
    if let Some(found) = installed.iter().find(|package| package.name == *name) {
        return Ok(found);
    }
    let mut aliased = installed.iter().filter(|package| package.alias.as_ref() == Some(name));
    match (aliased.next(), aliased.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Error::request(format!("{name} is not installed")).hint("`packets list` shows what is")),
        (Some(one), Some(other)) => Err(Error::request(format!("{name} is the name of several installed packages"))
            .hint(format!("say which: {}, {}, ...", one.name, other.name))),
    }
}

/// The newest release of an installed package.
#[derive(Debug, PartialEq, Eq)]
pub enum Release {
    /// It is what stands there.
    Same,
    /// It is another one.
    Other(Box<Candidate>),
    /// It is another one of an older version, and what stands there is none of those that are known.
    Older(Box<Candidate>),
    /// No release of it is known.
    Unlisted,
}

/// The newest release of an installed package: the highest serial of its family, else the same name.
pub fn newest_release(installed: &InstalledPackage, known: &dyn Catalogue) -> Result<Release> {
    let releases = runnable(known.family(&installed.family)?);
    let is_listed = releases.iter().any(|release| is_same_release(installed, release));
    let newest = match releases.into_iter().next() {
        Some(newest) => Some(newest),
        None => known.named(&installed.name)?,
    };
    Ok(match newest {
        None => Release::Unlisted,
        Some(newest) if is_same_release(installed, &newest) => Release::Same,
        Some(newest) if !is_listed && newest.version < installed.version => Release::Older(Box::new(newest)),
        Some(newest) => Release::Other(Box::new(newest)),
    })
}

/// The refusal to upgrade what no index has.
pub fn no_release(installed: &InstalledPackage, known: &dyn Catalogue) -> Error {
    Error::request(format!("cannot upgrade {}: the index has no release of it", installed.name)).hint(known.advice())
}

/// Whether a candidate is what is installed: the same name and the same bytes. What
/// v1 installed has no digest on record; there the version decides, as it did in v1.
pub fn is_same_release(installed: &InstalledPackage, candidate: &Candidate) -> bool {
    installed.name == candidate.name
        && match installed.digest {
            Some(digest) => candidate.digest == Some(digest),
            None => installed.version == candidate.version,
        }
}
