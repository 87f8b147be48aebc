//! What could be installed, whatever it comes from.

use packets_plugin_api::ident::{Digest, Family, PackageName};
use packets_plugin_api::requirement::{Constraint, Requirement};
use packets_plugin_api::storage::{Found, IndexEntry, InstalledPackage, PackageIndex};
use packets_plugin_api::version::Version;

use crate::error::Result;
use crate::suggest::{self, distance};

/// A package that could be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The unique name.
    pub name: PackageName,
    /// What people type where several packages share it.
    pub alias: Option<PackageName>,
    /// The version.
    pub version: Version,
    /// What it needs.
    pub requires: Vec<Requirement>,
    /// What it cannot stand beside.
    pub conflicts: Vec<Requirement>,
    /// Other names that it answers to.
    pub provides: Vec<PackageName>,
    /// The software that it is a release of.
    pub family: Family,
    /// Its serial in the family.
    pub serial: u64,
    /// The machine that it is for.
    pub arch: Option<String>,
    /// SHA-256 of its file; none for a folder that has not been packed yet.
    pub digest: Option<Digest>,
    /// Size of its file in bytes.
    pub size: Option<u64>,
    /// Size when installed in bytes.
    pub installed_size: Option<u64>,
    /// One line.
    pub description: String,
    /// Where its file is.
    pub from: Source,
}

/// Where a candidate's file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Listed in an index, with these mirrors.
    Index(Vec<String>),
    /// Given by the user: a package file, or a folder, by its path.
    Given(String),
    /// A file or folder of a repository without an index, by its path.
    Repository(String),
}

impl From<IndexEntry> for Candidate {
    fn from(entry: IndexEntry) -> Self {
        Self {
            name: entry.name,
            alias: entry.alias,
            version: entry.version,
            requires: entry.requires,
            conflicts: entry.conflicts,
            provides: entry.provides,
            family: entry.family,
            serial: entry.serial,
            arch: entry.arch,
            digest: Some(entry.digest),
            size: entry.size,
            installed_size: entry.installed_size,
            description: entry.description,
            from: Source::Index(entry.mirrors),
        }
    }
}

/// A package that answers to names: a candidate or an installed one.
pub trait Answers {
    /// Whether it is what this constraint asks for.
    fn answers(&self, constraint: &Constraint) -> bool;

    /// Whether it satisfies any alternative of this requirement.
    fn satisfies(&self, requirement: &Requirement) -> bool {
        requirement.alternatives().iter().any(|constraint| self.answers(constraint))
    }
}

fn answers(
    names: (&PackageName, Option<&PackageName>),
    version: &Version,
    provides: &[PackageName],
    constraint: &Constraint,
) -> bool {
    let by_name = *names.0 == constraint.name || names.1 == Some(&constraint.name);
    // What is provided has no version, so a requirement of one cannot be met by it.
    let provided = constraint.version.is_none() && provides.contains(&constraint.name);
    by_name && constraint.admits(version) || provided
}

impl Answers for Candidate {
    fn answers(&self, constraint: &Constraint) -> bool {
        answers((&self.name, self.alias.as_ref()), &self.version, &self.provides, constraint)
    }
}

impl Answers for InstalledPackage {
    fn answers(&self, constraint: &Constraint) -> bool {
        answers((&self.name, self.alias.as_ref()), &self.version, &self.provides, constraint)
    }
}

/// Everything that could be installed.
pub trait Catalogue {
    /// The candidate of exactly this name.
    fn named(&self, name: &PackageName) -> Result<Option<Candidate>>;
    /// Whether the candidate of exactly this name has this digest.
    fn is_release(&self, name: &PackageName, digest: &Digest) -> Result<bool>;
    /// Those with this alias, the highest serial first.
    fn aliased(&self, alias: &PackageName) -> Result<Vec<Candidate>>;
    /// Those that provide this name, the highest serial first.
    fn providing(&self, name: &PackageName) -> Result<Vec<Candidate>>;
    /// All that answer to this name, each once: the one of that name, then those with this
    /// alias, then those that provide it; of each kind those that are in no index, then the
    /// highest serial, first.
    fn answering(&self, name: &PackageName) -> Result<Vec<Candidate>>;
    /// The releases of this family, the highest serial first.
    fn family(&self, family: &Family) -> Result<Vec<Candidate>>;
    /// Those that have all these words, in lower case, in a name or the description; each once.
    fn search(&self, words: &[String]) -> Result<Vec<Found>>;
    /// Names like this one, for a hint.
    fn similar(&self, name: &PackageName) -> Result<Vec<PackageName>>;
    /// What helps where something is not among them.
    fn advice(&self) -> String;
}

