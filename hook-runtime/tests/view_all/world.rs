//! A small target in a temporary folder, with a tree beside it that must never change.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use packets_hook_runtime::folder::Folder;
use packets_hook_runtime::sandbox::Places;
use packets_hook_runtime::view::{
    HookContext, Overlay, OverlayError, Owners, PrivateStaging, Session, Target, ViewLimits,
};
use packets_plugin_api::hook::{
    Effect, EffectKind, Grant, HookKind, HookReport, OpenMode, StagedView, ViewError, ViewErrorKind,
};
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::StorageError;

/// Runs a test twice: once more in a thread in which openat2 answers ENOSYS.
pub(crate) fn both_ways(test: fn()) {
    test();
    let thread = std::thread::spawn(move || {
        without_openat2();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn without_openat2() {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    const OPENAT2: i64 = 437;
    refuse(OPENAT2, rustix::io::Errno::NOSYS);
    let answer = openat2(CWD, "/", OFlags::PATH, Mode::empty(), ResolveFlags::empty());
    assert_eq!(answer.unwrap_err(), rustix::io::Errno::NOSYS);
}

/// From now on nothing can be opened by openat in this thread.
pub(crate) fn without_handles() {
    const OPENAT: i64 = if cfg!(target_arch = "x86_64") { 257 } else { 56 };
    refuse(OPENAT, rustix::io::Errno::MFILE);
    assert_eq!(std::fs::File::open("/").unwrap_err().raw_os_error(), Some(24));
}

/// From now on a system call answers with this error in this thread.
fn refuse(call: i64, errno: rustix::io::Errno) {
    use seccompiler::{SeccompAction, SeccompFilter};
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let rules = BTreeMap::from([(call, Vec::new())]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno.raw_os_error().cast_unsigned()),
        arch,
    )
    .unwrap();
    let program: seccompiler::BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::from_absolute(text).unwrap()
}

pub(crate) fn name(text: &str) -> PackageName {
    text.parse().unwrap()
}

/// Who has which path on record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record(pub(crate) BTreeMap<RelPath, Vec<PackageName>>);

impl Record {
    pub(crate) fn with(mut self, package: &str, paths: &[&str]) -> Self {
        for text in paths {
            self.0.entry(path(text)).or_default().push(name(package));
        }
        self
    }
}

impl Owners for Record {
    fn owners(&self, path: &RelPath) -> Result<Vec<PackageName>, StorageError> {
        Ok(self.0.get(path).cloned().unwrap_or_default())
    }
}

/// The grant of a hook in these tests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    pub(crate) allow: Vec<&'static str>,
    pub(crate) write: Vec<&'static str>,
    pub(crate) read: Vec<&'static str>,
    pub(crate) replace: Vec<&'static str>,
}

impl Given {
    pub(crate) fn allow(paths: &[&'static str]) -> Self {
        Self { allow: paths.to_vec(), ..Self::default() }
    }

    pub(crate) fn write(paths: &[&'static str]) -> Self {
        Self { write: paths.to_vec(), ..Self::default() }
    }

    fn grant(&self) -> Grant {
        let all = |paths: &[&str]| paths.iter().map(|text| path(text)).collect();
        Grant { allow: all(&self.allow), write: all(&self.write), read: all(&self.read), replace: all(&self.replace) }
    }
}

pub(crate) struct World {
    home: tempfile::TempDir,
    pub(crate) relocated: bool,
    pub(crate) limits: ViewLimits,
    pub(crate) record: Record,
    pub(crate) may_replace: Vec<PackageName>,
    before: Snapshot,
}

impl World {
    pub(crate) fn new() -> Self {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        for folder in [
            "usr/bin",
            "usr/lib",
            "usr/share/hello",
            "usr/share/doc/bash",
            "usr/share/dbus-1",
            "etc/packets",
            "etc/nginx",
            "opt/packets/other/data",
            "opt/packets/hello/data",
            "var/lib/packets",
            "var/cache/packets",
            "root/.ssh",
            "proc",
            "dev",
            "srv/web",
            "private/inner",
        ] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for (file, text, mode) in [
            ("usr/bin/bash", "the shell", 0o755),
            ("usr/bin/su", "setuid", 0o4755),
            ("usr/share/hello/text", "hello", 0o644),
            ("usr/share/doc/bash/README", "read me", 0o644),
            ("etc/passwd", "root:x:0:0", 0o644),
            ("etc/shadow", "root:secret", 0o600),
            ("etc/packets/config.toml", "config", 0o644),
            ("etc/nginx/nginx.conf", "workers 1", 0o644),
            ("opt/packets/other/data/x", "other", 0o644),
            ("opt/packets/hello/manifest.toml", "[Info]", 0o644),
            ("opt/packets/hello/install.lua", "print()", 0o644),
            ("opt/packets/hello/data/hello", "binary", 0o755),
            ("root/.ssh/id", "key", 0o600),
            ("srv/web/closed", "closed", 0o600),
            ("private/inner/x", "x", 0o644),
        ] {
            std::fs::write(root.join(file), text).unwrap();
            set_mode(&root.join(file), mode);
        }
        set_mode(&root.join("private"), 0o700);
        symlink("usr/bin", root.join("bin")).unwrap();
        symlink("usr/lib", root.join("lib")).unwrap();
        for folder in ["outside/in", "staging"] {
            std::fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        std::fs::write(home.path().join("outside/secret"), "outside").unwrap();
        std::fs::write(home.path().join("outside/in/deep"), "deep").unwrap();
        let mut world = Self {
            home,
            relocated: false,
            limits: ViewLimits::default(),
            record: Record::default(),
            may_replace: Vec::new(),
            before: Snapshot::default(),
        };
        world.settle();
        world
    }

    /// What stands now is what must stand in the end.
    pub(crate) fn settle(&mut self) {
        self.before = self.snapshot();
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.home.path().join("root")
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.home.path().join("outside")
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    pub(crate) fn staged(&self) -> usize {
        std::fs::read_dir(self.home.path().join("staging")).unwrap().count()
    }

    pub(crate) fn staged_file(&self, name: &str) -> PathBuf {
        self.home.path().join("staging").join(name)
    }

    pub(crate) fn folder(&self, name: &str) -> Folder {
        Folder::open_ambient(&self.home.path().join(name)).unwrap()
    }

    pub(crate) fn places() -> Places {
        Places {
            config: path("/etc/packets"),
            state: path("/var/lib/packets"),
            cache: path("/var/cache/packets"),
            plugins: path("/usr/lib/packets/plugins"),
            packages: vec![path("/opt/packets")],
            program: Some(path("/usr/bin/packets")),
        }
    }

    /// A new overlay, with an empty staging folder.
    pub(crate) fn overlay(&self) -> Overlay {
        for entry in std::fs::read_dir(self.home.path().join("staging")).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let target = Target {
            root: self.folder("root"),
            relocated: self.relocated,
            trusted_uid: rustix::process::geteuid().as_raw(),
            root_owner_is_caller: true,
        };
        Overlay::new(target, Self::places(), Box::new(PrivateStaging::new(self.folder("staging"))))
    }

    pub(crate) fn context<'a>(&'a self, package: &str, kind: HookKind, given: &Given) -> HookContext<'a> {
        HookContext {
            package: name(package),
            kind,
            folder: path(&format!("/opt/packets/{package}")),
            readable: vec![path("/manifest.toml"), path("/install.lua")],
            // It lives as long as the test.
            grant: Box::leak(Box::new(given.grant())),
            may_replace: self.may_replace.clone(),
            owners: &self.record,
            limits: self.limits,
        }
    }

    pub(crate) fn begin<'a>(&'a self, overlay: &'a mut Overlay, package: &str, given: &Given) -> Session<'a> {
        overlay.begin(self.context(package, HookKind::Install, given)).unwrap()
    }

    /// One hook of `hello` in an overlay of its own.
    pub(crate) fn hook<R>(&self, given: &Given, work: impl FnOnce(&mut Session<'_>) -> R) -> (R, HookReport) {
        let mut overlay = self.overlay();
        let mut session = self.begin(&mut overlay, "hello", given);
        let result = work(&mut session);
        let report = session.finish().unwrap();
        (result, report)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for part in ["root", "outside"] {
            snapshot.add(&self.home.path().join(part));
        }
        snapshot
    }

    /// Nothing but the staging folder has changed.
    pub(crate) fn check(&self) {
        assert_eq!(self.before, self.snapshot(), "something outside the staging folder has changed");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What stands in a tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, Row>);

#[derive(Debug, PartialEq, Eq)]
struct Row {
    mode: u32,
    owner: u32,
    names: u64,
    size: u64,
    changed: i64,
    content: Vec<u8>,
    attributes: Vec<u8>,
}

impl Snapshot {
    fn add(&mut self, path: &Path) {
        let meta = std::fs::symlink_metadata(path).unwrap();
        let content = if meta.is_symlink() {
            std::fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()
        } else if meta.is_file() {
            std::fs::read(path).unwrap()
        } else {
            Vec::new()
        };
        let mut attributes = vec![0; 4096];
        let length = rustix::fs::llistxattr(path, attributes.as_mut_slice()).unwrap_or(0);
        attributes.truncate(length);
        let changed = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
        let (mode, owner, names, size) = (meta.mode(), meta.uid(), meta.nlink(), meta.size());
        let row = Row { mode, owner, names, size, changed, content, attributes };
        self.0.insert(path.to_owned(), row);
        if meta.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                self.add(&entry.unwrap().path());
            }
        }
    }
}

/// What a test asks of a session, in one call.
pub(crate) trait Work: StagedView {
    fn get(&mut self, path: &str) -> Result<String, ViewError> {
        let file = self.open(path, OpenMode::Read)?;
        let mut text = Vec::new();
        let mut buffer = [0; 7];
        loop {
            let count = self.read(file, &mut buffer)?;
            if count == 0 {
                break;
            }
            text.extend_from_slice(&buffer[..count]);
        }
        self.close(file)?;
        Ok(String::from_utf8(text).unwrap())
    }

    fn put(&mut self, path: &str, text: &str) -> Result<(), ViewError> {
        let file = self.open(path, OpenMode::Write)?;
        self.write(file, text.as_bytes())?;
        self.close(file)
    }
}

impl Work for Session<'_> {}

/// The kind of the error; a panic where there is none.
pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T, ViewError>) -> ViewErrorKind {
    result.unwrap_err().kind
}

#[track_caller]
pub(crate) fn denied<T: std::fmt::Debug>(result: Result<T, ViewError>) {
    let error = result.expect_err("it was not denied");
    assert_eq!(error.kind, ViewErrorKind::Denied, "{}", error.message);
    assert!(error.message.starts_with("[packets] unsafe filepath: \""), "{}", error.message);
}

/// The effects as short lines: `usr/bin/x -> text`, `usr/x/`, `usr/y 644 5`, `usr/z -`.
pub(crate) fn lines(effects: &[Effect]) -> Vec<String> {
    let line = |effect: &Effect| {
        let mark = if effect.displaces { " displaces" } else { "" };
        let text = match &effect.becomes {
            EffectKind::Absent => " -".to_owned(),
            EffectKind::Folder { mode } => format!("/ {mode:o}"),
            EffectKind::Symlink { stored, .. } => format!(" -> {stored}"),
            EffectKind::File { mode, size, .. } => format!(" {mode:o} {size}"),
        };
        format!("{}{text}{mark}", effect.path)
    };
    effects.iter().map(line).collect()
}

pub(crate) fn changes(overlay: &Overlay) -> Result<Vec<String>, OverlayError> {
    Ok(overlay.changes()?.iter().map(|change| format!("{} {:?}", change.path, change.by)).collect())
}
