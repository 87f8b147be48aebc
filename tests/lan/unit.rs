//! The unit that ships, under a real systemd: process 1 of name spaces of its own, on a copy of this machine's files.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use packets_tests::{on_path, program, skip, workspace};
use rustix::process::{Pid, Signal, kill_process};

use super::serving::get;
use super::*;

/// A system with nothing but the server's unit; it ends when this is dropped.
struct System {
    outside: Child,
    /// Process 1, as it is called outside.
    first: i32,
    group: Group,
    place: tempfile::TempDir,
}

/// A control group for all of its processes, in a hierarchy that is mounted for that.
struct Group {
    mount: PathBuf,
    name: String,
}

impl Group {
    fn new(place: &Path) -> Option<Self> {
        let group = Self { mount: place.join("groups"), name: format!("packets-test-{}", std::process::id()) };
        fs::create_dir(&group.mount).unwrap();
        let done = done(Command::new("mount").args(["-t", "cgroup2", "none"]).arg(&group.mount));
        (done && fs::create_dir(group.path()).is_ok()).then_some(group)
    }

    fn path(&self) -> PathBuf {
        self.mount.join(&self.name)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Empty groups are folders that one removes, those within first.
        for _ in 0..50 {
            done(Command::new("find").arg(self.path()).args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]));
            if !self.path().exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        done(Command::new("umount").arg(&self.mount));
    }
}

