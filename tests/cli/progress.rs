//! Bars and colours, at real terminals and elsewhere.

use std::num::NonZero;
use std::process::Command;
use std::time::Duration;

use packets_tests::terminal::show;
use packets_tests::{Package, Reply, Server, TestEnvironment, noise};

/// A system and a synced index of two packages, `slow` and `quick`, of which the first takes half a second to come;
/// `slow` has a hook that takes some time too.
pub(super) struct World {
    environment: TestEnvironment,
    _server: Server,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with("local sum = 0 for i = 1, 3e7 do sum = sum + i end print('done')", "")
    }

    fn with(hook: &str, permission: &str) -> Self {
        let environment = TestEnvironment::new();
        environment.prime();
        let repo = environment.repo();
        let slow = Package::new("slow", "1").bytes("noise", &noise(300_000)).install(hook);
        let slow = if permission.is_empty() { slow } else { slow.permission(permission) };
        let file = slow.file(&repo);
        Package::new("quick", "1").file(&repo);
        let server = Server::start();
        environment.run_plain(&["index", repo.to_str().unwrap(), "--url", &server.url("")]).ok();
        server.serve(&repo);
        let bytes = std::fs::read(&file).unwrap();
        let piece = bytes.len() / 8;
        let path = format!("/{}", file.file_name().unwrap().to_str().unwrap());
        server.set(&path, Reply::Drip(bytes, piece, Duration::from_millis(70)));
        environment.run(&["sync", &server.url("/index.db")]).ok();
        Self { environment, _server: server }
    }

    pub(super) fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = self.environment.command();
        command.arg("--root").arg(self.environment.root()).args(arguments).envs(variables.iter().copied());
        command
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.environment.exists(path)
    }

    /// All that is sent to a terminal of this kind.
    fn shown(&self, arguments: &[&str], variables: &[(&str, &str)], typed: &str) -> String {
        let (shown, status) = show(self.command(arguments, variables), typed, usize::MAX);
        let shown = String::from_utf8(shown).unwrap();
        assert!(status.success(), "{shown}");
        shown
    }
}

const INSTALL: [&str; 3] = ["install", "slow", "quick"];
const XTERM: (&str, &str) = ("TERM", "xterm-256color");
const PLAIN: (&str, &str) = ("NO_COLOR", "1");

