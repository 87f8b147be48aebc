//! What a hook may reach: the only file that grants anything.
//!
//! A [`Grant`] is a list of paths that the config, a manifest or an administrator
//! wrote. [`folder`] checks each of them when it is read. `InForce` is what holds
//! for one hook: the same paths with all links resolved, less those that are not
//! safe to open, and above them what is denied whatever is granted.
//! Every judgement is about a canonical path, never about a text of the hook.

use std::fmt;
use std::sync::Arc;

use packets_plugin_api::hook::{Grant, PolicyLine};
use packets_plugin_api::ident::{PackageName, escape};
use packets_plugin_api::relpath::RelPath;

use crate::folder::Stat;

/// Closed to hooks on every system, with all that is in it.
const CLOSED: &[&str] = &[
    "proc",
    "sys",
    "dev",
    "boot",
    "usr/share/dbus-1",
    "usr/share/polkit-1",
    "usr/share/initramfs-tools",
    "usr/share/pam",
    "usr/share/pam-configs",
    "usr/share/xsessions",
    "usr/share/wayland-sessions",
];
/// The folder of keys, wherever it is.
const KEYS: &str = ".ssh";
/// Staging folders: this name, and every name that begins with it and `-`.
const STAGING: &str = ".packets";
/// Stands for the package's name in a line of the default grant.
const NAME: &str = "${name}";
/// The part of a package's folder that its hooks may change.
pub(crate) const DATA: &str = "data";

/// Where the program's own things are on the target, all below its root. Hooks reach none of it.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The folder of the config, the databases and the lock.
    pub config: RelPath,
    /// The folder of the journal and the history.
    pub state: RelPath,
    /// The folder of fetched packages.
    pub cache: RelPath,
    /// The folder of plugins.
    pub plugins: RelPath,
    /// The folders that hold packages' folders. In them a hook reaches only its own package's.
    pub packages: Vec<RelPath>,
    /// The running program, where it lies below the root.
    pub program: Option<RelPath>,
}

/// What a grant gives at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To read what everyone may read.
    Read,
    /// Also to create, and to change what the package owns.
    Allow,
    /// Also to change what no package owns.
    Write,
    /// To displace this one path of others.
    Replace,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Allow => "allow",
            Self::Write => "write",
            Self::Replace => "replace",
        })
    }
}

/// A path that cannot be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantError {
    /// The right that was asked for.
    pub right: Right,
    /// The path as written, escaped.
    pub path: String,
    /// The rule that it breaks.
    pub rule: String,
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot grant {} at \"{}\": {}", self.right, self.path, self.rule)
    }
}

impl std::error::Error for GrantError {}

/// A path of a grant as a manifest, the config or the command line writes it.
///
/// Guarantee: absolute, without `..`, NUL or control characters, not the root, and
/// not in what is always denied. What lies above something denied can be granted
/// (`/etc`); the denied part (`/etc/packets`) stays closed.
///
/// # Errors
/// Any other path.
pub fn folder(right: Right, text: &str, places: &Places) -> Result<RelPath, GrantError> {
    let path = written(right, text)?;
    match Denied::new(places).reason(&path, None) {
        Some(rule) => Err(GrantError { right, path: escape(text, 200), rule }),
        None => Ok(path),
    }
}

fn written(right: Right, text: &str) -> Result<RelPath, GrantError> {
    let refuse = |rule: &str| GrantError { right, path: escape(text, 200), rule: rule.to_owned() };
    if text.chars().any(char::is_control) {
        return Err(refuse("a path of a grant holds no control character"));
    }
    let path = RelPath::from_absolute(text).map_err(|error| refuse(error.rule))?;
    if path.is_root() {
        return Err(refuse("the root as a whole is never granted"));
    }
    Ok(path)
}

/// The lines of `[Sandbox] allow`. `${binDir}` is filled in once, `${name}` for each package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultAllow {
    of_all: Vec<RelPath>,
    by_name: Vec<String>,
}

impl DefaultAllow {
    /// # Errors
    /// Another `${...}`, or a line that is no absolute path.
    pub fn new(lines: &[String], bin_dir: &RelPath) -> Result<Self, GrantError> {
        let (mut of_all, mut by_name) = (Vec::new(), Vec::new());
        for line in lines {
            let text = line.replace("${binDir}", &bin_dir.absolute());
            if text.replace(NAME, "").contains("${") {
                let rule = "only ${binDir} and ${name} are filled in".to_owned();
                return Err(GrantError { right: Right::Allow, path: escape(line, 200), rule });
            }
            match text.contains(NAME) {
                true => by_name.push(text),
                false => of_all.push(written(Right::Allow, &text)?),
            }
        }
        Ok(Self { of_all, by_name })
    }

