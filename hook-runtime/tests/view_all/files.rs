//! Open files.

use packets_plugin_api::hook::{FileId, OpenMode, StagedView, ViewErrorKind, Whence};

use crate::world::{Given, Work, World, both_ways, kind, lines};

const FILE: &str = "/usr/share/hello/text";

fn share() -> Given {
    Given::write(&["/usr/share"])
}

#[test]
fn the_six_modes() {
    both_ways(|| {
        let world = World::new();
        for (mode, there, written, read) in [
            (OpenMode::Read, "hello", false, true),
            (OpenMode::Write, "", true, false),
            (OpenMode::Append, "hello", true, false),
            (OpenMode::ReadUpdate, "hello", true, true),
            (OpenMode::WriteUpdate, "", true, true),
            (OpenMode::AppendUpdate, "hello", true, true),
        ] {
            world.hook(&share(), |hook| {
                let file = hook.open(FILE, mode).unwrap();
                assert_eq!(hook.get(FILE).unwrap(), there, "{mode:?}");
                let mut buffer = [0; 2];
                let got = hook.read(file, &mut buffer);
                assert_eq!(got.as_ref().ok(), read.then_some(&there.len().min(2)), "{mode:?}");
                let done = hook.write(file, b"XY");
                assert_eq!(done.is_ok(), written, "{mode:?}");
                let expected = match mode {
                    OpenMode::Read => "hello",
                    OpenMode::ReadUpdate => "heXYo",
                    OpenMode::Append | OpenMode::AppendUpdate => "helloXY",
                    _ => "XY",
                };
                assert_eq!(hook.get(FILE).unwrap(), expected, "{mode:?}");
                hook.close(file).unwrap();
                assert_eq!(kind(hook.close(file)), ViewErrorKind::Invalid);
                assert_eq!(kind(hook.read(file, &mut buffer)), ViewErrorKind::Invalid);
                assert_eq!(kind(hook.write(FileId(99), b"x")), ViewErrorKind::Invalid);
            });
        }
    });
}

#[test]
fn seeking() {
    both_ways(|| {
        let world = World::new();
        let ((), report) = world.hook(&share(), |hook| {
            let file = hook.open(FILE, OpenMode::ReadUpdate).unwrap();
            assert_eq!(hook.seek(file, Whence::End, -2).unwrap(), 3);
            hook.write(file, b"p!!").unwrap();
            assert_eq!(hook.seek(file, Whence::Current, 0).unwrap(), 6);
            assert_eq!(hook.seek(file, Whence::End, 4).unwrap(), 10);
            hook.write(file, b"z").unwrap();
            assert_eq!(hook.get(FILE).unwrap(), "help!!\0\0\0\0z");
            for (whence, offset) in [(Whence::Start, -1), (Whence::Current, i64::MIN), (Whence::Current, i64::MAX)] {
                assert_eq!(kind(hook.seek(file, whence, offset)), ViewErrorKind::Invalid);
            }
            let reader = hook.open("/usr/bin/bash", OpenMode::Read);
            assert_eq!(kind(reader), ViewErrorKind::Denied);
        });
        assert_eq!(lines(&report.effects), ["usr/share/hello/text 644 11"]);
    });
}

#[test]
fn a_file_outlives_its_name() {
    both_ways(|| {
        let world = World::new();
        let ((), report) = world.hook(&share(), |hook| {
            let file = hook.open("/usr/share/new", OpenMode::WriteUpdate).unwrap();
            hook.write(file, b"kept").unwrap();
            hook.remove("/usr/share/new").unwrap();
            hook.write(file, b"!").unwrap();
            hook.seek(file, Whence::Start, 0).unwrap();
            let mut buffer = [0; 9];
            assert_eq!(hook.read(file, &mut buffer).unwrap(), 5);
            let other = hook.open("/usr/share/a", OpenMode::Write).unwrap();
            hook.rename("/usr/share/a", "/usr/share/b").unwrap();
            hook.write(other, b"moved").unwrap();
            assert_eq!(hook.get("/usr/share/b").unwrap(), "moved");
        });
        assert_eq!(lines(&report.effects), ["usr/share/b 644 5"]);
        assert_eq!(world.staged(), 1);
    });
}
