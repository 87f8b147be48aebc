//! Bounds.

use packets_hook_runtime::limits;
use packets_hook_runtime::view::ViewLimits;
use packets_plugin_api::hook::{OpenMode, StagedView, ViewErrorKind, Whence};

use crate::world::{Given, Work, World, both_ways, denied, kind};

fn share() -> Given {
    Given::write(&["/usr/share"])
}

#[test]
fn h21_operations_are_counted_with_every_entry() {
    both_ways(|| {
        let mut world = World::new();
        for number in 0..50 {
            std::fs::write(world.at(&format!("usr/share/hello/{number}")), "").unwrap();
        }
        world.settle();
        world.limits = ViewLimits { operations: 40, ..ViewLimits::default() };
        world.hook(&share(), |hook| assert_eq!(kind(hook.remove("/usr/share/hello")), ViewErrorKind::Limit, "H21"));
        world.hook(&share(), |hook| {
            assert_eq!(kind(hook.copy("/usr/share/hello", "/usr/share/two")), ViewErrorKind::Limit, "H21");
        });
        world.hook(&share(), |hook| {
            assert_eq!(kind(hook.rename("/usr/share/hello", "/usr/share/two")), ViewErrorKind::Limit, "H21");
        });
        world.hook(&share(), |hook| {
            let links = (0..).try_for_each(|number| hook.symlink("x", &format!("/usr/share/l{}", number % 3)));
            assert_eq!(kind(links), ViewErrorKind::Limit, "H21");
        });
        world.limits.operations = 60;
        let (done, report) = world.hook(&share(), |hook| hook.remove("/usr/share/hello"));
        done.unwrap();
        assert_eq!(report.effects.len(), 52);
    });
}

#[test]
fn h21_bytes_written_are_counted_and_holes_too() {
    both_ways(|| {
        let mut world = World::new();
        std::fs::File::create(world.at("usr/share/hello/huge")).unwrap().set_len(1 << 40).unwrap();
        world.limits.written = 1000;
        world.hook(&share(), |hook| {
            let file = hook.open("/usr/share/new", OpenMode::Write).unwrap();
            hook.write(file, &[0; 600]).unwrap();
            hook.copy("/usr/share/hello/text", "/usr/share/copy").unwrap();
            assert_eq!(kind(hook.write(file, &[0; 600])), ViewErrorKind::Limit, "H21");
            assert_eq!(kind(hook.get("/usr/share/hello/text")), ViewErrorKind::Limit, "nothing goes on after a limit");
        });
        world.hook(&share(), |hook| {
            let file = hook.open("/usr/share/new", OpenMode::Write).unwrap();
            hook.seek(file, Whence::Start, i64::MAX).unwrap();
            assert_eq!(kind(hook.write(file, b"x")), ViewErrorKind::Limit, "H21 hole");
        });
        world.hook(&share(), |hook| {
            assert_eq!(kind(hook.copy("/usr/share/hello/huge", "/usr/share/copy")), ViewErrorKind::Limit, "H21");
        });
        world.hook(&share(), |hook| {
            assert_eq!(kind(hook.open("/usr/share/hello/huge", OpenMode::Append)), ViewErrorKind::Limit, "H21");
        });
        assert_eq!(world.staged(), 0);
        std::fs::remove_file(world.at("usr/share/hello/huge")).unwrap();
        world.settle();
    });
}

#[test]
fn h21_the_last_operation_and_the_last_byte_that_may_be() {
    both_ways(|| {
        let mut world = World::new();
        world.limits = ViewLimits { operations: 3, written: 1000 };
        world.hook(&share(), |hook| {
            for _ in 0..3 {
                hook.symlink("x", "/usr/share/l").unwrap();
            }
            assert_eq!(kind(hook.symlink("x", "/usr/share/l")), ViewErrorKind::Limit, "H21 the fourth");
        });
        world.limits.operations = 100;
        let text = std::fs::metadata(world.at("usr/share/hello/text")).unwrap().len();
        for (length, fits) in [(1000 - text, true), (1001 - text, false)] {
            world.hook(&share(), |hook| {
                hook.copy("/usr/share/hello/text", "/usr/share/copy").unwrap();
                let file = hook.open("/usr/share/new", OpenMode::Write).unwrap();
                let written = hook.write(file, &vec![0; usize::try_from(length).unwrap()]);
                match fits {
                    true => written.unwrap(),
                    false => assert_eq!(kind(written), ViewErrorKind::Limit, "H21 the last byte"),
                }
            });
        }
    });
}

