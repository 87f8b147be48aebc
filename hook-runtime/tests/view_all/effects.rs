//! What hooks do, and what is said of it.

use std::os::unix::fs::PermissionsExt;

use packets_plugin_api::hook::{EffectKind, OpenMode, StagedView, ViewErrorKind};
use sha2::Digest as _;

use crate::world::{Given, Work, World, both_ways, denied, kind, lines};

fn share() -> Given {
    Given::write(&["/usr/share"])
}

#[test]
fn only_the_net_change_is_an_effect_parents_first() {
    both_ways(|| {
        let world = World::new();
        let ((), report) = world.hook(&share(), |hook| {
            hook.mkdir("/usr/share/a/b/c", 0o7777).unwrap();
            hook.put("/usr/share/a/b/file", "one").unwrap();
            hook.put("/usr/share/a/b/file", "four").unwrap();
            hook.put("/usr/share/gone", "x").unwrap();
            hook.remove("/usr/share/gone").unwrap();
            hook.mkdir("/usr/share/gone2/in", 0o755).unwrap();
            hook.remove("/usr/share/gone2").unwrap();
            hook.remove("/usr/share/nothing").unwrap();
            hook.symlink("x", "/usr/share/a.c").unwrap();
            hook.mkdir("/usr/share", 0o700).unwrap();
            hook.mkdir("/usr/share/hello", 0o700).unwrap();
        });
        assert_eq!(
            lines(&report.effects),
            [
                "usr/share/a/ 755",
                "usr/share/a/b/ 755",
                "usr/share/a/b/c/ 755",
                "usr/share/a/b/file 644 4",
                "usr/share/a.c -> x"
            ]
        );
        let EffectKind::File { sha256, .. } = &report.effects[3].becomes else { panic!() };
        assert_eq!(sha256.as_bytes()[..], sha2::Sha256::digest("four")[..]);
    });
}

#[test]
fn staged_files_have_their_content_and_mode() {
    both_ways(|| {
        let world = World::new();
        let mut overlay = world.overlay();
        let mut hook = world.begin(&mut overlay, "hello", &Given::allow(&["/usr/bin"]));
        hook.copy("/usr/bin/su", "/usr/bin/mine").unwrap();
        hook.put("/usr/bin/new", "text").unwrap();
        hook.finish().unwrap();
        for change in overlay.changes().unwrap() {
            use packets_hook_runtime::view::Becomes;
            let Becomes::File { staged, mode, size, .. } = change.becomes else { panic!() };
            let file = world.staged_file(&staged.name);
            let meta = std::fs::metadata(&file).unwrap();
            assert_eq!((meta.permissions().mode() & 0o7777, meta.len()), (mode, size));
            // A38: the setuid bit is gone.
            assert_eq!(mode, if change.path.as_str() == "usr/bin/mine" { 0o755 } else { 0o644 });
            assert!(change.parent.is_some() && change.old.is_none());
        }
        assert_eq!(world.staged(), 2);
    });
}

#[test]
fn removing_a_folder_removes_all_or_nothing() {
    both_ways(|| {
        let mut world = World::new();
        let ((), report) = world.hook(&share(), |hook| {
            hook.remove("/usr/share/doc").unwrap();
            assert_eq!(kind(hook.get("/usr/share/doc/bash/README")), ViewErrorKind::NotFound);
            // What is made there anew does not show what was there.
            hook.mkdir("/usr/share/doc/bash", 0o755).unwrap();
            assert_eq!(kind(hook.get("/usr/share/doc/bash/README")), ViewErrorKind::NotFound);
            hook.remove("/usr/share/doc/bash").unwrap();
        });
        assert_eq!(
            lines(&report.effects),
            ["usr/share/doc/ 755", "usr/share/doc/bash -", "usr/share/doc/bash/README -"]
        );
        world.record = std::mem::take(&mut world.record).with("bash", &["/usr/share/doc/bash/README"]);
        let ((), report) = world.hook(&share(), |hook| {
            denied(hook.remove("/usr/share/doc"));
            denied(hook.rename("/usr/share/doc", "/usr/share/doc2"));
            assert_eq!(hook.get("/usr/share/doc/bash/README").unwrap(), "read me");
        });
        assert_eq!(report.effects, []);
        assert!(report.denials[0].reason.contains("/usr/share/doc/bash/README"), "{:?}", report.denials[0]);
    });
}

