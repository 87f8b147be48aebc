//! Where paths lead, and where they do not.

use std::io::Write;
use std::os::unix::fs::symlink;

use packets_plugin_api::hook::{OpenMode, StagedView, ViewErrorKind};

use crate::world::{Given, Work, World, both_ways, denied, kind, lines, set_mode};

#[test]
fn a32_merged_usr_is_followed() {
    both_ways(|| {
        let world = World::new();
        let ((), report) = world.hook(&Given::allow(&["/bin"]), |hook| {
            hook.symlink("/opt/packets/hello/data/hello", "/bin/hello").unwrap();
            hook.put("/usr/bin/other", "x").unwrap();
            assert_eq!(hook.get("/bin/bash").unwrap(), "the shell");
        });
        assert_eq!(lines(&report.effects), ["usr/bin/hello -> /opt/packets/hello/data/hello", "usr/bin/other 644 1"]);
        assert_eq!(report.denials, []);
    });
}

#[test]
fn a32_links_of_others_are_refused() {
    both_ways(|| {
        let mut world = World::new();
        symlink("hello", world.at("usr/share/foreign")).unwrap();
        let given = Given::allow(&["/usr/share"]);
        let (text, _) = world.hook(&given, |hook| hook.get("/usr/share/foreign/text"));
        assert_eq!(text.unwrap(), "hello");
        // Only root can give a link away.
        let given_away = std::os::unix::fs::lchown(world.at("usr/share/foreign"), Some(1000), None).is_ok();
        world.settle();
        if !given_away {
            let _ = writeln!(std::io::stderr(), "skipped: needs root");
        } else {
            let (text, report) = world.hook(&given, |hook| hook.get("/usr/share/foreign/text"));
            denied(text);
            assert!(report.denials[0].reason.contains("belongs to user 1000"), "{:?}", report.denials);
        }
    });
}

#[test]
fn h02_h23_paths_that_lead_out() {
    both_ways(|| {
        let world = World::new();
        let long = format!("/usr/bin/{}", "x/".repeat(2100));
        let cases = [
            "",
            "bash",
            "./bash",
            "usr/bin/bash",
            "/usr/bin/ba\0sh",
            &long,
            "/etc/passwd",
            "/etc/nginx/../shadow",
            "/usr/bin/../../etc/passwd",
            "/proc/self/mem",
            "/proc/self/root/etc/passwd",
            "/dev/mem",
            "/",
            "//",
            "/..",
            "/usr",
            "/usr/bin/../..",
            "/root/.ssh/id",
            "/opt/packets/other/data/x",
            "/opt/packets/other/../other/data/x",
            "/etc/packets/config.toml",
            "/opt/packets/hello/nothing",
            "/private/inner/../../usr/bin/bash",
            "/private/nothing/../../usr/bin/bash",
            "/proc/../usr/bin/bash",
            "/nothing/x",
            "/nothing/../etc/passwd",
        ];
        for case in cases {
            let ((), report) = world.hook(&Given::allow(&["/usr/bin", "/usr/share"]), |hook| {
                hook.at_line(7);
                denied(hook.open(case, OpenMode::Read));
                denied(hook.open(case, OpenMode::Write));
                denied(hook.remove(case));
                denied(hook.copy(case, "/usr/bin/mine"));
                denied(hook.rename(case, "/usr/bin/mine"));
                denied(hook.symlink("x", case));
            });
            assert_eq!(report.effects, [], "H23 {case:?}");
            assert_eq!(report.denials.len(), 6, "H23 {case:?}");
            assert_eq!(
                (report.denials[0].line, report.denials[0].path.len()),
                (7, case.len().min(4096)),
                "H23 {case:?}"
            );
        }
    });
}

#[test]
fn h23_odd_paths_that_stay_inside() {
    both_ways(|| {
        let world = World::new();
        world.hook(&Given::allow(&["/usr/bin", "/usr/share"]), |hook| {
            for good in [
                "/usr/bin/bash",
                "//usr///bin//bash",
                "/usr/./bin/bash",
                "/usr/bin/../bin/bash",
                "/../../usr/bin/bash",
                "/usr/share/../bin/bash",
                "/usr/share/hello/../../bin/./bash",
            ] {
                assert_eq!(hook.get(good).unwrap(), "the shell", "H23 {good}");
            }
            for bad in ["/usr/bin/bash/", "/usr/bin/bash/.", "/usr/bin/bash/..", "/usr/bin/bash/x", "/usr/bin/../bin"] {
                assert_eq!(kind(hook.get(bad)), ViewErrorKind::Invalid, "H23 {bad}");
            }
            assert_eq!(kind(hook.get(&format!("/usr/bin/{}", "x".repeat(256)))), ViewErrorKind::Invalid, "H23");
            assert_eq!(kind(hook.get("/usr/bin/nothing")), ViewErrorKind::NotFound, "H23");
            assert_eq!(kind(hook.get("/usr/bin/nothing/../bash")), ViewErrorKind::NotFound, "H23");
        });
    });
}

