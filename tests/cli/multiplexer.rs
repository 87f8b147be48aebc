//! In tmux: what somebody who works in it sees.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use packets_tests::{on_path, skip};

use tempfile::TempDir;

use super::progress::World;

/// How long something may take to be seen.
const SOON: Duration = Duration::from_secs(30);

/// A server of tmux of its own with one window, in which a shell waits.
struct Tmux {
    program: PathBuf,
    home: TempDir,
}

impl Tmux {
    fn start() -> Option<Self> {
        let Some(program) = on_path("tmux") else {
            skip("needs tmux");
            return None;
        };
        let tmux = Self { program, home: tempfile::Builder::new().prefix("packets-tmux-").tempdir().unwrap() };
        let started = tmux.call(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "50",
            "env -i PS1='$ ' TERM=screen NO_COLOR=1 PATH=/usr/bin:/bin sh",
        ]);
        assert!(started.status.success(), "{started:?}");
        tmux.wait_for("the shell", |screen| screen.starts_with('$'));
        Some(tmux)
    }

    fn call(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.arg("-S").arg(self.home.path().join("socket")).args(arguments);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").env("TERM", "xterm-256color");
        // A user who is there for services has one that only says no.
        command.env("SHELL", "/bin/sh");
        command.output().unwrap()
    }

    fn types(&self, keys: &[&str]) {
        assert!(self.call(&[&["send-keys"], keys].concat()).status.success());
    }

    /// What stands on the screen, without the ends of lines that are empty.
    fn screen(&self) -> String {
        String::from_utf8(self.call(&["capture-pane", "-p"]).stdout).unwrap().trim_end().to_owned()
    }

    fn wait_for(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if is_there(&screen) {
                return screen;
            }
            assert!(began.elapsed() < SOON, "{what} does not come:\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.call(&["kill-server"]);
    }
}

/// Types the command that installs the slow package and the quick one.
fn install(tmux: &Tmux, world: &World) {
    let command = world.command(&["install", "slow", "quick"], &[]);
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    tmux.types(&["-l", &format!("clear; {}; echo \"code $?\"", line.join(" "))]);
    tmux.types(&["Enter"]);
}

/// The shell has its prompt again.
fn is_over(screen: &str) -> bool {
    screen.lines().any(|line| line.starts_with("code ")) && screen.ends_with('$')
}

/// Installs, and calls this as soon as a bar is seen; what stands on the screen at the end. On a machine that is busy all
/// may be over before somebody looks: then once more.
fn amid_a_bar(world: &mut World, act: impl Fn(&Tmux)) -> Option<String> {
    for _ in 0..5 {
        let tmux = Tmux::start()?;
        install(&tmux, world);
        let has_bar = |screen: &str| screen.contains("fetching  [");
        let seen = tmux.wait_for("a bar, or the end", |screen| has_bar(screen) || is_over(screen));
        if has_bar(&seen) {
            act(&tmux);
            return Some(tmux.wait_for("the end", is_over));
        }
        *world = World::new();
    }
    panic!("no bar is ever seen");
}

#[test]
fn bars_come_and_go() {
    let Some(screen) = amid_a_bar(&mut World::new(), |_| {}) else { return };
    assert!(!screen.contains('['), "nothing of the bars is left:\n{screen}");
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines[0].starts_with("install ") && lines.contains(&"  slow: done"), "{screen}");
    assert!(lines[lines.len() - 3].starts_with("installed "), "{screen}");
    assert_eq!(lines[lines.len() - 2..], ["code 0", "$"], "{screen}");
}

#[test]
fn c31_control_c_amid_a_bar() {
    for attempt in 1.. {
        let mut world = World::new();
        let Some(screen) = amid_a_bar(&mut world, |tmux| tmux.types(&["C-c"])) else { return };
        let lines: Vec<&str> = screen.lines().collect();
        if lines[lines.len() - 2] == "code 0" && attempt < 5 {
            // It came too late.
            continue;
        }
        assert!(!screen.contains("fetching"), "nothing of the bar is left:\n{screen}");
        assert_eq!(lines[lines.len() - 2..], ["code 130", "$"], "{screen}");
        return assert!(!world.exists("opt/packets/slow"), "{screen}");
    }
}
