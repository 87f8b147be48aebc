//! C37: random commands and crashes against a model in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use packets_tests::crash::{Act, Kind, Points, can_trace, leftovers, say};
use packets_tests::{Package, Snapshot, TestEnvironment, skip};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What is installed: release by name.
type Installed = BTreeMap<&'static str, u64>;

#[derive(Debug, Clone)]
enum Action {
    Install(usize, u64),
    Upgrade(usize),
    Remove(usize),
    Undo,
    /// The next command is killed before so manyth of its changes.
    Crash(usize),
    /// What a crash left is dealt with now; else the next command does.
    Recover,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        4 => (0..NAMES.len(), 1..4_u64).prop_map(|(name, release)| Action::Install(name, release)),
        3 => (0..NAMES.len()).prop_map(Action::Upgrade),
        3 => (0..NAMES.len()).prop_map(Action::Remove),
        3 => Just(Action::Undo),
        5 => (1..220_usize).prop_map(Action::Crash),
        2 => Just(Action::Recover),
    ];
    prop::collection::vec(action, 6..20)
}

/// Packages share folders that their hooks make, and change with each release what is in them.
fn package(name: &str, release: u64) -> Package {
    let hook = format!(
        "assert(os.mkdir('/usr/share/doc/shared/{release}', 493))
         local function write(path, text) local f = assert(io.open(path, 'w')) f:write(text) f:close() end
         write('/usr/share/doc/shared/{name}', '{name} {release}')
         write('/usr/share/doc/shared/{release}/{name}', '{name}')
         assert(os.symlink('/usr/share/doc/shared/{name}', path_join(packets_bin_dir, '{name}-{release}')))
         assert(os.symlink(path_join(data_dir, 'name'), path_join(packets_bin_dir, '{name}')))"
    );
    Package::new(name, &release.to_string())
        .family(&format!("family of {name}"), release)
        .data(&format!("only/{release}"), "x")
        .data("all", &"all ".repeat(release as usize))
        .install(&hook)
}

/// What stands on a root with these packages, as kind, mode and content by path; folders of
/// the administrator's are not among it.
fn expected(installed: &Installed) -> BTreeMap<String, (&'static str, u32, String)> {
    let mut all = BTreeMap::new();
    let mut put = |path: String, kind, mode, content: &str| {
        let content = if kind == "file" { packets_tests::hash(content.as_bytes()) } else { content.to_owned() };
        all.insert(path, (kind, mode, content));
    };
    for (name, release) in installed {
        let package = package(name, *release);
        for entry in package.entries() {
            let path = format!("opt/packets/{name}/{}", String::from_utf8(entry.name.clone()).unwrap());
            match entry.kind {
                b'5' => put(path.trim_end_matches('/').to_owned(), "folder", 0o755, ""),
                _ => put(path, "file", entry.mode, std::str::from_utf8(&entry.content).unwrap()),
            }
        }
        put(format!("opt/packets/{name}"), "folder", 0o755, "");
        for folder in ["usr", "usr/bin", "usr/share", "usr/share/doc", "usr/share/doc/shared"] {
            put(folder.to_owned(), "folder", 0o755, "");
        }
        let doc = "usr/share/doc/shared";
        put(format!("{doc}/{name}"), "file", 0o644, &format!("{name} {release}"));
        put(format!("{doc}/{release}"), "folder", 0o755, "");
        put(format!("{doc}/{release}/{name}"), "file", 0o644, name);
        put(format!("usr/bin/{name}-{release}"), "link", 0o777, &format!("../../usr/share/doc/shared/{name}"));
        put(format!("usr/bin/{name}"), "link", 0o777, &format!("../../opt/packets/{name}/data/name"));
    }
    all
}