    /// What the hooks of this package may reach, sorted, each path once.
    ///
    /// # Errors
    /// A line that is no absolute path with this name.
    pub fn of(&self, name: &PackageName) -> Result<Vec<RelPath>, GrantError> {
        let mut paths = self.of_all.clone();
        for line in &self.by_name {
            paths.push(written(Right::Allow, &line.replace(NAME, name.as_str()))?);
        }
        paths.sort();
        paths.dedup();
        Ok(paths)
    }
}

/// All that the grants hold, sorted, each path once.
pub fn merge<'a>(grants: impl IntoIterator<Item = &'a Grant>) -> Grant {
    let mut all = Grant::default();
    for grant in grants {
        all.allow.extend_from_slice(&grant.allow);
        all.write.extend_from_slice(&grant.write);
        all.read.extend_from_slice(&grant.read);
        all.replace.extend_from_slice(&grant.replace);
    }
    for paths in [&mut all.allow, &mut all.write, &mut all.read, &mut all.replace] {
        paths.sort();
        paths.dedup();
    }
    all
}

/// What `asked` holds beyond `approved`. `allow` is not compared: nobody asks for it.
///
/// A folder is approved when it, or one above it, is; to read, also where writing is
/// approved. A path to displace is approved only by itself.
pub fn missing(asked: &Grant, approved: &Grant) -> Grant {
    let within = |path: &&RelPath, folders: &[RelPath]| folders.iter().any(|folder| path.starts_with(folder));
    let read = |path: &&RelPath| {
        within(path, &approved.read) || within(path, &approved.write) || within(path, &approved.allow)
    };
    Grant {
        allow: Vec::new(),
        write: asked.write.iter().filter(|path| !within(path, &approved.write)).cloned().collect(),
        read: asked.read.iter().filter(|path| !read(path)).cloned().collect(),
        replace: asked.replace.iter().filter(|path| !approved.replace.contains(path)).cloned().collect(),
    }
}

/// What is denied whatever is granted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Denied {
    folders: Vec<RelPath>,
    packages: Vec<RelPath>,
}

impl Denied {
    /// The denied paths as they are written.
    pub(crate) fn new(places: &Places) -> Self {
        let own = [&places.config, &places.state, &places.cache, &places.plugins];
        let folders = own.into_iter().chain(&places.program).cloned();
        let closed = CLOSED.iter().filter_map(|path| path.parse().ok());
        Self {
            // An unset place must not close the whole root.
            folders: folders.chain(closed).filter(|path: &RelPath| !path.is_root()).collect(),
            packages: places.packages.iter().filter(|path| !path.is_root()).cloned().collect(),
        }
    }

    /// The same with the places that these paths lead to on the target, as told by `resolve`.
    ///
    /// # Errors
    /// The first of `resolve`: a path of which nobody knows where it leads closes too little.
    pub(crate) fn resolved<E>(&self, mut resolve: impl FnMut(&RelPath) -> Result<RelPath, E>) -> Result<Self, E> {
        let mut both = self.clone();
        for (from, to) in [(&self.folders, &mut both.folders), (&self.packages, &mut both.packages)] {
            for path in from {
                let canonical = resolve(path)?;
                if !canonical.is_root() && !to.contains(&canonical) {
                    to.push(canonical);
                }
            }
        }
        Ok(both)
    }

    /// Why `path` is denied to a hook whose package has the folder `own`; none: it is not.
    pub(crate) fn reason(&self, path: &RelPath, own: Option<&RelPath>) -> Option<String> {
        if path.components().any(|name| name == KEYS) {
            return Some(format!("no hook reaches {KEYS} folders"));
        }
        if path.components().any(is_staging) {
            return Some("no hook reaches staging folders".to_owned());
        }
        if let Some(folder) = self.folders.iter().find(|folder| path.starts_with(folder)) {
            return Some(format!("no hook reaches {}", folder.absolute()));
        }
        if own.is_some_and(|own| path.starts_with(own)) {
            return None;
        }
        let packages = self.packages.iter().find(|packages| path.starts_with(packages))?;
        Some(format!("in {} a hook reaches only the folder of its own package", packages.absolute()))
    }

    /// Whether something denied lies in `path`: such a path is not replaced or removed.
    pub(crate) fn is_below(&self, path: &RelPath) -> bool {
        self.folders.iter().chain(&self.packages).any(|folder| folder.starts_with(path))
    }
}

fn is_staging(name: &str) -> bool {
    name.strip_prefix(STAGING).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// A path of a grant that is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedGrant {
    /// As it was granted.
    pub path: RelPath,
    /// The right.
    pub right: Right,
    /// Why, in one sentence without a full stop.
    pub reason: String,
}

