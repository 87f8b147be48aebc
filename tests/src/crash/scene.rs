//! A command, and the root that it is given.

use super::expected::now;
use super::state::State;
use super::tracer::{Act, Call};
use crate::environment::TestEnvironment;
use crate::output::Output;

type Step = Box<dyn Fn(&TestEnvironment) + Send + Sync>;

/// How a root is brought to the moment before a command. Files remember times and inodes,
/// so each stage is made by real runs and never by copying another one.
pub struct Scene {
    /// For messages.
    pub name: &'static str,
    steps: Vec<Step>,
    command: Vec<String>,
    has_repo: bool,
    last_word: Option<fn(&TestEnvironment) -> String>,
    is_bare: bool,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: packets {}", self.name, self.command.join(" "))
    }
}

impl Scene {
    /// A root on which the program has run before, and a command.
    pub fn new(name: &'static str, command: &[&str]) -> Self {
        Self { is_bare: false, ..Self::bare(name, command) }.step(TestEnvironment::prime)
    }

    /// An empty root, and a command. Config, database and folders that every first command
    /// makes do not count as a difference.
    pub fn bare(name: &'static str, command: &[&str]) -> Self {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Self { name, steps: Vec::new(), command, has_repo: true, last_word: None, is_bare: true }.step(|_| {})
    }

    /// The command is not told of the test's repository.
    #[must_use]
    pub fn without_repo(self) -> Self {
        Self { has_repo: false, ..self }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// What is done to the root before.
    #[must_use]
    pub fn step(mut self, step: impl Fn(&TestEnvironment) + Send + Sync + 'static) -> Self {
        self.steps.push(Box::new(step));
        self
    }

    /// The last word of the command is known only when the root is ready.
    #[must_use]
    pub fn last_word(mut self, word: fn(&TestEnvironment) -> String) -> Self {
        self.last_word = Some(word);
        self
    }

    /// The root before the command, in a new environment.
    pub fn stage(&self) -> Stage {
        self.stage_in(TestEnvironment::in_memory())
    }

    /// The same in an environment of the caller's.
    pub fn stage_in(&self, environment: TestEnvironment) -> Stage {
        let mut moments = Vec::new();
        for step in &self.steps {
            step(&environment);
            moments.push(State::of(&environment));
        }
        let repo = environment.repo().display().to_string();
        let mut command = if self.has_repo { vec!["--repo".to_owned(), repo] } else { Vec::new() };
        command.extend(self.command.iter().cloned());
        command.extend(self.last_word.map(|word| word(&environment)));
        Stage { environment, moments, command, is_bare: self.is_bare, began: now() }
    }
}

/// A root just before a scene's command.
#[derive(Debug)]
pub struct Stage {
    environment: TestEnvironment,
    moments: Vec<State>,
    command: Vec<String>,
    is_bare: bool,
    began: i128,
}

impl Stage {
    /// Where it is.
    pub fn environment(&self) -> &TestEnvironment {
        &self.environment
    }
    /// The states that it went through.
    pub fn moments(&self) -> &[State] {
        &self.moments
    }
    /// The last of them.
    pub fn old(&self) -> &State {
        self.moments.last().unwrap()
    }
    /// Whether the program had never run on it.
    pub(super) fn is_bare(&self) -> bool {
        self.is_bare
    }
    /// The same root is at the same moment again, brought there by the caller.
    pub fn again(&mut self) {
        self.began = now();
    }
    /// When it was ready.
    pub fn began(&self) -> i128 {
        self.began
    }
    /// Commands of the environment are run by these words from here on.
    pub fn run_environment_by(&mut self, words: Vec<String>) {
        self.environment.run_by(words);
    }
    /// The root alone.
    pub fn into_environment(self) -> TestEnvironment {
        self.environment
    }
    /// The words of its command.
    pub fn command(&self) -> &[String] {
        &self.command
    }

    /// Runs the command by these words.
    pub fn run_by(&self, words: &[&str]) -> Output {
        let mut command = self.command_by(words);
        let output = command.output().unwrap();
        Output::new(
            format!("{} {}", words.join(" "), self.command.join(" ")),
            output.status,
            &output.stdout,
            &output.stderr,
        )
    }

    /// The same where the program may end in any way; its exit code.
    pub fn code_by(&self, words: &[&str]) -> i32 {
        let status = self.command_by(words).output().unwrap().status;
        status.code().unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0))
    }

    fn command_by(&self, words: &[&str]) -> std::process::Command {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut command = self.environment.command_by(&words);
        command.arg("--root").arg(self.environment.root()).arg("--yes").args(&self.command);
        command
    }

    /// Runs the command; `act` says what happens to each call.
    pub fn run(&self, act: &mut dyn FnMut(&Call) -> Act) -> Output {
        let words: Vec<&str> = self.command.iter().map(String::as_str).collect();
        self.environment.run_traced(&words, act)
    }
}