fn seen(environment: &TestEnvironment) -> BTreeMap<String, (&'static str, u32, String)> {
    let of = |folder: &str| {
        let all = Snapshot::of(&environment.at(folder)).0.into_iter();
        let folder = folder.to_owned();
        all.map(move |(path, standing)| {
            let path = Path::new(&folder).join(path.strip_prefix(".").unwrap()).display().to_string();
            (path.trim_end_matches('/').to_owned(), (standing.kind, standing.mode, standing.content))
        })
    };
    of("opt/packets")
        .chain(of("usr"))
        .filter(|(path, _)| path != "opt/packets" && !path.starts_with("opt/packets/.packets"))
        .collect()
}

/// A model of one root.
struct Model {
    environment: TestEnvironment,
    installed: Installed,
    /// The states to which undo goes back, the newest last: a transaction that stands, what was before it.
    before: Vec<Installed>,
    /// The next command is killed there.
    kill: Option<usize>,
    /// A command was killed: what it would have made, and the undo states then.
    pending: Option<(Installed, Vec<Installed>)>,
    crashes: usize,
    /// Transactions of the preparation.
    prepared: usize,
}

impl Model {
    fn new() -> Self {
        let environment = TestEnvironment::in_memory();
        environment.prime();
        let config = environment.read("etc/packets/config.toml");
        assert!(config.contains("\nkeep = 10\n"), "{config}");
        environment.put("etc/packets/config.toml", &config.replace("\nkeep = 10\n", "\nkeep = 100\n"));
        for name in NAMES {
            for release in 1..4 {
                package(name, release).write(&environment.work().join(release.to_string()));
            }
        }
        let mut model = Self {
            environment,
            installed: Installed::new(),
            before: Vec::new(),
            kill: None,
            pending: None,
            crashes: 0,
            prepared: 0,
        };
        model.prepared = model.standing();
        assert_eq!(model.look(), Ok(()));
        model
    }

    fn act(&mut self, action: &Action) -> Result<(), TestCaseError> {
        let folder = |name: usize, release: u64| {
            self.environment.work().join(release.to_string()).join(NAMES[name]).display().to_string()
        };
        match *action {
            Action::Crash(point) => self.kill = Some(point),
            Action::Recover => {
                self.environment.run(&["recover", "--no-wait"]).ok();
                self.settle()?;
            }
            Action::Install(name, release) => {
                let path = folder(name, release);
                self.command(&["install", &path], |installed| installed.insert(NAMES[name], release) != Some(release))?;
            }
            Action::Upgrade(name) => {
                let repo = self.environment.work().join("3").display().to_string();
                self.command(&["--repo", &repo, "upgrade", NAMES[name]], |installed| {
                    installed.get_mut(NAMES[name]).is_some_and(|release| std::mem::replace(release, 3) != 3)
                })?;
            }
            Action::Remove(name) => {
                self.command(&["remove", NAMES[name]], |installed| installed.remove(NAMES[name]).is_some())?;
            }
            Action::Undo => self.undo()?,
        }
        Ok(())
    }

    /// Runs a command that makes of `installed` what `change` does, or nothing where that is false.
    fn command(
        &mut self,
        arguments: &[&str],
        change: impl FnOnce(&mut Installed) -> bool,
    ) -> Result<(), TestCaseError> {
        self.recover_first()?;
        let mut next = self.installed.clone();
        let changes = change(&mut next);
        let mut before = self.before.clone();
        if changes {
            before.push(self.installed.clone());
        }
        self.run(arguments, next, before, changes)
    }

    fn undo(&mut self) -> Result<(), TestCaseError> {
        self.recover_first()?;
        let mut before = self.before.clone();
        let Some(next) = before.pop() else { return Ok(()) };
        self.run(&["undo"], next, before, true)
    }

    /// Which of both ends a pending transaction comes to is decided by the root; a command
    /// would do it too, but what that changes depends on it.
    fn recover_first(&mut self) -> Result<(), TestCaseError> {
        if self.pending.is_some() {
            self.environment.run(&["remove", "nothing-of-this-name", "--no-wait"]);
            self.environment.run(&["recover", "--no-wait"]).ok();
        }
        self.settle()
    }