#[test]
fn copies_and_moves_of_folders() {
    both_ways(|| {
        let mut world = World::new();
        std::os::unix::fs::symlink("README", world.at("usr/share/doc/bash/link")).unwrap();
        world.settle();
        let ((), report) = world.hook(&share(), |hook| {
            hook.put("/usr/share/doc/bash/staged", "s").unwrap();
            hook.copy("/usr/share/doc", "/usr/share/x/y").unwrap();
            assert_eq!(hook.get("/usr/share/x/y/bash/link").unwrap(), "read me");
            hook.rename("/usr/share/doc", "/usr/share/moved").unwrap();
            assert_eq!(hook.get("/usr/share/moved/bash/staged").unwrap(), "s");
            hook.rename("/usr/share/moved/bash/staged", "/usr/share/moved/bash/README").unwrap();
        });
        assert_eq!(
            lines(&report.effects),
            [
                "usr/share/doc -",
                "usr/share/doc/bash -",
                "usr/share/doc/bash/README -",
                "usr/share/doc/bash/link -",
                "usr/share/moved/ 755",
                "usr/share/moved/bash/ 755",
                "usr/share/moved/bash/README 644 1",
                "usr/share/moved/bash/link -> README",
                "usr/share/x/ 755",
                "usr/share/x/y/ 755",
                "usr/share/x/y/bash/ 755",
                "usr/share/x/y/bash/README 644 7",
                "usr/share/x/y/bash/link -> README",
                "usr/share/x/y/bash/staged 644 1",
            ]
        );
    });
}

#[test]
fn h33_onto_itself_and_into_itself() {
    both_ways(|| {
        let mut world = World::new();
        std::os::unix::fs::symlink("text", world.at("usr/share/hello/same")).unwrap();
        world.settle();
        let ((), report) = world.hook(&share(), |hook| {
            let text = "/usr/share/hello/text";
            for target in [text, "/usr/share/hello/../hello/text", "/usr/share/hello/same"] {
                assert_eq!(kind(hook.copy(text, target)), ViewErrorKind::Invalid, "H33 {target}");
            }
            for folder in ["/usr/share/hello", "/usr/share/hello/in", "/usr/share/hello/in/deep"] {
                assert_eq!(kind(hook.copy("/usr/share/hello", folder)), ViewErrorKind::Invalid, "H33 {folder}");
            }
            hook.rename(text, text).unwrap();
            assert_eq!(kind(hook.rename("/usr/share/hello", "/usr/share/hello/in")), ViewErrorKind::Invalid, "H33");
            assert!(hook.rename(text, "/usr/share/hello").is_err(), "H33");
            assert!(hook.rename("/usr/share/hello", "/usr/share").is_err(), "H33");
            assert_eq!(hook.get(text).unwrap(), "hello", "H33");
        });
        assert_eq!(report.effects, []);
    });
}