#[test]
fn h13_as_many_denials_as_are_kept() {
    both_ways(|| {
        let world = World::new();
        for (made, kept) in [(limits::DENIALS - 1, 99), (limits::DENIALS, 100), (limits::DENIALS + 1, 100)] {
            let ((), report) = world.hook(&share(), |hook| {
                (0..made).for_each(|number| denied(hook.remove(&format!("/etc/{number}"))));
            });
            assert_eq!(report.denials.len(), kept, "H13 {made}");
            assert_eq!(report.denials.last().unwrap().path, format!("/etc/{}", kept - 1), "the first ones are kept");
        }
    });
}

#[test]
fn h21_open_files_and_denials_are_bounded() {
    both_ways(|| {
        let world = World::new();
        let ((), report) = world.hook(&share(), |hook| {
            let files: Vec<_> =
                (0..limits::OPEN_FILES).map(|_| hook.open("/usr/share/hello/text", OpenMode::Read).unwrap()).collect();
            assert_eq!(kind(hook.open("/usr/share/hello/text", OpenMode::Read)), ViewErrorKind::Invalid, "H21");
            hook.close(files[0]).unwrap();
            hook.get("/usr/share/hello/text").unwrap();
            for _ in 0..1000 {
                denied(hook.remove(&format!("/etc/{}", "\u{1b}/".repeat(100))));
            }
            let error = hook.get(&format!("/etc/\u{1b}[2J{}", "x/".repeat(2000))).unwrap_err();
            assert!(error.message.len() < limits::ERROR_TEXT && !error.message.contains('\u{1b}'), "H13");
        });
        assert_eq!(report.denials.len(), limits::DENIALS, "H13");
    });
}

#[test]
fn a14_depth_is_bounded() {
    both_ways(|| {
        let mut world = World::new();
        let mut deep = world.at("usr/share/hello");
        for _ in 0..200 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        world.settle();
        let ((), report) = world.hook(&share(), |hook| {
            assert_eq!(kind(hook.remove("/usr/share/hello")), ViewErrorKind::Invalid, "A14");
            assert_eq!(kind(hook.copy("/usr/share/hello", "/usr/share/x")), ViewErrorKind::Invalid, "A14");
            assert_eq!(
                kind(hook.mkdir(&format!("/usr/share{}", "/e".repeat(1900)), 0o755)),
                ViewErrorKind::Invalid,
                "A14"
            );
            assert_eq!(
                kind(hook.get(&format!("/usr/share/hello{}/x", "/d".repeat(200)))),
                ViewErrorKind::Invalid,
                "A14"
            );
        });
        assert_eq!(report.effects, []);
    });
}

#[test]
fn a14_depth_up_to_a_bound() {
    both_ways(|| {
        // Its own top is one of them.
        for (depth, fits) in [(limits::DEPTH, true), (limits::DEPTH + 1, false)] {
            let mut world = World::new();
            std::fs::create_dir_all(world.at(&format!("usr/share/hello{}", "/d".repeat(depth - 1)))).unwrap();
            world.settle();
            world.hook(&share(), |hook| {
                for done in [hook.copy("/usr/share/hello", "/usr/share/x"), hook.remove("/usr/share/hello")] {
                    match fits {
                        true => done.unwrap(),
                        false => assert_eq!(kind(done), ViewErrorKind::Invalid, "A14 {depth}"),
                    }
                }
            });
        }
    });
}
