//! The system that is changed: `/`, or the folder that `--root` names.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use packets_hook_runtime::folder::{Folder, Kind};
use packets_hook_runtime::limits;
use packets_plugin_api::relpath::RelPath;

use crate::error::{Context, Error, Result};

/// The target and where it stands on this machine.
#[derive(Debug)]
pub struct Target {
    root: Folder,
    path: PathBuf,
    relocated: bool,
}

/// A folder of the target.
#[derive(Debug)]
pub struct Place {
    /// Its handle.
    pub folder: Folder,
    /// Where it is, all links resolved.
    pub path: RelPath,
}

impl Target {
    /// Opens the running system, or the folder `root`; `make` makes that where it is missing.
    pub fn open(root: Option<&Path>, make: bool) -> Result<Self> {
        let path = root.unwrap_or(Path::new("/")).to_owned();
        let named = || format!("cannot open the root {}", path.display());
        if make {
            make_root(&path).context(named)?;
        }
        let opened = Folder::open_ambient(&path);
        if let Err(error) = &opened
            && error.kind() == io::ErrorKind::NotFound
        {
            return Err(Error::request(named())
                .caused_by("there is no such folder")
                .hint("`packets install` makes it"));
        }
        let path = std::path::absolute(&path).context(named)?;
        Ok(Self { root: opened.context(named)?, path, relocated: root.is_some() })
    }

    /// The same one once more.
    pub fn again(&self) -> Result<Self> {
        let named = || format!("cannot open the root {}", self.path.display());
        Ok(Self { root: self.root.again().context(named)?, path: self.path.clone(), relocated: self.relocated })
    }

    /// The handle of its root.
    pub fn root(&self) -> &Folder {
        &self.root
    }

    /// Whether `--root` named it.
    pub fn relocated(&self) -> bool {
        self.relocated
    }

    /// Where a path of the target is on this machine, for messages and for SQLite.
    pub fn on_machine(&self, path: &RelPath) -> PathBuf {
        if path.is_root() { self.path.clone() } else { self.path.join(path.as_str()) }
    }

    /// The folder at `path`; none where nothing is there.
    ///
    /// Links are followed below the root, and only those of root or the caller.
    pub fn enter(&self, path: &RelPath) -> Result<Option<Place>> {
        self.resolve(path, None)
    }

    /// The folder at `path`, what is missing made with this mode.
    pub fn enter_or_make(&self, path: &RelPath, mode: u32) -> Result<Place> {
        let made = self.resolve(path, Some(mode))?;
        made.ok_or_else(|| Error::storage(format!("cannot make the folder {path:?}")))
    }

    /// Where a path is with all links resolved, as far as it exists; what does not is taken as written.
    pub fn canonical(&self, path: &RelPath) -> Result<RelPath> {
        let mut rest = Vec::new();
        let mut above = path.clone();
        loop {
            if let Some(place) = self.enter(&above)? {
                let missing: Vec<&str> = rest.iter().rev().map(String::as_str).collect();
                return Ok(place.path.join(&missing.join("/").parse()?)?);
            }
            let (Some(parent), Some(name)) = (above.parent(), above.file_name()) else { return Ok(path.clone()) };
            rest.push(name.to_owned());
            above = parent;
        }
    }

    fn resolve(&self, path: &RelPath, make: Option<u32>) -> Result<Option<Place>> {
        let failed = || format!("cannot open the folder {}", self.on_machine(path).display());
        let mut walk = Walk { stack: Vec::new(), todo: path.components().map(str::to_owned).collect(), links: 0 };
        while let Some(name) = walk.todo.pop_front() {
            if !walk.step(&self.root, &name, make).context(failed)? {
                return Ok(None);
            }
        }
        let names: Vec<&str> = walk.stack.iter().map(|(name, _)| name.as_str()).collect();
        let path = names.join("/").parse().context(failed)?;
        let folder = match walk.stack.pop() {
            Some((_, folder)) => folder,
            None => self.root.again().context(failed)?,
        };
        Ok(Some(Place { folder, path }))
    }
}

/// Whether a walk failed because no folder is there: nothing, a file, or a link, which is never followed.
pub(crate) fn is_no_folder(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Makes the root that the user named; the one path that is taken as it is.
#[expect(clippy::disallowed_methods, reason = "the root that the user named is the door: no handle exists before it")]
fn make_root(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

struct Walk {
    stack: Vec<(String, Folder)>,
    todo: VecDeque<String>,
    links: usize,
}

impl Walk {
    /// Enters one component; false where it is missing and not to be made.
    fn step(&mut self, root: &Folder, name: &str, make: Option<u32>) -> io::Result<bool> {
        if name == ".." {
            self.stack.pop();
            return Ok(true);
        }
        let here = self.stack.last().map_or(root, |(_, folder)| folder);
        match here.stat(name)? {
            None => {
                let Some(mode) = make else { return Ok(false) };
                let folder = here.open_or_make(name, mode)?;
                self.stack.push((name.to_owned(), folder));
            }
            Some(stat) if stat.kind == Kind::Symlink => {
                if stat.uid != 0 && stat.uid != rustix::process::geteuid().as_raw() {
                    return Err(io::Error::other(format!("the link {name} belongs to another user")));
                }
                self.follow(&here.read_link(name)?)?;
            }
            Some(_) => {
                let folder = here.open(name)?;
                self.stack.push((name.to_owned(), folder));
            }
        }
        Ok(true)
    }

    fn follow(&mut self, text: &OsStr) -> io::Result<()> {
        self.links += 1;
        if self.links > limits::LINKS {
            return Err(io::Error::other("too many links"));
        }
        let text = text.to_str().ok_or_else(|| io::Error::other("a link that is not UTF-8"))?;
        if text.starts_with('/') {
            self.stack.clear();
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        for part in parts.iter().rev() {
            self.todo.push_front((*part).to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_below_the_root() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        for folder in ["usr/lib", "real/deep"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
        std::os::unix::fs::symlink("/real", root.join("opt")).unwrap();
        std::os::unix::fs::symlink("../../../../..", root.join("up")).unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let target = Target::open(Some(&root), false).unwrap();
        let place = |text: &str| target.enter(&text.parse().unwrap()).unwrap().map(|place| place.path.absolute());
        assert_eq!(place("lib").unwrap(), "/usr/lib", "A32 usrmerge");
        assert_eq!(place("opt/deep").unwrap(), "/real/deep");
        assert_eq!(place("up/real").unwrap(), "/real");
        assert_eq!(place("absent/x"), None);
        assert_eq!(target.canonical(&"opt/new/deep".parse().unwrap()).unwrap().absolute(), "/real/new/deep");
        assert!(target.enter(&"loop".parse().unwrap()).is_err(), "A29");
        assert_eq!(
            target.enter_or_make(&"opt/new/er".parse().unwrap(), 0o755).unwrap().path.absolute(),
            "/real/new/er"
        );
    }
}