/// What stands on the screen in the end.
fn screen(shown: &str) -> String {
    let [rows, columns] = [50, 100].map(|count| NonZero::new(count).unwrap());
    let mut parser = vt100::Parser::new(rows, columns, 0);
    parser.process(shown.as_bytes());
    let text = parser.screen().contents();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Without what is never twice the same.
fn steady(text: &str) -> String {
    let line = |line: &str| match line.split_once(" in ") {
        Some((said, _)) if line.starts_with("installed ") => format!("{said}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn bars_show_each_part_and_leave_nothing_behind() {
    let world = World::new();
    let shown = world.shown(&INSTALL, &[XTERM, PLAIN], "");
    for part in ["fetching  [", "KiB/", "unpacking [", "1/2 packages", "the install hook of slow"] {
        assert!(shown.contains(part), "{part:?} is not in {shown:?}");
    }
    // How far it is grows.
    let drawn: Vec<&str> = shown.split("fetching  [").skip(1).map(|rest| &rest[..24]).collect();
    let filled: Vec<usize> = drawn.iter().map(|bar| bar.matches('=').count()).collect();
    assert!(filled.is_sorted() && filled.first() < filled.last(), "{drawn:?}");

    let piped = World::new();
    let output = piped.environment.run(&INSTALL).ok();
    assert_eq!(steady(&screen(&shown)), steady(&output.stderr), "the lines are those of a pipe");
}

#[test]
fn nobody_sees_bars_where_none_belong() {
    type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 4] = [
        ("--quiet", &["--quiet"], &[XTERM]),
        ("--json", &["--json"], &[XTERM]),
        ("a terminal that knows only lines", &[], &[("TERM", "dumb")]),
        ("a terminal of no kind", &[], &[]),
    ];
    for (case, arguments, variables) in cases {
        let shown = World::new().shown(&[&INSTALL, arguments].concat(), variables, "");
        assert!(!shown.contains('\u{1b}') && !shown.contains("fetching"), "{case}: {shown:?}");
        if case == "--quiet" {
            assert_eq!(shown, "");
        }
    }
    let world = World::new();
    let output = world.command(&INSTALL, &[XTERM]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !text.contains('\u{1b}') && !text.contains("fetching"), "a pipe: {text:?}");
}

#[test]
fn what_is_done_at_once_shows_no_bar() {
    let world = World::new();
    // On a machine that has other work to do it may take longer: then a bar is right.
    for _ in 0..20 {
        let shown = world.shown(&["install", "quick"], &[XTERM, PLAIN], "");
        let took = shown.split(" in ").nth(1).and_then(|rest| rest.split_once(" ms")).map(|(number, _)| number);
        let is_quick = took.and_then(|number| number.trim().parse::<u64>().ok()).is_some_and(|took| took < 80);
        world.environment.run(&["remove", "quick"]).ok();
        if is_quick {
            assert!(!shown.contains('\u{1b}'), "{shown:?}");
            return;
        }
    }
    panic!("it never took less than 80 ms");
}

#[test]
fn a_question_stands_without_bars() {
    let hook = "local file = io.open('/etc/slow.conf', 'w') file:write('x') file:close()";
    let world = World::with(hook, "write = [\"/etc\"]");
    let shown = world.shown(&["install", "slow"], &[XTERM, PLAIN], "y\n");
    assert!(shown.contains("fetching  ["), "{shown:?}");
    let asked = shown.find("approve this").unwrap();
    let lines = shown.find("the hooks of slow ask for").unwrap();
    assert!(!shown[lines..asked].contains('\u{1b}'), "{:?}", &shown[lines..asked]);
    assert!(screen(&shown).contains("approve this, for slow and its later releases? [y/N]"), "{shown:?}");
    assert_eq!(world.environment.read("etc/slow.conf"), "x");
}

#[test]
fn c31_a_terminal_that_is_gone_stops_no_work() {
    for most in [1, 200, 400] {
        let world = World::new();
        let (_, status) = show(world.command(&INSTALL, &[XTERM]), "", most);
        assert!(status.success(), "after {most} bytes: {status}");
        assert_eq!(world.environment.installed(), ["quick", "slow"]);
    }
}

#[test]
fn what_is_no_longer_kept_is_deleted_before_eyes() {
    let world = World::new();
    let many = (0..50_000).fold(Package::new("many", "1"), |many, at| many.data(&format!("{}/{at}", at % 100), ""));
    many.file(&world.environment.repo());
    let file = world.environment.repo().join("many-1.pkt.tar.zst");
    world.environment.run(&["install", file.to_str().unwrap()]).ok();
    world.environment.run(&["remove", "many"]).ok();
    world.environment.run(&["config", "set", "History.keep", "0"]).ok();
    let shown = world.shown(&["install", "quick"], &[XTERM, PLAIN], "");
    assert!(shown.contains("history   deleting what was kept of "), "{shown:?}");
    assert!(steady(&screen(&shown)).ends_with("installed quick 1: 2 files, 79 B,\n"), "{:?}", screen(&shown));
}

#[test]
fn an_index_has_a_bar_of_its_own() {
    let world = World::new();
    let server = Server::start();
    let bytes = std::fs::read(world.environment.repo().join("index.db")).unwrap();
    let piece = bytes.len() / 6;
    server.set("/index.db", Reply::Drip(bytes, piece, Duration::from_millis(70)));
    let shown = world.shown(&["sync", &server.url("/index.db")], &[XTERM, PLAIN], "");
    assert!(shown.contains("index     ["), "{shown:?}");
    assert!(screen(&shown).starts_with("2 packages in the index from"), "{shown:?}");
}

#[test]
fn colours_mean_something_and_can_be_had_or_not() {
    let world = World::new();
    let at_terminal = |arguments: &[&str], variables: &[(&str, &str)]| {
        let (shown, _) = show(world.command(&[&["install", "nothing"], arguments].concat(), variables), "", usize::MAX);
        String::from_utf8(shown).unwrap().contains("\u{1b}[1;31merror:\u{1b}[0m ")
    };
    let piped = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = world.command(&[&["install", "nothing"], arguments].concat(), variables).output().unwrap();
        String::from_utf8(output.stderr).unwrap().contains("\u{1b}[1;31merror:\u{1b}[0m ")
    };
    assert!(at_terminal(&[], &[XTERM]) && at_terminal(&["--color", "auto"], &[XTERM]));
    assert!(at_terminal(&[], &[XTERM, ("NO_COLOR", "")]), "as no-color.org has it: empty is not set");
    for (arguments, variables) in
        [(&[][..], &[XTERM, PLAIN][..]), (&["--color", "never"], &[XTERM]), (&[], &[("TERM", "dumb")]), (&[], &[])]
    {
        assert!(!at_terminal(arguments, variables), "{arguments:?} {variables:?}");
    }
    assert!(!piped(&[], &[XTERM]) && piped(&["--color=always"], &[XTERM, PLAIN]));
    world.environment.run(&["--color", "pink", "list"]).fails(2).says("never");

    let output = world.command(&["--color", "always", "install", "quick"], &[]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("\u{1b}[32minstall\u{1b}[0m quick 1\n"), "{text:?}");
    let output = world.command(&["--color", "always", "remove", "quick"], &[]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("\u{1b}[31mremove\u{1b}[0m quick 1\n"), "{text:?}");
    // What programs read has none.
    let output = world.command(&["--color", "always", "list", "--json"], &[]).output().unwrap();
    assert!(!output.stdout.contains(&0x1b));
}
