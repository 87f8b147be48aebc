//! What v1 installed: it recorded no files, so the disk tells.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use packets_hook_runtime::folder::{Folder, Kind};
use packets_hook_runtime::limits;
use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{Adopted, Adopter, FileKind, FileRecord, MadeBy, StorageError, StorageErrorKind};

use crate::digest;
use crate::error::{Context, Error, Result};
use crate::given;
use crate::manifest::{self, Manifest};
use crate::target::{Target, is_no_folder};

/// What stands for a package's name in a line of the config's `allow`.
const NAME: &str = "${name}";

/// Finds what belongs to packages of v1.
pub(crate) struct Version1<'a> {
    target: &'a Target,
    data: Vec<RelPath>,
    allow: &'a [String],
    bin_dir: &'a RelPath,
    outside: OnceCell<Vec<Outside>>,
}

/// Something in a folder that hooks may write to.
struct Outside {
    path: RelPath,
    mode: u32,
    kind: OutsideKind,
}

enum OutsideKind {
    Link(String),
    File { size: u64 },
}

impl<'a> Version1<'a> {
    /// For packages in the first of the `data` folders that has them, whose hooks wrote to
    /// the folders of the config's `allow`.
    pub(crate) fn new(target: &'a Target, data: Vec<RelPath>, allow: &'a [String], bin_dir: &'a RelPath) -> Self {
        Self { target, data, allow, bin_dir, outside: OnceCell::new() }
    }

    fn find(&self, name: &PackageName) -> Result<Adopted> {
        for data in &self.data {
            let folder = data.child(name.as_str())?;
            // No link is followed here: what it leads to is not the package's to be removed.
            match self.target.root().walk(&folder) {
                Err(error) if is_no_folder(&error) => {}
                opened => {
                    return self.found(name, opened.context(|| format!("cannot open {}", folder.absolute()))?, folder);
                }
            }
        }
        let folder = self.data.first().cloned().unwrap_or_default().child(name.as_str())?;
        Ok(Adopted { folder, description: String::new(), files: Vec::new() })
    }

    fn found(&self, name: &PackageName, opened: Folder, folder: RelPath) -> Result<Adopted> {
        let mut files = Vec::new();
        walk(&opened, &folder, 0, &mut |found| {
            files.push(found.record(MadeBy::Data)?);
            Ok(())
        })?;
        let hooks = self.made_by_hooks(name, &folder, &files)?;
        files.extend(hooks);
        Ok(Adopted { description: description(&opened), folder, files })
    }

    /// Links into the package's folder, and files with the bytes of one of its data files.
    fn made_by_hooks(&self, name: &PackageName, folder: &RelPath, files: &[FileRecord]) -> Result<Vec<FileRecord>> {
        let mut by_size: HashMap<u64, HashSet<Digest>> = HashMap::new();
        for file in files {
            if let FileKind::File { size, sha256, .. } = &file.kind
                && *size > 0
            {
                by_size.entry(*size).or_default().insert(*sha256);
            }
        }
        let mut made = Vec::new();
        for outside in self.shared()?.iter().chain(&self.own(name)?) {
            let kind = match &outside.kind {
                OutsideKind::Link(text) if points_into(text, &outside.path, folder) => {
                    FileKind::Symlink { asked: text.clone(), stored: text.clone() }
                }
                OutsideKind::File { size } if by_size.contains_key(size) => {
                    let sha256 = self.hash(&outside.path)?;
                    if !by_size[size].contains(&sha256) {
                        continue;
                    }
                    FileKind::File { mode: outside.mode, size: *size, sha256 }
                }
                _ => continue,
            };
            made.push(FileRecord { path: outside.path.clone(), made_by: MadeBy::Hook, kind, displaced: None });
        }
        Ok(made)
    }

    fn hash(&self, path: &RelPath) -> Result<Digest> {
        let named = || format!("cannot read {}", path.absolute());
        let folder = self.target.root().walk(&path.parent().unwrap_or_default()).context(named)?;
        digest::of(folder.read(path.file_name().unwrap_or_default()).context(named)?).context(named)
    }

    /// All that stands in the folders that every package may use, looked through once.
    fn shared(&self) -> Result<&[Outside]> {
        if let Some(found) = self.outside.get() {
            return Ok(found);
        }
        let found = self.look_through(|line| (!line.contains(NAME)).then(|| line.to_owned()))?;
        Ok(self.outside.get_or_init(|| found))
    }

    /// All that stands in the folders that bear the package's name.
    fn own(&self, name: &PackageName) -> Result<Vec<Outside>> {
        self.look_through(|line| line.contains(NAME).then(|| line.replace(NAME, name.as_str())))
    }

    fn look_through(&self, pick: impl Fn(&str) -> Option<String>) -> Result<Vec<Outside>> {
        let mut all = Vec::new();
        for line in self.allow.iter().filter_map(|line| pick(line)) {
            let Ok(folder) = RelPath::from_absolute(&line.replace("${binDir}", &self.bin_dir.absolute())) else {
                continue;
            };
            let Some(place) = self.target.enter(&folder)? else { continue };
            walk(&place.folder, &place.path, 0, &mut |found| {
                all.extend(found.outside()?);
                Ok(())
            })?;
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all.dedup_by(|a, b| a.path == b.path);
        Ok(all)
    }
}

impl Adopter for Version1<'_> {
    fn adopt(&self, name: &PackageName) -> Result<Adopted, StorageError> {
        self.find(name).map_err(|error: Error| {
            StorageError::new(StorageErrorKind::Io, format!("cannot adopt {name}, which v1 installed")).because(error)
        })
    }
}

