//! A place of its own for each test: a root, a home, a folder for temporary files, and
//! a tree outside the root that nothing may ever change.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::cost::{self, Bounds, Cost};
use crate::crash::{Act, Call, tracer};
use crate::output::Output;
use crate::package::Package;
use crate::program::program;
use crate::skip::{openat2_can_be_refused, skip};
use crate::snapshot::Snapshot;

/// See the module. When it is dropped after a test that passed, it asserts that the
/// tree outside the root is unchanged and that no temporary file is left.
#[derive(Debug)]
pub struct TestEnvironment {
    place: TempDir,
    /// What the program is run by.
    words: Vec<String>,
    /// What each run may take; anything where nothing stands here.
    bounds: Option<Bounds>,
    measured: AtomicU32,
    outside: Snapshot,
}

impl Default for TestEnvironment {
    fn default() -> Self {
        Self::new()
    }
}

impl TestEnvironment {
    /// A new one.
    pub fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    /// A new one for what somebody made to do harm: each run of it is measured, and has at most 64 MiB of memory
    /// and half a minute.
    pub fn hostile() -> Self {
        let mut environment = Self::new();
        environment.bounds = Some(Bounds::HOSTILE);
        environment
    }

    /// Each run may take so long from now on: where it has to wait for others.
    pub fn allow_time(&mut self, time: Duration) {
        self.bounds = self.bounds.map(|bounds| Bounds { time, ..bounds });
    }