    fn run(
        &mut self,
        arguments: &[&str],
        next: Installed,
        before: Vec<Installed>,
        changes: bool,
    ) -> Result<(), TestCaseError> {
        let Some(point) = self.kill.take() else {
            let output = self.environment.run(arguments);
            if changes && output.code != 0 {
                return Err(TestCaseError::fail(format!("it should work: {output}")));
            }
            (self.installed, self.before) = (next, before);
            return self.look().map_err(TestCaseError::fail);
        };
        let mut seen = 0;
        let output = self.environment.run_traced(arguments, &mut |call| {
            seen += usize::from(call.kind != Kind::Looks);
            if seen == point { Act::Kill } else { Act::Go }
        });
        if output.code == 137 {
            self.crashes += 1;
            self.pending = Some((next, before));
        } else {
            (self.installed, self.before) = (next, before);
        }
        Ok(())
    }

    /// After a recovery: old or new, and the model follows.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        if let Some((next, before)) = self.pending.take() {
            let list = self.environment.installed();
            let as_list = |installed: &Installed| installed.keys().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            let is_new = seen(&self.environment) == expected(&next) && list == as_list(&next);
            // Where both look alike (an install of what is there), the history tells.
            if is_new && (next != self.installed || self.standing() == self.prepared + before.len()) {
                (self.installed, self.before) = (next, before);
            }
        }
        self.look().map_err(TestCaseError::fail)
    }

    /// Transactions that stand and are no undo.
    fn standing(&self) -> usize {
        let history = self.environment.run(&["history", "--json"]).ok().json();
        let stands = |one: &&serde_json::Value| one["undoes"].is_null() && one["undone_by"].is_null();
        history.as_array().unwrap().iter().filter(stands).count()
    }

    /// The root is what the model says.
    fn look(&self) -> Result<(), String> {
        let (seen, expected) = (seen(&self.environment), expected(&self.installed));
        if seen != expected {
            let missing: Vec<_> =
                expected.iter().filter(|(path, standing)| seen.get(*path) != Some(standing)).collect();
            let more: Vec<_> = seen.iter().filter(|(path, standing)| expected.get(*path) != Some(standing)).collect();
            return Err(format!("{:?} is installed; missing {missing:#?}; instead {more:#?}", self.installed));
        }
        let list = self.environment.run(&["list", "--json"]).ok().json();
        let rows = list
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["name"].as_str().unwrap(), one["version"].as_str().unwrap()));
        let versions: Vec<(&str, String)> =
            self.installed.iter().map(|(name, release)| (*name, release.to_string())).collect();
        let rows: Vec<(&str, String)> = rows.map(|(name, version)| (name, version.to_owned())).collect();
        if rows != versions {
            return Err(format!("the record has {rows:?}, not {versions:?}"));
        }
        let history = self.environment.run(&["history", "--json"]).ok().json();
        let ids = history.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        let left = leftovers(&self.environment.root(), &ids);
        if left.is_empty() { Ok(()) } else { Err(format!("left over: {left:?}")) }
    }
}

/// The seed of the short form; printed, so that a failure can be repeated.
const SEED: [u8; 32] = *b"packets: the same in every run!!";

#[test]
fn c37_random_commands_and_crashes() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let cases = match Points::wanted(0) {
        Points::All => 1000,
        Points::Every(_) => 200,
        Points::Sample(_) => 40,
    };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    let (mut steps, mut crashes) = (0, 0);
    let counted = std::cell::RefCell::new((&mut steps, &mut crashes));
    let result = runner.run(&actions(), |actions| {
        let mut model = Model::new();
        for action in &actions {
            model.act(action)?;
        }
        model.act(&Action::Recover)?;
        let mut counted = counted.borrow_mut();
        *counted.0 += actions.len();
        *counted.1 += model.crashes;
        Ok(())
    });
    let seed = String::from_utf8_lossy(&SEED).into_owned();
    say(&format!(
        "model: {cases} cases, {steps} actions, {crashes} crashes, seed {seed:?}, {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    result.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(crashes > 0, "nothing was killed");
}
