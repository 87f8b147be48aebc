//! Every command: its help, its examples, and the reference that is made of them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use packets_tests::{Output, Package, Server, TestEnvironment, program, workspace};

/// All commands, each by its words: `[]` is the program itself.
fn commands(environment: &TestEnvironment, words: &[&str], found: &mut Vec<Vec<String>>) {
    found.push(words.iter().map(|word| (*word).to_owned()).collect());
    let help = help(environment, words);
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for line in below.filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let word = line.split_whitespace().next().unwrap();
        if word != "help" {
            commands(environment, &[words, &[word]].concat(), found);
        }
    }
}

fn help(environment: &TestEnvironment, words: &[&str]) -> String {
    environment.run_plain(&[words, &["--help"]].concat()).ok().stdout
}

pub(super) fn all(environment: &TestEnvironment) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    commands(environment, &[], &mut found);
    let with_help = |words: Vec<String>| {
        let help = help(environment, &words.iter().map(String::as_str).collect::<Vec<_>>());
        (words, help)
    };
    found.into_iter().map(with_help).collect()
}

#[test]
fn the_reference_is_what_the_program_says() {
    let environment = TestEnvironment::new();
    let mut text =
        "# The command line\n\nMade from `packets --help` and that of each command: a test of `cli` compares it, and \
        writes it anew with\n`PACKETS_UPDATE=1`.\n"
            .to_owned();
    for (words, help) in all(&environment) {
        let level = "#".repeat(2 + words.len().saturating_sub(1));
        let title = [&["packets".to_owned()], words.as_slice()].concat().join(" ");
        text.push_str(&format!("\n{level} {title}\n\n```text\n{}\n```\n", help.trim_end()));
    }
    let file = workspace().join("host/CLI.md");
    if std::env::var_os("PACKETS_UPDATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == text, "host/CLI.md is stale: run this test with PACKETS_UPDATE=1");
}

/// A system with packages and a repository, in which every example means something.
pub(super) struct World {
    pub(super) environment: TestEnvironment,
    server: Server,
    transaction: String,
}

impl World {
    pub(super) fn new() -> Self {
        let environment = TestEnvironment::in_memory();
        let repo = environment.repo();
        let asking = Package::program("nginx", "1").permission("write = [\"/etc/nginx\"]");
        let packages = [
            Package::program("jq", "1.7").info("description = \"Works on JSON.\""),
            Package::program("ripgrep", "1").info("description = \"Not an image viewer.\""),
            Package::new("zlib", "1"),
            Package::new("libfoo", "1"),
            Package::new("app", "1").needs(&["libfoo"]),
            Package::new("broken", "1").remove("error('on purpose')"),
            asking.clone(),
        ];
        packages.iter().for_each(|package| drop(package.file(&repo)));
        let server = Server::start();
        environment.run_plain(&["index", repo.to_str().unwrap(), "--url", &server.url("")]).ok();
        server.serve(&repo);
        environment.run(&["sync", &server.url("/index.db")]).ok();
        environment.run(&["install", "jq", "ripgrep", "zlib", "app", "broken"]).ok();
        environment.run_at_terminal(&["install", "nginx"], "y\n").ok();
        let history = environment.run(&["history", "--json"]).ok().json();
        let transaction = history[0]["id"].as_str().unwrap().to_owned();
        let world = Self { environment, server, transaction };
        world.lay_out_work();
        world
    }

    /// What lies where the examples are typed.
    fn lay_out_work(&self) {
        let work = self.environment.work();
        let file = |package: &Package, name: &str| std::fs::rename(package.file(&work), work.join(name)).unwrap();
        file(&Package::program("jq", "1.8"), "jq.pkt.tar.zst");
        file(&Package::program("mytool", "1"), "mytool.pkt.tar.zst");
        file(&Package::program("hello", "1"), "hello.pkt.tar.zst");
        Package::program("hello", "1").write(&work);
        Package::program("my-package-folder", "1").write(&work);
        std::fs::create_dir_all(work.join("man1")).unwrap();
        std::fs::create_dir_all(work.join("repo")).unwrap();
        Package::program("hello", "1").file(&work.join("repo"));
        let home = self.environment.place().join("home/.local/share/bash-completion/completions");
        std::fs::create_dir_all(home).unwrap();
        std::fs::create_dir_all(self.programs()).unwrap();
        std::os::unix::fs::symlink(program(), self.programs().join("packets")).unwrap();
    }

    fn programs(&self) -> PathBuf {
        self.environment.place().join("programs")
    }

    /// The example of a plugin, compiled, and added already where an example speaks of it; the words that name its
    /// config, which must not be that of another root.
    fn plugin(&self, example: &str) -> String {
        let (work, source) = (self.environment.work(), workspace().join("plugin-api/examples/c"));
        let (build, config) = (work.join("build"), work.join("config.toml"));
        std::fs::create_dir_all(&build).unwrap();
        std::fs::copy(source.join("plugin.toml"), build.join("plugin.toml")).unwrap();
        let library = build.join("plugin.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-I"]).arg(workspace().join("plugin-api/include"));
        let compiled = compiler.arg("-o").arg(&library).arg(source.join("plugin.c")).status().unwrap();
        assert!(compiled.success());
        std::fs::write(&config, format!("[Plugins]\ndir = {:?}\n", work.join("plugins"))).unwrap();
        let config = config.to_str().unwrap();
        if !example.contains("plugin add") {
            self.environment.run(&["--config", config, "plugin", "add", library.to_str().unwrap()]).ok();
        }
        format!("--config {config} ")
    }

    /// Types an example into a shell, the places in it exchanged for those of this world.
    pub(super) fn types(&self, example: &str) -> Output {
        let root = self.environment.root();
        let config = if example.starts_with("packets plugin ") { self.plugin(example) } else { String::new() };
        let line = example
            .replacen("packets ", &format!("packets --root {} --yes {config}", root.display()), 1)
            .replace("https://example.org", &self.server.url(""))
            .replace("/srv/repo", self.environment.repo().to_str().unwrap())
            .replace("3f6a1c0b9d2e4785", &self.transaction);
        let mut command = Command::new("sh");
        command.args(["-c", &line]).env_clear().current_dir(self.environment.work());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.programs().display()));
        command.env("HOME", self.environment.place().join("home")).env("TMPDIR", self.environment.place().join("tmp"));
        let output = command.output().unwrap();
        Output::of(&line, &output)
    }
}