    /// A new one in memory where the machine has such a folder: for sweeps of many runs.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let is_usable = memory.is_dir() && rustix::fs::access(memory, rustix::fs::Access::WRITE_OK).is_ok();
        if is_usable { Self::new_in(memory) } else { Self::new() }
    }

    /// A new one below this folder.
    pub fn new_in(folder: &Path) -> Self {
        let place = tempfile::Builder::new().prefix("packets-test-").tempdir_in(folder).unwrap();
        for folder in ["root", "home", "tmp", "repo", "work"] {
            fs::create_dir(place.path().join(folder)).unwrap();
        }
        let mut environment =
            Self { place, words: Vec::new(), bounds: None, measured: AtomicU32::new(0), outside: Snapshot::default() };
        environment.make_outside();
        environment
    }

    fn make_outside(&mut self) {
        let outside = self.outside();
        fs::create_dir_all(outside.join("folder/below")).unwrap();
        fs::write(outside.join("secret"), "a secret of the machine\n").unwrap();
        fs::set_permissions(outside.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(outside.join("public"), "everyone may read this\n").unwrap();
        fs::write(outside.join("folder/below/file"), "deep\n").unwrap();
        fs::hard_link(outside.join("public"), outside.join("folder/second name")).unwrap();
        symlink("public", outside.join("link")).unwrap();
        self.outside = Snapshot::of(&outside);
    }

    /// Runs a test as the machine is, and again on a kernel that answers openat2 with
    /// ENOSYS (D3): a seccomp filter does exactly this, and other code is in charge then.
    pub fn with_and_without_openat2(test: impl Fn(&Self)) {
        Self::both_ways(Self::new, test);
    }

    /// The same in one that is [hostile](Self::hostile).
    pub fn hostile_with_and_without_openat2(test: impl Fn(&Self)) {
        Self::both_ways(Self::hostile, test);
    }

    fn both_ways(make: fn() -> Self, test: impl Fn(&Self)) {
        test(&make());
        match openat2_can_be_refused() {
            Some(words) => {
                let mut environment = make();
                environment.run_by(words);
                test(&environment);
            }
            None => skip("the run without openat2 needs strace"),
        }
    }

    /// Everything is run by these words from now on.
    pub fn run_by(&mut self, words: Vec<String>) {
        self.words = words;
    }

    /// The folder of all of it.
    pub fn place(&self) -> &Path {
        self.place.path()
    }
    /// The root that packages are installed below.
    pub fn root(&self) -> PathBuf {
        self.place().join("root")
    }
    /// A path below the root.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }
    /// A folder for a repository.
    pub fn repo(&self) -> PathBuf {
        self.place().join("repo")
    }
    /// The folder that the program runs in.
    pub fn work(&self) -> PathBuf {
        self.place().join("work")
    }
    /// The tree outside the root.
    pub fn outside(&self) -> PathBuf {
        self.place().join("outside")
    }

    /// What a file below the root holds.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Writes a file below the root, as an administrator would.
    pub fn put(&self, path: &str, content: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Whether anything stands at a path below the root.
    pub fn exists(&self, path: &str) -> bool {
        self.at(path).symlink_metadata().is_ok()
    }

    /// The program, with an environment of its own, nothing said yet.
    pub fn command(&self) -> Command {
        self.command_by(&self.words)
    }

    pub(crate) fn command_by(&self, words: &[String]) -> Command {
        let program = program();
        let mut command = match words.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.place().join("home"))
            .env("TMPDIR", self.place().join("tmp"))
            .env("LANG", "C.UTF-8")
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program with these arguments, and only these.
    pub fn run_plain(&self, arguments: &[&str]) -> Output {
        if let Some(bounds) = self.bounds {
            let (output, cost) = self.measure(arguments);
            bounds.hold(cost, &output);
            return output;
        }
        let mut command = self.command();
        command.args(arguments);
        let output = command.output().unwrap();
        Output::new(format!("packets {}", arguments.join(" ")), output.status, &output.stdout, &output.stderr)
    }

    /// Runs the program with these arguments, and only these, and says what it took.
    pub fn measure(&self, arguments: &[&str]) -> (Output, Cost) {
        // Outside of all that a run may look at.
        let report = self.place().join(format!("cost-{}", self.measured.fetch_add(1, Ordering::Relaxed)));
        let mut command = self.command_by(&[cost::words(&report), self.words.clone()].concat());
        command.args(arguments);
        cost::measure(command, &report, format!("packets {}", arguments.join(" ")))
    }

    /// Runs the program with these arguments on the root, with `--yes`.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let root = self.root();
        self.run_plain(&[&["--root", root.to_str().unwrap(), "--yes"], arguments].concat())
    }

    /// The same, and says what it took.
    pub fn run_measured(&self, arguments: &[&str]) -> (Output, Cost) {
        let root = self.root();
        self.measure(&[&["--root", root.to_str().unwrap(), "--yes"], arguments].concat())
    }

    /// The same, stopped before each of its calls that matter to a disk: `act` says what happens.
    pub fn run_traced(&self, arguments: &[&str], act: &mut dyn FnMut(&Call) -> Act) -> Output {
        let mut command = self.command_by(&tracer::WAITING.map(str::to_owned));
        command.arg("--root").arg(self.root()).arg("--yes").args(arguments);
        tracer::run(command, format!("packets {}", arguments.join(" ")), act)
    }

    /// Runs the program with these arguments on the root at a terminal of its own, without `--yes`; `typed` is typed
    /// there. What it shows is the output's stdout.
    pub fn run_at_terminal(&self, arguments: &[&str], typed: &str) -> Output {
        let mut command = self.command();
        command.arg("--root").arg(self.root()).args(arguments);
        crate::terminal::run(command, format!("packets {}", arguments.join(" ")), typed)
    }

    /// The same with the test's repository.
    pub fn run_with_repo(&self, arguments: &[&str]) -> Output {
        let repo = self.repo();
        self.run(&[&["--repo", repo.to_str().unwrap()], arguments].concat())
    }

    /// Writes the package into the repository, as a folder.
    pub fn publish(&self, package: &Package) -> PathBuf {
        package.write(&self.repo())
    }

    /// Installs a package from a folder of its own.
    pub fn install(&self, package: &Package) -> Output {
        let folder = package.write(&self.work());
        self.run(&["install", folder.to_str().unwrap()])
    }

    /// Runs an installed program; its stdout.
    #[track_caller]
    pub fn launch(&self, path: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(self.at(path));
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.place().join("home"));
        let output = command.output().unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(output.status.success(), "{path}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The root without the program's own things: what a user would call the system.
    pub fn system(&self) -> Snapshot {
        Snapshot::of(&self.root()).without(&[
            "etc/packets",
            "var/cache/packets",
            "var/lib/packets",
            "opt/packets/.packets",
        ])
    }

    /// The whole root, databases and staging too, but for the note in the lock and the
    /// cache, which may gain verified files.
    pub fn everything(&self) -> Snapshot {
        Snapshot::of(&self.root()).without(&["etc/packets/lock", "var/cache/packets"])
    }

    /// Makes what the first writing command makes, so that snapshots can be compared.
    pub fn prime(&self) {
        self.install(&Package::new("prime", "1")).ok();
        self.run(&["remove", "prime"]).ok();
    }

    /// What the run does must fail with this exit code and change nothing at all below the root.
    #[track_caller]
    pub fn refused(&self, code: i32, run: impl FnOnce() -> Output) -> Output {
        let before = self.everything();
        let output = run();
        let after = self.everything();
        before.assert_same(&after, &format!("a refused run changed the root: {output}"));
        output.fails(code)
    }

    /// The same with any exit code but success.
    #[track_caller]
    pub fn refused_with_any(&self, run: impl FnOnce() -> Output) -> Output {
        let before = self.everything();
        let output = run();
        before.assert_same(&self.everything(), &format!("a refused run changed the root: {output}"));
        assert_ne!(output.code, 0, "{output}");
        output
    }

    /// The names of what is installed.
    #[track_caller]
    pub fn installed(&self) -> Vec<String> {
        let list = self.run(&["list", "--json"]).ok().json();
        let name = |package: &serde_json::Value| package["name"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(name).collect()
    }

    /// The tree outside the root must be as it was made, and no temporary file left.
    #[track_caller]
    pub fn check(&self) {
        self.outside.assert_same(&Snapshot::of(&self.outside()), "the tree outside the root");
        let left = Snapshot::of(&self.place().join("tmp")).paths();
        assert!(left.is_empty(), "temporary files are left: {left:?}");
    }
}

impl Drop for TestEnvironment {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
    }
}
