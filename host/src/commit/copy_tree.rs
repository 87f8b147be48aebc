//! A package's folder, copied as it stands: where it cannot be moved, or its links must change.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;

use packets_hook_runtime::folder::{self, Folder, Kind, Obstacle};
use packets_hook_runtime::limits;
use packets_plugin_api::relpath::RelPath;

use crate::error::{Context, Error, Result};
use crate::interrupt;

/// Copies the folder `name` of `from` with all that is in it into `to`: bytes, owners, modes, ACLs and the times of files.
/// `links` has the new texts of links, by their paths in the folder. Returns how many names were made.
///
/// # Errors
/// Something in it is neither file, folder nor link, or is a mount point; or a signal came.
pub(super) fn copy(from: &Folder, name: &str, to: &Folder, links: &HashMap<RelPath, String>) -> Result<usize> {
    let mut copying = Copying { links, made: 0 };
    copying.folder((from, to), OsStr::new(name), Some(&RelPath::root()), 0)?;
    Ok(copying.made)
}

struct Copying<'a> {
    links: &'a HashMap<RelPath, String>,
    made: usize,
}

impl Copying<'_> {
    /// The folder `name`, which is `path` as seen from the package's; none where that cannot be written down.
    fn folder(
        &mut self,
        (from, to): (&Folder, &Folder),
        name: &OsStr,
        path: Option<&RelPath>,
        depth: usize,
    ) -> Result<()> {
        let named = || format!("cannot copy the folder {}", name.display());
        if depth > limits::DEPTH {
            return Err(Error::request(named()).caused_by("it is nested too deeply"));
        }
        let source = from.open(name).context(named)?;
        to.make(name, 0o700).context(named)?;
        let target = to.open(name).context(named)?;
        self.made += 1;
        for inner in source.list().context(named)? {
            interrupt::check()?;
            // Only what is on record has a new text, and what is on record is UTF-8.
            let inside = path.zip(inner.to_str()).and_then(|(path, inner)| path.child(inner).ok());
            self.entry((&source, &target), &inner, inside.as_ref(), depth)?;
        }
        target.rights_as(&source).context(named)
    }

    fn entry(
        &mut self,
        (from, to): (&Folder, &Folder),
        name: &OsStr,
        path: Option<&RelPath>,
        depth: usize,
    ) -> Result<()> {
        let named = || format!("cannot copy {}", name.display());
        let Some(stat) = from.stat(name).context(named)? else { return Ok(()) };
        match stat.kind {
            Kind::Folder if from.obstacle(name).context(named)? == Some(Obstacle::MountPoint) => {
                Err(Error::request(named()).caused_by("something is mounted there").hint("unmount it, then try again"))
            }
            Kind::Folder => self.folder((from, to), name, path, depth + 1),
            Kind::File => {
                self.made += 1;
                file(from, to, name).context(named)
            }
            Kind::Symlink => {
                self.made += 1;
                let new = path.and_then(|path| self.links.get(path));
                let text = match new {
                    Some(text) => text.into(),
                    None => from.read_link(name).context(named)?,
                };
                to.symlink(text, name).context(named)
            }
            Kind::Special => Err(Error::request(named())
                .caused_by("it is a device, a FIFO or a socket")
                .hint("nothing was changed; move it away, then try again")),
        }
    }
}

fn file(from: &Folder, to: &Folder, name: &OsStr) -> io::Result<()> {
    let mut source = from.read(name)?;
    let mut target = to.create(name, 0o600)?;
    io::copy(&mut source, &mut target)?;
    folder::rights_as(&target, &source)?;
    target.set_modified(source.metadata()?.modified()?)
}
