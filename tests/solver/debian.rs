//! Debian's archive as an index: the main section of bookworm, from the lists of apt on this
//! machine. It is a large problem with the cycles, alternatives and conflicts of real software.
//!
//! - `Depends` and `Pre-Depends` are requirements, `Breaks` and `Conflicts` are conflicts.
//! - `Architecture: all` is for any machine; `foo:any` is `foo`.
//! - What is provided has no version here. So a version that is asked of a name which only
//!   providers have is looked at now: the providers whose version will do take its place.
//! - The family is the package's own name: the archive has one release of each.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Command;

use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::requirement::{Constraint, Requirement};
use packets_plugin_api::storage::{IndexEntry, StorageFormat};
use packets_plugin_api::version::Version;
use packets_plugin_sqlite::SqliteFormat;
use tempfile::TempDir;

/// The text of apt's list of the archive; none where this machine has none.
pub(crate) fn list() -> Option<String> {
    let about = ["Created-By: Packages", "Origin: Debian", "Codename: bookworm", "Component: main"];
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(FILENAME)"]).args(about);
    let files = String::from_utf8(command.output().ok()?.stdout).ok()?;
    let text = Command::new("/usr/lib/apt/apt-helper").args(["cat-file", files.lines().next()?]).output().ok()?;
    let text = String::from_utf8(text.stdout).ok()?;
    text.starts_with("Package: ").then_some(text)
}

/// A paragraph of the list: its fields by name.
type Paragraph<'a> = BTreeMap<&'a str, &'a str>;

fn paragraphs(list: &str) -> impl Iterator<Item = Paragraph<'_>> {
    // A line that begins with a space continues a field; none of those is needed.
    let field = |line: &'_ str| -> Option<(usize, usize)> {
        let at = line.find(": ")?;
        (!line.starts_with(' ')).then_some((at, at + 2))
    };
    list.split("\n\n").filter(|text| !text.trim().is_empty()).map(move |text| {
        text.lines().filter_map(|line| field(line).map(|(end, start)| (&line[..end], &line[start..]))).collect()
    })
}

/// The archive in the making.
struct Source<'a> {
    /// The one paragraph of each package: the newest.
    packages: BTreeMap<&'a str, (Version, Paragraph<'a>)>,
    /// Who provides a name, and in which version.
    providers: HashMap<&'a str, Vec<(&'a str, Option<Version>)>>,
}

impl<'a> Source<'a> {
    fn read(list: &'a str) -> Self {
        let mut packages: BTreeMap<&str, (Version, Paragraph<'_>)> = BTreeMap::new();
        for paragraph in paragraphs(list) {
            let version: Version = paragraph["Version"].parse().unwrap();
            let name = paragraph["Package"];
            if packages.get(name).is_none_or(|(other, _)| *other < version) {
                packages.insert(name, (version, paragraph));
            }
        }
        let mut providers: HashMap<&str, Vec<(&str, Option<Version>)>> = HashMap::new();
        for (name, (_, paragraph)) in &packages {
            for provided in relations(paragraph, &["Provides"]) {
                let (provided, version) = name_and_version(provided);
                let version = version.map(|(_, version)| version.parse().unwrap());
                providers.entry(provided).or_default().push((name, version));
            }
        }
        Self { packages, providers }
    }

    fn entries(&self) -> Vec<IndexEntry> {
        self.packages.iter().map(|(name, (version, paragraph))| self.entry(name, version, paragraph)).collect()
    }

    fn entry(&self, name: &str, version: &Version, paragraph: &Paragraph<'_>) -> IndexEntry {
        let number = |field: &str| paragraph.get(field).and_then(|text| text.parse::<u64>().ok());
        let mut provides: Vec<PackageName> =
            relations(paragraph, &["Provides"]).map(|text| name_and_version(text).0.parse().unwrap()).collect();
        provides.sort();
        provides.dedup();
        let requires = relations(paragraph, &["Pre-Depends", "Depends"]);
        let conflicts = relations(paragraph, &["Conflicts", "Breaks"]);
        IndexEntry {
            name: name.parse().unwrap(),
            alias: None,
            version: version.clone(),
            digest: paragraph["SHA256"].parse().unwrap_or(Digest::from_bytes([0; 32])),
            description: paragraph.get("Description").copied().unwrap_or_default().to_owned(),
            requires: requires.map(|text| self.requirement(text)).collect(),
            conflicts: conflicts.map(|text| constraint(text).parse().unwrap()).collect(),
            provides,
            mirrors: vec![paragraph["Filename"].to_owned()],
            family: name.parse().unwrap(),
            serial: 0,
            size: number("Size"),
            installed_size: number("Installed-Size").map(|kilobytes| kilobytes * 1024),
            arch: (paragraph["Architecture"] != "all").then(|| std::env::consts::ARCH.to_owned()),
        }
    }

    fn requirement(&self, text: &str) -> Requirement {
        let mut alternatives: Vec<String> = Vec::new();
        for alternative in text.split('|') {
            let (name, version) = name_and_version(alternative);
            let written: Constraint = constraint(alternative).parse().unwrap();
            let admits = |found: &Version| written.admits(found);
            let is_met = self.packages.get(name).is_some_and(|(found, _)| admits(found));
            let providers: Vec<&str> = self
                .providers
                .get(name)
                .into_iter()
                .flatten()
                .filter(|(_, provided)| provided.as_ref().is_some_and(admits))
                .map(|(provider, _)| *provider)
                .collect();
            if version.is_none() || is_met || providers.is_empty() {
                alternatives.push(constraint(alternative));
            } else {
                alternatives.extend(providers.into_iter().map(str::to_owned));
            }
        }
        alternatives.truncate(Requirement::MAX_ALTERNATIVES);
        alternatives.join(" | ").parse().unwrap()
    }
}

/// The relations in these fields, one by one.
fn relations<'a>(paragraph: &Paragraph<'a>, fields: &[&str]) -> impl Iterator<Item = &'a str> {
    let texts: Vec<&str> = fields.iter().filter_map(|field| paragraph.get(field).copied()).collect();
    texts.into_iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty())
}