#[test]
fn what_fits_nothing_there() {
    both_ways(|| {
        let world = World::new();
        let ((), report) = world.hook(&share(), |hook| {
            assert_eq!(kind(hook.copy("/usr/share/hello", "/usr/share/doc/bash/README")), ViewErrorKind::Invalid);
            assert_eq!(kind(hook.copy("/usr/share/hello/text", "/usr/share/doc")), ViewErrorKind::Invalid);
            assert_eq!(kind(hook.copy("/usr/share/nothing", "/usr/share/x")), ViewErrorKind::NotFound);
            assert_eq!(kind(hook.copy("/usr/share/hello/text", "/usr/share/new/")), ViewErrorKind::Invalid);
            assert_eq!(kind(hook.rename("/usr/share/nothing", "/usr/share/x")), ViewErrorKind::NotFound);
            assert_eq!(kind(hook.rename("/usr/share/doc", "/usr/share/hello")), ViewErrorKind::Invalid);
            assert_eq!(kind(hook.mkdir("/usr/share/hello/text", 0o755)), ViewErrorKind::Invalid);
            assert_eq!(kind(hook.mkdir("/usr/share/hello/text/in", 0o755)), ViewErrorKind::Invalid);
            assert_eq!(kind(hook.put("/usr/share/new/file", "no parents are made")), ViewErrorKind::NotFound);
            assert_eq!(kind(hook.symlink("x", "/usr/share/new/link")), ViewErrorKind::NotFound);
            assert_eq!(kind(hook.open("/usr/share/new", OpenMode::ReadUpdate)), ViewErrorKind::NotFound);
            assert_eq!(kind(hook.symlink("", "/usr/share/new")), ViewErrorKind::Invalid, "A28");
            assert_eq!(kind(hook.symlink("a\nb", "/usr/share/new")), ViewErrorKind::Invalid, "A28");
            assert_eq!(kind(hook.symlink(&"x".repeat(4096), "/usr/share/new")), ViewErrorKind::Invalid, "A28");
        });
        assert_eq!(report.effects, []);
        assert_eq!(report.denials, []);
    });
}

#[test]
fn a_link_takes_the_place_of_what_stands_there() {
    both_ways(|| {
        let world = World::new();
        let ((), report) = world.hook(&share(), |hook| {
            hook.symlink("doc", "/usr/share/hello").unwrap();
            assert_eq!(hook.get("/usr/share/hello/bash/README").unwrap(), "read me");
            hook.symlink("one", "/usr/share/link").unwrap();
            hook.symlink("two", "/usr/share/link").unwrap();
        });
        assert_eq!(
            lines(&report.effects),
            ["usr/share/hello -> doc", "usr/share/hello/text -", "usr/share/link -> two"]
        );
    });
}

#[test]
fn abandoning_restores_what_hooks_before_did() {
    both_ways(|| {
        let world = World::new();
        let mut overlay = world.overlay();
        let mut first = world.begin(&mut overlay, "hello", &share());
        first.put("/usr/share/one", "first").unwrap();
        first.put("/usr/share/two", "second").unwrap();
        first.remove("/usr/share/doc").unwrap();
        first.finish().unwrap();
        let before = overlay.changes().unwrap();
        let files = world.staged();

        for end in [0, 1] {
            let mut second = world.begin(&mut overlay, "hello", &share());
            assert_eq!(second.get("/usr/share/one").unwrap(), "first");
            let file = second.open("/usr/share/one", OpenMode::Append).unwrap();
            second.write(file, b" and more").unwrap();
            second.rename("/usr/share/two", "/usr/share/three").unwrap();
            second.put("/usr/share/three", "changed").unwrap();
            second.mkdir("/usr/share/doc/new", 0o755).unwrap();
            second.copy("/usr/share/hello", "/usr/share/four").unwrap();
            assert_eq!(second.get("/usr/share/one").unwrap(), "first and more");
            if end == 0 {
                second.abandon()
            } else {
                drop(second)
            }
            assert_eq!(overlay.changes().unwrap(), before);
            assert_eq!(world.staged(), files);
        }
        let mut third = world.begin(&mut overlay, "hello", &share());
        assert_eq!(third.get("/usr/share/one").unwrap(), "first");
        assert_eq!(third.get("/usr/share/two").unwrap(), "second");
        third.remove("/usr/share/one").unwrap();
        third.rename("/usr/share/two", "/usr/share/three").unwrap();
        let report = third.finish().unwrap();
        assert_eq!(lines(&report.effects), ["usr/share/one -", "usr/share/three 644 6", "usr/share/two -"]);
        assert_eq!(world.staged(), 1, "files that no path leads to are deleted");
    });
}