/// Packages given by hand or lying in a folder, before those of an index.
#[derive(Debug, Default)]
pub struct Known {
    /// Not in an index; they win over rows of the same name.
    pub loose: Vec<Candidate>,
    /// The index.
    pub index: Option<Box<dyn PackageIndex>>,
    /// What `--repo` names: then a newer synced index would not help.
    pub repository: Option<String>,
}

impl Known {
    fn both(
        &self,
        fits: impl Fn(&Candidate) -> bool,
        rows: impl FnOnce(
            &dyn PackageIndex,
        ) -> std::result::Result<Vec<IndexEntry>, packets_plugin_api::storage::StorageError>,
    ) -> Result<Vec<Candidate>> {
        let mut found: Vec<Candidate> = self.loose.iter().filter(|candidate| fits(candidate)).cloned().collect();
        found.sort_by(|a, b| {
            b.serial.cmp(&a.serial).then_with(|| b.version.cmp(&a.version)).then_with(|| a.name.cmp(&b.name))
        });
        if let Some(index) = &self.index {
            let shadowed = |name: &PackageName| self.loose.iter().any(|candidate| candidate.name == *name);
            found.extend(rows(index.as_ref())?.into_iter().filter(|entry| !shadowed(&entry.name)).map(Candidate::from));
        }
        Ok(found)
    }
}

impl Catalogue for Known {
    fn named(&self, name: &PackageName) -> Result<Option<Candidate>> {
        if let Some(found) = self.loose.iter().find(|candidate| candidate.name == *name) {
            return Ok(Some(found.clone()));
        }
        match &self.index {
            Some(index) => Ok(index.package(name)?.map(Candidate::from)),
            None => Ok(None),
        }
    }

    fn is_release(&self, name: &PackageName, digest: &Digest) -> Result<bool> {
        match (self.loose.iter().find(|candidate| candidate.name == *name), &self.index) {
            (Some(found), _) => Ok(found.digest == Some(*digest)),
            (None, Some(index)) => Ok(index.is_release(name, digest)?),
            (None, None) => Ok(false),
        }
    }

    fn aliased(&self, alias: &PackageName) -> Result<Vec<Candidate>> {
        self.both(|candidate| candidate.alias.as_ref() == Some(alias), |index| index.aliased(alias))
    }

    fn providing(&self, name: &PackageName) -> Result<Vec<Candidate>> {
        self.both(|candidate| candidate.provides.contains(name), |index| index.providing(name))
    }

    fn answering(&self, name: &PackageName) -> Result<Vec<Candidate>> {
        let answers = |candidate: &Candidate| {
            candidate.name == *name || candidate.alias.as_ref() == Some(name) || candidate.provides.contains(name)
        };
        let mut found = self.both(answers, |index| index.answering(name))?;
        // The order within a kind stays.
        found.sort_by_key(|candidate| match candidate.alias.as_ref() {
            _ if candidate.name == *name => 0,
            Some(alias) if alias == name => 1,
            _ => 2,
        });
        Ok(found)
    }

    fn family(&self, family: &Family) -> Result<Vec<Candidate>> {
        self.both(|candidate| candidate.family.matches(family), |index| index.family(family))
    }

    fn search(&self, words: &[String]) -> Result<Vec<Found>> {
        let found = |candidate: &Candidate| Found {
            name: candidate.name.clone(),
            alias: candidate.alias.clone(),
            version: candidate.version.clone(),
            description: candidate.description.clone(),
        };
        let mut all: Vec<Found> = self.loose.iter().map(found).filter(|found| found.has_all(words)).collect();
        if let Some(index) = &self.index {
            let shadowed = |name: &PackageName| self.loose.iter().any(|candidate| candidate.name == *name);
            all.extend(index.search(words)?.into_iter().filter(|found| !shadowed(&found.name)));
        }
        Ok(all)
    }

    fn similar(&self, name: &PackageName) -> Result<Vec<PackageName>> {
        let mut names: Vec<PackageName> = self.loose.iter().map(|candidate| candidate.name.clone()).collect();
        if let Some(index) = &self.index {
            names.extend(index.names("", usize::MAX)?);
        }
        let lower = name.as_str().to_lowercase();
        let mut near: Vec<(usize, PackageName)> = names
            .into_iter()
            .map(|other| (distance(&lower, &other.as_str().to_lowercase()), other))
            .filter(|(distance, _)| *distance <= suggest::most(name.as_str()))
            .collect();
        near.sort();
        near.dedup();
        Ok(near.into_iter().take(3).map(|(_, name)| name).collect())
    }

    fn advice(&self) -> String {
        match &self.repository {
            Some(repository) => format!("`packets --repo {repository} list --available` shows what is there"),
            None => "`packets sync` fetches the newest index".to_owned(),
        }
    }
}
