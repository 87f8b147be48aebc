//! Packages, written as folders and as archives.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::bytes::{Entry, tar_of, zstd_of};

/// A package in the making.
#[derive(Debug, Clone)]
pub struct Package {
    name: String,
    version: String,
    info: Vec<String>,
    hooks: BTreeMap<&'static str, (String, String)>,
    permissions: Vec<String>,
    files: BTreeMap<String, (Vec<u8>, u32)>,
    links: BTreeMap<String, String>,
    manifest: Option<String>,
}

impl Package {
    /// A package of this name and version, with one file `data/name`.
    pub fn new(name: &str, version: &str) -> Self {
        let mut package = Self {
            name: name.to_owned(),
            version: version.to_owned(),
            info: vec![format!("description = \"The package {name}.\"")],
            hooks: BTreeMap::new(),
            permissions: Vec::new(),
            files: BTreeMap::new(),
            links: BTreeMap::new(),
            manifest: None,
        };
        package = package.data("name", &format!("{name} {version}\n"));
        package
    }

    /// A package with a program of its name that its hook links, and a remove hook that takes the link away.
    pub fn program(name: &str, version: &str) -> Self {
        Self::new(name, version)
            .executable(name, &format!("#!/bin/sh\necho {name} {version}\n"))
            .install(&format!(
                "assert(os.symlink(path_join(data_dir, '{name}'), path_join(packets_bin_dir, '{name}')))"
            ))
            .remove(&format!("os.remove(path_join(packets_bin_dir, '{name}'))"))
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A further line of `[Info]`; one of the same key is replaced.
    #[must_use]
    pub fn info(mut self, line: &str) -> Self {
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        self.info.retain(|old| key(old) != key(line));
        self.info.push(line.to_owned());
        self
    }

    /// Its family and the serial in it.
    #[must_use]
    pub fn family(self, family: &str, serial: u64) -> Self {
        self.info(&format!("family = \"{family}\"")).info(&format!("serial = {serial}"))
    }

    /// What it needs.
    #[must_use]
    pub fn needs(self, names: &[&str]) -> Self {
        self.info(&format!("dependencies = {names:?}"))
    }

    /// A file below `data/`.
    #[must_use]
    pub fn data(self, path: &str, content: &str) -> Self {
        self.bytes(path, content.as_bytes())
    }

    /// A file below `data/` of any bytes.
    #[must_use]
    pub fn bytes(mut self, path: &str, content: &[u8]) -> Self {
        self.files.insert(format!("data/{path}"), (content.to_owned(), 0o644));
        self
    }

    /// A program below `data/`.
    #[must_use]
    pub fn executable(mut self, path: &str, script: &str) -> Self {
        self.files.insert(format!("data/{path}"), (script.as_bytes().to_owned(), 0o755));
        self
    }

    /// A program of any bytes below `data/`.
    #[must_use]
    pub fn program_bytes(mut self, path: &str, content: &[u8]) -> Self {
        self.files.insert(format!("data/{path}"), (content.to_owned(), 0o755));
        self
    }

    /// A symbolic link below `data/`.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.links.insert(format!("data/{path}"), target.to_owned());
        self
    }

    /// Its install hook.
    #[must_use]
    pub fn install(self, script: &str) -> Self {
        self.hook("install", "install.lua", script)
    }

    /// Its remove hook.
    #[must_use]
    pub fn remove(self, script: &str) -> Self {
        self.hook("remove", "remove.lua", script)
    }

    /// A hook (`install` or `remove`) in a file of this name.
    #[must_use]
    pub fn hook(mut self, kind: &'static str, file: &str, script: &str) -> Self {
        self.hooks.insert(kind, (file.to_owned(), script.to_owned()));
        self
    }

    /// A line of `[Permissions]`.
    #[must_use]
    pub fn permission(mut self, line: &str) -> Self {
        self.permissions.push(line.to_owned());
        self
    }

    /// Another manifest than the one that all this makes.
    #[must_use]
    pub fn manifest_text(mut self, text: &str) -> Self {
        self.manifest = Some(text.to_owned());
        self
    }

    /// Its manifest.toml.
    pub fn manifest(&self) -> String {
        if let Some(text) = &self.manifest {
            return text.clone();
        }
        let mut text =
            format!("[Info]\nname = \"{}\"\nversion = \"{}\"\n{}\n", self.name, self.version, self.info.join("\n"));
        if !self.hooks.is_empty() {
            text.push_str("\n[Hooks]\n");
            for (kind, (file, _)) in &self.hooks {
                text.push_str(&format!("{kind} = \"{file}\"\n"));
            }
        }
        if !self.permissions.is_empty() {
            text.push_str(&format!("\n[Permissions]\n{}\n", self.permissions.join("\n")));
        }
        text
    }

    fn all_files(&self) -> BTreeMap<String, (Vec<u8>, u32)> {
        let mut files = self.files.clone();
        files.insert("manifest.toml".to_owned(), (self.manifest().into_bytes(), 0o644));
        for (file, script) in self.hooks.values() {
            files.insert(file.clone(), (script.clone().into_bytes(), 0o644));
        }
        files
    }

    /// Writes it as the folder `place/NAME`, in the place of what was there; returns that.
    pub fn write(&self, place: &Path) -> PathBuf {
        let folder = place.join(&self.name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("data")).unwrap();
        for (name, (content, mode)) in self.all_files() {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        for (name, target) in &self.links {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        }
        folder
    }

    /// Its entries in an archive, folders before what is in them.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        entries.insert("data".to_owned(), Entry::folder("data/"));
        for (name, (content, mode)) in self.all_files() {
            let mut parent = Path::new(&name).parent();
            while let Some(folder) = parent.filter(|folder| !folder.as_os_str().is_empty()) {
                entries.insert(folder.display().to_string(), Entry::folder(&format!("{}/", folder.display())));
                parent = folder.parent();
            }
            let mut entry = Entry::file(&name, "").mode(mode);
            entry.content = content;
            entries.insert(name, entry);
        }
        for (name, target) in &self.links {
            entries.insert(name.clone(), Entry::symlink(name, target));
        }
        entries.into_values().collect()
    }

    /// Its archive with further entries behind its own.
    pub fn archive_with(&self, more: &[Entry]) -> Vec<u8> {
        let mut entries = self.entries();
        entries.extend_from_slice(more);
        zstd_of(&tar_of(&entries))
    }

    /// Writes its package file into a folder; returns its path.
    pub fn file(&self, place: &Path) -> PathBuf {
        fs::create_dir_all(place).unwrap();
        let path = place.join(format!("{}-{}.pkt.tar.zst", self.name, self.version));
        fs::write(&path, self.archive_with(&[])).unwrap();
        path
    }
}