#[test]
fn every_command_has_an_example_and_each_runs() {
    let examples = examples();
    assert!(examples.len() > 50, "{}", examples.len());
    each(&examples, |example| drop(World::new().types(example).ok()));
}

/// All examples that can be typed here.
pub(super) fn examples() -> Vec<String> {
    let environment = TestEnvironment::new();
    let mut examples = Vec::new();
    for (words, help) in all(&environment) {
        let own = format!("packets {}", words.join(" ")).trim_end().to_owned();
        let mut seen = 0;
        for example in help.lines().skip_while(|line| *line != "Examples:").skip(1).map(str::trim) {
            assert!(example.starts_with(&own), "{example} is no example of {own}");
            seen += 1;
            // Who shares says hello to the machine's networks: `lan` types these, in a network of its own.
            if example.starts_with("packets serve ") && !example.contains("status") {
                continue;
            }
            // These need a registry: `plugins` types them.
            if example.starts_with("packets push ") {
                continue;
            }
            examples.push(example.to_owned());
        }
        assert!(seen > 0, "{own} has no example");
    }
    if packets_tests::on_path("cc").is_none() {
        packets_tests::skip("the examples of plugins need cc");
        examples.retain(|example| !example.starts_with("packets plugin "));
    }
    examples
}

/// Does this with each of them, a few at a time.
pub(super) fn each(examples: &[String], act: impl Fn(&str) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(example) = examples.get(next.fetch_add(1, Ordering::Relaxed)) {
            act(example);
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
}