/// What a path is to one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Area {
    /// Closed whatever is granted, and why.
    Closed(String),
    /// `data` in the package's own folder (`top`), or something in it.
    OwnData { top: bool },
    /// The manifest or a hook file of the package.
    OwnFile,
    /// In a granted folder. `top`: it is such a folder itself.
    Granted { right: Right, top: bool },
    /// In none.
    Outside,
}

/// The grant that holds for one hook, in canonical paths.
#[derive(Debug)]
pub(crate) struct InForce {
    own: RelPath,
    own_data: RelPath,
    own_files: Vec<RelPath>,
    folders: Vec<(RelPath, Right)>,
    replace: Vec<RelPath>,
    denied: Arc<Denied>,
    refused: Vec<RefusedGrant>,
}

impl InForce {
    /// The least grant: the package's own folder.
    pub(crate) fn new(own: RelPath, own_data: RelPath, own_files: Vec<RelPath>, denied: Arc<Denied>) -> Self {
        Self { own, own_data, own_files, folders: Vec::new(), replace: Vec::new(), denied, refused: Vec::new() }
    }

    /// Adds a granted path and where it leads; the answer is whether it is in force. `above` is what stands on the
    /// disk on the way there, the last being the path itself where it is there; none where that does not count.
    pub(crate) fn add(
        &mut self,
        right: Right,
        asked: &RelPath,
        canonical: RelPath,
        above: &[(RelPath, Stat)],
        trusted_uid: u32,
    ) -> bool {
        let whole = || canonical.is_root().then(|| "the root as a whole is never granted".to_owned());
        let denied = || self.denied.reason(&canonical, Some(&self.own));
        let open = || above.iter().find_map(|(path, stat)| open_to_others(path, stat, trusted_uid));
        match whole().or_else(denied).or_else(open) {
            Some(reason) => self.refuse(right, asked, reason),
            None => {
                self.give(right, canonical);
                return true;
            }
        }
        false
    }

    /// A path that is in force, and where it leads.
    pub(crate) fn give(&mut self, right: Right, canonical: RelPath) {
        match right {
            Right::Replace => self.replace.push(canonical),
            _ => self.folders.push((canonical, right)),
        }
    }

    /// Notes a granted path that is not in force.
    pub(crate) fn refuse(&mut self, right: Right, asked: &RelPath, reason: impl Into<String>) {
        self.refused.push(RefusedGrant { path: asked.clone(), right, reason: reason.into() });
    }

    /// What is not in force.
    pub(crate) fn refused(&self) -> &[RefusedGrant] {
        &self.refused
    }

    /// What is denied whatever is granted.
    pub(crate) fn denied(&self) -> &Denied {
        &self.denied
    }

    /// Whether the hook may go through the folder `path`: a reason against it.
    pub(crate) fn closed_way(&self, path: &RelPath) -> Option<String> {
        if self.own.starts_with(path) { None } else { self.denied.reason(path, Some(&self.own)) }
    }

    /// What `path` is to the hook.
    pub(crate) fn area(&self, path: &RelPath) -> Area {
        if let Some(reason) = self.denied.reason(path, Some(&self.own)) {
            return Area::Closed(reason);
        }
        if path.starts_with(&self.own_data) {
            return Area::OwnData { top: *path == self.own_data };
        }
        if path.starts_with(&self.own) {
            return match self.own_files.contains(path) {
                true => Area::OwnFile,
                false => Area::Closed(format!("of its package's folder a hook reaches only `{DATA}`")),
            };
        }
        let here = self.folders.iter().filter(|(folder, _)| path.starts_with(folder));
        match here.map(|(_, right)| *right).max() {
            Some(right) => Area::Granted { right, top: self.folders.iter().any(|(folder, _)| folder == path) },
            None => Area::Outside,
        }
    }

    /// Whether this very path may be displaced.
    pub(crate) fn may_displace(&self, path: &RelPath) -> bool {
        self.replace.contains(path)
    }

    /// Whether `path` is a granted path or lies above one.
    pub(crate) fn on_the_way(&self, path: &RelPath) -> bool {
        let granted = self.folders.iter().map(|(folder, _)| folder).chain(&self.replace);
        granted.chain([&self.own_data]).any(|folder| folder.starts_with(path))
    }

    /// The reason why `path` is outside, and the line that would let the hook in.
    pub(crate) fn outside(&self, path: &RelPath, right: Right) -> (String, Option<PolicyLine>) {
        match self.refused.iter().find(|refused| path.starts_with(&refused.path)) {
            Some(refused) => {
                (format!("the grant of {} is not in force: {}", refused.path.absolute(), refused.reason), None)
            }
            None => ("it is in no granted folder".to_owned(), Some(policy(right, path))),
        }
    }
}

