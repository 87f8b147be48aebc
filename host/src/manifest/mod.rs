//! `manifest.toml`: what a package says of itself.

mod fields;
mod limits;
#[cfg(test)]
mod tests;

use packets_plugin_api::ident::{Family, PackageName, text_acts_on_terminal};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::version::Version;
use toml::de::DeTable;

use crate::error::{Error, Result};
use fields::{Document, Section};
pub use limits::MAX_SIZE;
use limits::{MAX_LIST, MAX_PERMISSIONS};

/// The file's name in a package.
pub const FILE_NAME: &str = "manifest.toml";
/// The folder of a package that holds its files; hooks lie outside it.
pub const DATA: &str = "data";

/// A manifest that parsed: every name, version and path in it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `[Info]`
    pub info: Info,
    /// `[Hooks]`
    pub hooks: Hooks,
    /// `[Permissions]`
    pub permissions: Permissions,
}

/// What the package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The unique name (v1's realname).
    pub name: PackageName,
    /// The version.
    pub version: Version,
    /// Any text, control characters included: escape it before printing.
    pub description: String,
    /// What it needs.
    pub dependencies: Vec<Requirement>,
    /// Any text.
    pub author: String,
    /// The software that it is a release of.
    pub family: Family,
    /// Rises with each release of the family.
    pub serial: u64,
    /// What people type when several packages share it.
    pub alias: Option<PackageName>,
    /// What it cannot stand beside.
    pub conflicts: Vec<Requirement>,
    /// Other names that it answers to.
    pub provides: Vec<PackageName>,
    /// Any text.
    pub license: Option<String>,
    /// Any text.
    pub homepage: Option<String>,
    /// The machine that it is for, as Rust and `uname -m` call it (`x86_64`); none: any.
    pub arch: Option<String>,
    /// Bytes of all its files, as the packager counted them.
    pub installed_size: Option<u64>,
}

/// The hook files, as paths in the package: never the manifest, never below `data/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Runs when the package is installed.
    pub install: Option<RelPath>,
    /// Runs when it is removed.
    pub remove: Option<RelPath>,
}

impl Hooks {
    /// The hook files that there are; one that serves both comes once.
    pub fn files(&self) -> impl Iterator<Item = &RelPath> {
        let remove = self.remove.as_ref().filter(|path| Some(*path) != self.install.as_ref());
        self.install.iter().chain(remove)
    }
}

/// What the hooks ask for beyond the default grant; paths below the target's root, never the root itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Folders in which they may also change what no package owns.
    pub write: Vec<RelPath>,
    /// Folders that they may read.
    pub read: Vec<RelPath>,
    /// Single paths of others that they displace.
    pub replace: Vec<RelPath>,
}

impl Manifest {
    /// Reads a manifest. Beside it come warnings, one sentence each: keys that this
    /// version does not know are no error, so that tomorrow's packages install today.
    ///
    /// # Errors
    /// Of kind integrity, with line and key, for what is no TOML in UTF-8 of at most
    /// [`MAX_SIZE`] bytes, lacks a name or version, or holds a value that is not allowed.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Vec<String>)> {
        if bytes.len() > MAX_SIZE {
            let message = format!("{FILE_NAME} has {} bytes; at most {MAX_SIZE} are allowed", bytes.len());
            return Err(Error::integrity(message));
        }
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(Error::integrity(format!("{FILE_NAME}, line 1: begins with a byte order mark"))
                .hint("save it as UTF-8 without a mark"));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            Error::integrity(format!("{FILE_NAME}, line {line}: is not UTF-8"))
        })?;
        let document = Document::new(text);
        let table = DeTable::parse(text).map_err(|error| document.syntax_error(&error))?;

        let mut top = document.whole(table.get_ref());
        let info = top.section("Info")?;
        let hooks = top.section("Hooks")?;
        let permissions = top.section("Permissions")?;
        let mut info = info.ok_or_else(|| Error::integrity(format!("{FILE_NAME} has no table [Info]")))?;
        let mut warnings = Vec::new();
        let manifest = Self {
            info: Info::parse(&mut info)?,
            hooks: hooks.map_or_else(|| Ok(Hooks::default()), |mut hooks| Hooks::parse(&mut hooks, &mut warnings))?,
            permissions: permissions.map_or_else(
                || Ok(Permissions::default()),
                |mut permissions| Permissions::parse(&mut permissions, &mut warnings),
            )?,
        };
        info.unknown(&mut warnings);
        top.unknown(&mut warnings);
        Ok((manifest, warnings))
    }
}

impl Info {
    fn parse(section: &mut Section<'_, '_>) -> Result<Self> {
        Ok(Self {
            name: section.required("name")?,
            version: section.required("version")?,
            description: section.text("description")?.unwrap_or_default().to_owned(),
            dependencies: section.list("dependencies", MAX_LIST)?,
            author: section.text("author")?.unwrap_or_default().to_owned(),
            family: section.parsed("family")?.unwrap_or_default(),
            serial: section.number("serial")?.unwrap_or(0),
            alias: section.parsed("alias")?,
            conflicts: section.list("conflicts", MAX_LIST)?,
            provides: section.list("provides", MAX_LIST)?,
            license: section.text("license")?.map(str::to_owned),
            homepage: section.text("homepage")?.map(str::to_owned),
            arch: section.checked("arch", |text| {
                let good = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                if good && text.len() <= 32 { Ok(text.to_owned()) } else { Err("not the name of a machine".into()) }
            })?,
            installed_size: section.number("installed_size")?,
        })
    }
}

impl Hooks {
    fn parse(section: &mut Section<'_, '_>, warnings: &mut Vec<String>) -> Result<Self> {
        let hooks =
            Self { install: section.checked("install", hook_file)?, remove: section.checked("remove", hook_file)? };
        section.unknown(warnings);
        Ok(hooks)
    }
}

/// A leading `./` is taken off, as it is from an archive's names.
fn hook_file(text: &str) -> Result<RelPath, String> {
    let path: RelPath = text.strip_prefix("./").unwrap_or(text).parse().map_err(|error| format!("{error}"))?;
    if path.is_root() || path.as_str() == FILE_NAME || path.components().next() == Some(DATA) {
        return Err(format!("a hook is a file beside {FILE_NAME}, not below {DATA}/"));
    }
    if text_acts_on_terminal(path.as_str()) {
        return Err("no control characters in a path".into());
    }
    Ok(path)
}

impl Permissions {
    fn parse(section: &mut Section<'_, '_>, warnings: &mut Vec<String>) -> Result<Self> {
        let mut paths = |key| section.list_checked(key, MAX_PERMISSIONS, asked_path);
        let permissions = Self { write: paths("write")?, read: paths("read")?, replace: paths("replace")? };
        section.unknown(warnings);
        Ok(permissions)
    }
}

fn asked_path(text: &str) -> Result<RelPath, String> {
    let path = RelPath::from_absolute(text).map_err(|error| error.to_string())?;
    if path.is_root() {
        return Err("not the root of the system".into());
    }
    if text_acts_on_terminal(path.as_str()) {
        return Err("no control characters in a path".into());
    }
    Ok(path)
}