/// `name:any (>= 1)` in its parts.
fn name_and_version(text: &str) -> (&str, Option<(&str, &str)>) {
    let (name, version) = match text.trim().split_once('(') {
        Some((name, rest)) => (name.trim(), rest.trim_end_matches(')').trim().split_once(' ')),
        None => (text.trim(), None),
    };
    (name.split(':').next().unwrap_or(name), version.map(|(sign, version)| (sign, version.trim())))
}

/// A relation as a requirement is written here.
fn constraint(text: &str) -> String {
    let (name, version) = name_and_version(text);
    match version {
        Some(("<<", version)) => format!("{name}<{version}"),
        Some((">>", version)) => format!("{name}>{version}"),
        Some((sign, version)) => format!("{name}{sign}{version}"),
        None => name.to_owned(),
    }
}

/// The archive, and the index of it, which goes when this goes.
pub(crate) struct Archive {
    pub(crate) file: PathBuf,
    pub(crate) entries: Vec<IndexEntry>,
    _folder: TempDir,
}

/// The archive of this machine's lists. None where apt has no lists.
pub(crate) fn archive() -> Option<Archive> {
    let entries = Source::read(&list()?).entries();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.db");
    SqliteFormat.write_index(&file, &entries).unwrap();
    Some(Archive { file, entries, _folder: folder })
}

#[test]
fn relations_are_read_as_debian_means_them() {
    let list = "Package: a\nVersion: 1:2-3\nArchitecture: all\nDepends: b (>> 1) | c:any, v (>= 2),\n d\n\
        Pre-Depends: e (<< 5~)\nBreaks: f (= 1)\nConflicts: v\nProvides: w (= 4), x\nFilename: pool/a.deb\n\
        SHA256: 00\nSize: 7\nInstalled-Size: 2\n\nPackage: p\nVersion: 1\nArchitecture: amd64\nProvides: v (= 2)\n\
        Filename: p\nSHA256: 00\n\nPackage: q\nVersion: 1\nArchitecture: amd64\nProvides: v (= 1)\nFilename: q\n\
        SHA256: 00\n";
    let entries = Source::read(list).entries();
    let texts = |all: &[Requirement]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&entries[0].requires), ["e<5~", "b>1 | c", "p"]);
    assert_eq!(texts(&entries[0].conflicts), ["v", "f=1"]);
    assert_eq!(entries[0].provides.iter().map(PackageName::as_str).collect::<Vec<_>>(), ["w", "x"]);
    assert_eq!((entries[0].size, entries[0].installed_size, entries[0].arch.as_deref()), (Some(7), Some(2048), None));
    assert_eq!(entries[1].arch.as_deref(), Some(std::env::consts::ARCH));
}