#[test]
fn h17_trailing_slashes_reach_nothing_behind_links() {
    both_ways(|| {
        let mut world = World::new();
        symlink("../../../outside", world.at("usr/share/out")).unwrap();
        symlink("/srv/web", world.at("usr/share/web")).unwrap();
        symlink("hello", world.at("usr/share/near")).unwrap();
        world.settle();
        let given = Given::write(&["/usr/share"]);
        for link in ["/usr/share/out", "/usr/share/web", "/usr/share/near"] {
            for tail in ["/", "//", "/.", "/./"] {
                let written = format!("{link}{tail}");
                let ((), report) = world.hook(&given, |hook| {
                    assert!(hook.remove(&written).is_err(), "H17 {written}");
                    assert!(hook.rename(&written, "/usr/share/new").is_err(), "H17 {written}");
                    assert!(hook.rename("/usr/share/hello/text", &written).is_err(), "H17 {written}");
                    assert!(hook.symlink("x", &written).is_err(), "H17 {written}");
                    assert!(hook.open(&written, OpenMode::Read).is_err(), "H17 {written}");
                    assert!(hook.open(&written, OpenMode::Write).is_err(), "H17 {written}");
                    assert!(hook.copy("/usr/share/hello/text", &written).is_err(), "H17 {written}");
                });
                assert_eq!(report.effects, [], "H17 {written}");
            }
        }
        // The links themselves can go.
        let ((), report) = world.hook(&given, |hook| {
            hook.remove("/usr/share/out").unwrap();
            hook.rename("/usr/share/web", "/usr/share/web2").unwrap();
        });
        assert_eq!(lines(&report.effects), ["usr/share/out -", "usr/share/web -", "usr/share/web2 -> /srv/web"]);
    });
}

#[test]
fn h17_what_lies_behind_a_link_out_is_not_reached() {
    both_ways(|| {
        let mut world = World::new();
        symlink("../../../outside", world.at("usr/share/up")).unwrap();
        symlink(world.outside(), world.at("usr/share/absolute")).unwrap();
        symlink("/etc/passwd", world.at("usr/share/passwd")).unwrap();
        symlink("/nowhere/x", world.at("usr/share/dangling")).unwrap();
        world.settle();
        let ((), report) = world.hook(&Given::write(&["/usr/share"]), |hook| {
            for bad in ["up/secret", "up/new", "absolute/secret", "absolute/in/deep", "passwd", "dangling"] {
                let bad = format!("/usr/share/{bad}");
                denied(hook.get(&bad));
                denied(hook.put(&bad, "x"));
            }
            for bad in ["/usr/share/up/secret", "/usr/share/absolute/in"] {
                denied(hook.remove(bad));
                denied(hook.mkdir(&format!("{bad}/new"), 0o755));
                denied(hook.copy(bad, "/usr/share/mine"));
                denied(hook.copy("/usr/share/hello", bad));
                denied(hook.rename(bad, "/usr/share/mine"));
            }
        });
        assert_eq!(report.effects, []);
    });
}

#[test]
fn links_into_another_granted_folder_are_followed() {
    both_ways(|| {
        let mut world = World::new();
        symlink("/usr/share/hello", world.at("usr/bin/there")).unwrap();
        world.settle();
        let ((), report) = world.hook(&Given::allow(&["/usr/bin", "/usr/share"]), |hook| {
            assert_eq!(hook.get("/usr/bin/there/text").unwrap(), "hello");
            hook.put("/usr/bin/there/new", "n").unwrap();
            hook.symlink("there/new", "/usr/bin/mine").unwrap();
            assert_eq!(hook.get("/usr/bin/mine").unwrap(), "n");
        });
        assert_eq!(lines(&report.effects), ["usr/bin/mine -> there/new", "usr/share/hello/new 644 1"]);
        let (text, _) = world.hook(&Given::allow(&["/usr/bin"]), |hook| hook.get("/usr/bin/there/text"));
        denied(text);
    });
}

#[test]
fn a29_chains_of_40_links_but_not_of_41() {
    both_ways(|| {
        let mut world = World::new();
        let folder = world.at("usr/share/hello");
        symlink("text", folder.join("l1")).unwrap();
        for number in 2..=41 {
            symlink(format!("l{}", number - 1), folder.join(format!("l{number}"))).unwrap();
        }
        symlink("loop", folder.join("loop")).unwrap();
        symlink("b/x", folder.join("a")).unwrap();
        symlink("a/x", folder.join("b")).unwrap();
        world.settle();
        world.hook(&Given::allow(&["/usr/share"]), |hook| {
            assert_eq!(hook.get("/usr/share/hello/l40").unwrap(), "hello", "A29");
            for bad in ["l41", "loop", "a", "loop/x"] {
                assert_eq!(kind(hook.get(&format!("/usr/share/hello/{bad}"))), ViewErrorKind::Invalid, "A29 {bad}");
            }
        });
    });
}