/// The line that grants `right` at `path` and nothing beside it: who follows it opens no more than was asked for.
pub(crate) fn policy(right: Right, path: &RelPath) -> PolicyLine {
    PolicyLine { right: right.to_string(), path: path.absolute() }
}

/// Who beside root and the caller could put something else in a folder's place or in it.
fn open_to_others(path: &RelPath, stat: &Stat, trusted_uid: u32) -> Option<String> {
    if stat.mode & 0o022 != 0 {
        return Some(format!("others may write in {} (mode {:04o})", path.absolute(), stat.mode));
    }
    (stat.uid != 0 && stat.uid != trusted_uid).then(|| format!("{} belongs to user {}", path.absolute(), stat.uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    fn places() -> Places {
        Places {
            config: path("etc/packets"),
            state: path("var/lib/packets"),
            cache: path("var/cache/packets"),
            plugins: path("usr/lib/packets/plugins"),
            packages: vec![path("opt/packets")],
            program: Some(path("usr/bin/packets")),
        }
    }

    #[test]
    fn h28_what_can_be_asked_for() {
        for bad in [
            "/",
            "//",
            "/.",
            "etc",
            "",
            "/etc/../",
            "/etc/..",
            "/proc",
            "/dev/shm",
            "/sys",
            "/boot/grub",
            "/var/lib/packets",
            "/etc/packets/x",
            "/usr/bin/packets",
            "/root/.ssh",
            "/srv/.packets-1/x",
            "/a\nb",
            "/a\0",
            "/opt/packets",
            "/opt/packets/other/data",
            "/usr/share/dbus-1/services",
        ] {
            assert!(folder(Right::Write, bad, &places()).is_err(), "H28 {bad:?}");
        }
        for good in ["/etc", "/etc/nginx/", "/usr/share", "/var", "/usr/bin", "/srv/.packetsx"] {
            assert!(folder(Right::Write, good, &places()).is_ok(), "H28 {good:?}");
        }
    }

    #[test]
    fn fills_in_the_default_lines() {
        let name: PackageName = "hello".parse().unwrap();
        let of = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            DefaultAllow::new(&lines, &path("usr/bin"))?.of(&name)
        };
        let lines = ["/usr/share/${name}", "${binDir}", "/usr/share/hello", "/opt/${name}/x-${name}"];
        let filled_in = [path("opt/hello/x-hello"), path("usr/bin"), path("usr/share/hello")];
        assert_eq!(of(&lines).unwrap(), filled_in);
        for bad in ["/${home}", "/", "${name}", "/${name}/${", "/${name}/../etc", "/a\n/${name}"] {
            assert!(of(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shows_only_what_is_new() {
        let approved = Grant { write: vec![path("etc/nginx")], ..Grant::default() };
        let asked = Grant {
            write: vec![path("etc/nginx/sites"), path("etc/nginxx")],
            read: vec![path("etc/nginx"), path("srv")],
            replace: vec![path("etc/nginx/x")],
            ..Grant::default()
        };
        let new = missing(&asked, &approved);
        assert_eq!(
            (new.write, new.read, new.replace),
            (vec![path("etc/nginxx")], vec![path("srv")], vec![path("etc/nginx/x")])
        );
    }

    #[test]
    fn closed_whatever_is_granted() {
        let mut grant =
            InForce::new(path("opt/packets/a"), path("opt/packets/a/data"), vec![], Arc::new(Denied::new(&places())));
        for granted in ["etc", "usr", "var", "opt", "root"] {
            grant.add(Right::Write, &path(granted), path(granted), &[], 0);
        }
        for closed in [
            "etc/packets",
            "etc/packets/config.toml",
            "usr/bin/packets",
            "usr/share/pam-configs/x",
            "root/.ssh/id",
            "var/cache/packets/x",
            "opt/packets",
            "opt/packets/b/data/x",
            "opt/packets/a",
            "opt/packets/a/install.lua",
            "usr/.packets-00/f",
            "usr/lib/packets/plugins/x.so",
        ] {
            assert!(matches!(grant.area(&path(closed)), Area::Closed(_)), "{closed}");
        }
        assert_eq!(grant.area(&path("opt/packets/a/data/x")), Area::OwnData { top: false });
        assert_eq!(grant.area(&path("etc/packetsx")), Area::Granted { right: Right::Write, top: false });
        assert!(grant.denied().is_below(&path("var/lib")));
    }
}