fn done(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What unit.sh ends with where the machine lacks something.
const CANNOT: i32 = 77;

/// Units that the server's own names, and one to begin with.
const UNITS: [(&str, &str); 6] = [
    ("start.target", "Wants=packets-serve.service\nAfter=packets-serve.service\n"),
    ("network-online.target", ""),
    ("sysinit.target", ""),
    ("basic.target", ""),
    ("shutdown.target", ""),
    ("sockets.target", ""),
];

impl System {
    /// On this host, with what it has in its root; none, and said so, where the machine cannot.
    fn begin(lan: &Lan, number: u8, host: &TestEnvironment) -> Option<Self> {
        let needed = ["unshare", "nsenter", "mount", "pivot_root", "systemctl"];
        if !Path::new("/lib/systemd/systemd").exists() || needed.iter().any(|program| on_path(program).is_none()) {
            skip("the unit needs systemd and util-linux");
            return None;
        }
        let place = tempfile::tempdir().unwrap();
        for folder in ["root", "top", "units", "etc", "cache"] {
            fs::create_dir(place.path().join(folder)).unwrap();
        }
        for (name, more) in UNITS {
            let text = format!("[Unit]\nDescription={name}\nDefaultDependencies=no\n{more}");
            fs::write(place.path().join("units").join(name), text).unwrap();
        }
        let unit = "packets-serve.service";
        fs::copy(workspace().join("plugins/lan").join(unit), place.path().join("units").join(unit)).unwrap();
        fs::copy(program(), place.path().join("bin")).unwrap();
        for (from, to) in [("etc/packets", "etc"), ("var/cache/packets", "cache")] {
            for entry in fs::read_dir(host.at(from)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), place.path().join(to).join(entry.file_name())).unwrap();
            }
        }
        let Some(group) = Group::new(place.path()) else {
            skip("the unit needs a control group of its own");
            return None;
        };
        let own = ["--pid", "--fork", "--kill-child", "--mount", "--cgroup", "--uts", "--ipc"];
        if !done(Command::new("unshare").args(own).arg("true")) {
            skip("the unit needs name spaces of its own");
            return None;
        }
        let words = lan.words(number);
        let mut command = Command::new(&words[0]);
        let enter = "echo $$ >\"$1\" && shift && exec \"$@\"";
        command.args(&words[1..]).args(["sh", "-c", enter, "sh"]).arg(group.path().join("cgroup.procs"));
        command.arg("unshare").args(own).arg("sh").arg(workspace().join("tests/lan/unit.sh")).arg(place.path());
        let said = fs::File::create(place.path().join("said")).unwrap();
        let outside = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().unwrap();
        let mut system = Self { outside, first: 0, group, place };
        wait_until(|| system.outside_child().is_some() || system.has_ended());
        system.first = system.outside_child().unwrap_or_default();
        // Before its root is its own, its systemd would be this machine's.
        let root = format!("/proc/{}/root", system.first);
        wait_until(|| system.has_ended() || Path::new(&root).join("run/units").exists());
        wait_until(|| system.has_ended() || system.systemctl(&["is-system-running"]).stdout.len() > 1);
        if system.has_ended() {
            let status = system.outside.wait().unwrap();
            let said = fs::read_to_string(system.place.path().join("said")).unwrap_or_default();
            assert_eq!(status.code(), Some(CANNOT), "its systemd did not begin: {status}, {said}");
            skip("this machine allows no root of its own to a systemd");
            return None;
        }
        Some(system)
    }

    fn outside_child(&self) -> Option<i32> {
        let process = self.outside.id();
        let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
        text.split_ascii_whitespace().next()?.parse().ok()
    }

    fn has_ended(&self) -> bool {
        let process = self.outside.id();
        let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        status.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        let root = format!("--root=/proc/{}/root", self.first);
        command.args([
            "--target",
            &self.first.to_string(),
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--cgroup",
            &root,
            "--wd=/",
        ]);
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn systemctl(&self, arguments: &[&str]) -> Output {
        self.run(&[&["systemctl", "--no-pager"], arguments].concat())
    }

    fn property(&self, name: &str) -> String {
        let output = self.systemctl(&["show", "--value", "--property", name, "packets-serve.service"]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What the server says of itself, once it offers so many files.
    fn offers(&self, files: u64) -> serde_json::Value {
        let status = || -> serde_json::Value {
            let output = self.run(&["/usr/bin/packets", "serve", "status", "--json"]);
            serde_json::from_slice(&output.stdout).unwrap_or_default()
        };
        let begun = Instant::now();
        while status()["status"]["offered"] != files {
            let shown = self.systemctl(&["status", "packets-serve.service"]);
            assert!(begun.elapsed() < SOON, "{}{}", status(), String::from_utf8_lossy(&shown.stdout));
            std::thread::sleep(Duration::from_millis(50));
        }
        status()["status"].clone()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let Some(first) = Pid::from_raw(self.first) {
            let _ = kill_process(first, Signal::KILL);
        }
        let _ = self.outside.kill();
        let _ = self.outside.wait();
        let _ = fs::write(self.group.path().join("cgroup.kill"), "1");
    }
}

#[test]
fn n34_the_unit_serves_under_systemd_and_can_do_nothing_else() {
    let Some(lan) = Lan::of(2) else { return };
    let published = Published::new(300_000, NOWHERE);
    let (asker, giver) = (host(&lan, 1, &published.index()), host(&lan, 2, &published.index()));
    published.cache_on(&giver);
    let Some(system) = System::begin(&lan, 2, &giver) else { return };
    let status = system.offers(1);
    // A user that systemd made for this run alone, and nothing that the unit forbids is missed.
    assert!(status["user"].as_u64() >= Some(61184), "{status}");
    let confined: Vec<_> = status["confined"].as_array().unwrap().iter().filter_map(|what| what.as_str()).collect();
    assert!(
        confined.starts_with(&["no capabilities", "new privileges"]) && confined.contains(&"seccomp"),
        "{confined:?}"
    );
    let output = asker.run(&["--verbose", "install", "thing"]).ok();
    assert!(output.stderr.contains("thing: fetched from lan"), "{output}");
    let range = get(&lan, &format!("/{}", published.digest()), "Range: bytes=10-19\r\n");
    assert!(range.starts_with("HTTP/1.1 206"), "{range}");
    // One that is killed comes again.
    let before = system.property("MainPID");
    assert_eq!(system.run(&["kill", "-9", &before]).status.code(), Some(0));
    wait_until(|| !["0", &before].contains(&system.property("MainPID").as_str()));
    system.offers(1);
    assert!(system.systemctl(&["stop", "packets-serve.service"]).status.success());
    assert_eq!(
        (system.property("ActiveState"), system.property("Result")),
        ("inactive".to_owned(), "success".to_owned())
    );
    assert!(!system.run(&["test", "-e", "/run/packets"]).status.success(), "nothing is left");
}