#[test]
fn h27_only_regular_files_are_opened_and_nothing_waits() {
    both_ways(|| {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let mut world = World::new();
        let folder = world.at("usr/share/hello");
        mknodat(CWD, folder.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
        let zero = rustix::fs::makedev(1, 5);
        let device = mknodat(CWD, folder.join("zero"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), zero);
        symlink("pipe", folder.join("link")).unwrap();
        world.settle();
        let mut names = vec!["pipe", "socket", "link"];
        names.extend(device.is_ok().then_some("zero"));
        let ((), report) = world.hook(&Given::write(&["/usr/share"]), |hook| {
            for name in names {
                let name = format!("/usr/share/hello/{name}");
                denied(hook.open(&name, OpenMode::Read));
                denied(hook.open(&name, OpenMode::ReadUpdate));
                denied(hook.open(&name, OpenMode::Write));
                denied(hook.copy(&name, "/usr/share/mine"));
            }
            denied(hook.copy("/usr/share/hello", "/usr/share/mine"));
        });
        assert_eq!(report.effects, [], "H27");
    });
}

#[test]
fn only_what_everyone_may_read() {
    both_ways(|| {
        let mut world = World::new();
        let given = Given { write: vec!["/srv"], read: vec!["/etc", "/private"], ..Given::default() };
        world.hook(&given, |hook| {
            assert_eq!(hook.get("/etc/passwd").unwrap(), "root:x:0:0");
            assert_eq!(hook.get("/private/inner/x").unwrap(), "x", "a granted folder may be entered");
            denied(hook.get("/etc/shadow"));
            denied(hook.copy("/etc/shadow", "/srv/web/mine"));
            denied(hook.get("/srv/web/closed"));
            denied(hook.open("/srv/web/closed", OpenMode::Append));
            denied(hook.open("/srv/web/closed", OpenMode::ReadUpdate));
            denied(hook.copy("/srv/web", "/srv/mine"));
            denied(hook.rename("/srv/web/closed", "/srv/web/open"));
            denied(hook.rename("/srv/web", "/srv/open"));
            denied(hook.get("/etc/packets/config.toml"));
            // To empty a file is not to read it.
            hook.put("/srv/web/closed", "new").unwrap();
            assert_eq!(hook.get("/srv/web/closed").unwrap(), "new");
        });
        set_mode(&world.at("srv/web"), 0o750);
        world.settle();
        let (text, _) = world.hook(&given, |hook| hook.get("/srv/web/closed"));
        denied(text);
        world.record = std::mem::take(&mut world.record).with("hello", &["/srv/web", "/srv/web/closed"]);
        let (text, _) = world.hook(&given, |hook| hook.get("/srv/web/closed"));
        assert_eq!(text.unwrap(), "closed", "its own can always be read");
    });
}

#[test]
fn h18_h19_what_may_only_be_read_stays_whole() {
    both_ways(|| {
        let world = World::new();
        let given = Given { allow: vec!["/usr/bin"], read: vec!["/etc"], ..Given::default() };
        let ((), report) = world.hook(&given, |hook| {
            for mode in [OpenMode::Write, OpenMode::WriteUpdate, OpenMode::Append, OpenMode::ReadUpdate] {
                denied(hook.open("/etc/passwd", mode));
            }
            denied(hook.rename("/etc/passwd", "/usr/bin/passwd"));
            denied(hook.rename("/usr/share/hello/text", "/etc/new"));
            denied(hook.remove("/etc/passwd"));
            denied(hook.symlink("x", "/etc/new"));
            denied(hook.mkdir("/etc/new", 0o755));
            hook.copy("/etc/passwd", "/usr/bin/passwd").unwrap();
        });
        assert_eq!(lines(&report.effects), ["usr/bin/passwd 644 10"], "H18 H19");
    });
}

#[test]
fn h22_a_planted_link_leads_nowhere() {
    both_ways(|| {
        let world = World::new();
        let ((), report) = world.hook(&Given::allow(&["/usr/bin"]), |hook| {
            for target in ["/etc", "../../etc", "../../../outside", "/", ".."] {
                hook.symlink(target, "/usr/bin/planted").unwrap();
                denied(hook.get("/usr/bin/planted/passwd"));
                denied(hook.put("/usr/bin/planted/new", "x"));
                denied(hook.remove("/usr/bin/planted/passwd"));
                denied(hook.mkdir("/usr/bin/planted/new", 0o755));
            }
            hook.remove("/usr/bin/planted").unwrap();
        });
        assert_eq!(report.effects, [], "H22");
    });
}