struct Found<'a> {
    folder: &'a Folder,
    name: &'a str,
    path: RelPath,
    kind: Kind,
    mode: u32,
    size: u64,
}

impl Found<'_> {
    fn outside(&self) -> Result<Option<Outside>> {
        let kind = match self.kind {
            Kind::Symlink => {
                let named = || format!("cannot read {}", self.path.absolute());
                OutsideKind::Link(self.folder.read_link(self.name).context(named)?.to_string_lossy().into_owned())
            }
            Kind::File => OutsideKind::File { size: self.size },
            _ => return Ok(None),
        };
        Ok(Some(Outside { path: self.path.clone(), mode: self.mode, kind }))
    }

    fn record(&self, made_by: MadeBy) -> Result<FileRecord> {
        let named = || format!("cannot read {}", self.path.absolute());
        let kind = match self.kind {
            Kind::Folder => FileKind::Folder { mode: self.mode & 0o755 },
            Kind::Symlink => {
                let text = self.folder.read_link(self.name).context(named)?.to_string_lossy().into_owned();
                FileKind::Symlink { asked: text.clone(), stored: text }
            }
            _ => {
                let sha256 = digest::of(self.folder.read(self.name).context(named)?).context(named)?;
                FileKind::File { mode: self.mode & 0o755, size: self.size, sha256 }
            }
        };
        Ok(FileRecord { path: self.path.clone(), made_by, kind, displaced: None })
    }
}

fn walk(folder: &Folder, path: &RelPath, depth: usize, each: &mut dyn FnMut(&Found<'_>) -> Result<()>) -> Result<()> {
    let named = || format!("cannot look through {}", path.absolute());
    if depth > limits::DEPTH {
        return Err(Error::storage(named()).caused_by("its folders are nested too deeply"));
    }
    for name in folder.list().context(named)? {
        // What has no UTF-8 name was not made by v1, whose databases hold text.
        let Some(name) = name.to_str() else { continue };
        let (Ok(here), Some(stat)) = (path.child(name), folder.stat(name).context(named)?) else { continue };
        if stat.kind == Kind::Special {
            continue;
        }
        each(&Found { folder, name, path: here.clone(), kind: stat.kind, mode: stat.mode, size: stat.size })?;
        if stat.kind == Kind::Folder {
            walk(&folder.open(name).context(named)?, &here, depth + 1, each)?;
        }
    }
    Ok(())
}

/// Whether the text of a link at `at` names something in `folder`.
fn points_into(text: &str, at: &RelPath, folder: &RelPath) -> bool {
    let mut parts: Vec<&str> = if text.starts_with('/') { Vec::new() } else { at.components().collect() };
    if !text.starts_with('/') {
        parts.pop();
    }
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/").parse::<RelPath>().is_ok_and(|path| path.starts_with(folder) && path != *folder)
}

fn description(folder: &Folder) -> String {
    let text = folder.read("manifest.toml").and_then(|file| given::text_of(file, manifest::MAX_SIZE as u64));
    text.ok()
        .and_then(|text| Manifest::parse(text.as_bytes()).ok())
        .map(|(manifest, _)| manifest.info.description)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_v1_left() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        for folder in ["opt/packets/jq/data/bin", "usr/bin", "usr/share/doc", "usr/share/jq"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::write(root.join("opt/packets/jq/data/bin/jq"), "program").unwrap();
        std::fs::write(root.join("usr/bin/copied"), "program").unwrap();
        std::fs::write(root.join("usr/bin/foreign"), "another").unwrap();
        std::fs::write(root.join("usr/share/jq/copied"), "program").unwrap();
        std::os::unix::fs::symlink("/opt/packets/jq/data/bin/jq", root.join("usr/bin/jq")).unwrap();
        std::os::unix::fs::symlink("../../opt/packets/jq/data/bin/jq", root.join("usr/bin/jq2")).unwrap();
        std::os::unix::fs::symlink("/opt/packets/jqother/x", root.join("usr/bin/other")).unwrap();
        let target = Target::open(Some(root), false).unwrap();
        let data = ["srv/packets", "opt/packets"].map(|path| path.parse().unwrap()).into();
        let allow = ["${binDir}", "/usr/share/${name}", "/usr/share/doc"].map(str::to_owned);
        let bin_dir = "usr/bin".parse().unwrap();
        let version1 = Version1::new(&target, data, &allow, &bin_dir);
        let adopted = version1.adopt(&"jq".parse().unwrap()).unwrap();
        let hooks: Vec<String> =
            adopted.files.iter().filter(|file| file.made_by == MadeBy::Hook).map(|file| file.path.absolute()).collect();
        assert_eq!(hooks, ["/usr/bin/copied", "/usr/bin/jq", "/usr/bin/jq2", "/usr/share/jq/copied"]);
        assert_eq!(adopted.files.len(), 7);
    }
}
