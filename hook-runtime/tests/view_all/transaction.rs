//! The host's side: trees that come, folders that go, and what is left to commit.

use packets_hook_runtime::folder::Folder;
use packets_hook_runtime::view::{Becomes, Dropped, Overlay, Seen};
use packets_plugin_api::hook::{HookKind, StagedView, ViewErrorKind};

use crate::world::{Given, Record, Work, World, both_ways, changes, denied, kind, lines, name, path};

/// A staged tree in a folder of its own.
fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(tree.path().join("data/lib/old")).unwrap();
    for (file, text) in [("manifest.toml", "new"), ("data/hello", "two"), ("data/lib/x", "x"), ("data/lib/old/y", "y")]
    {
        std::fs::write(tree.path().join(file), text).unwrap();
    }
    tree
}

fn placed(world: &World, tree: &tempfile::TempDir, folder: &str) -> Overlay {
    let mut overlay = world.overlay();
    overlay.place(&name("hello"), &path(folder), Folder::open_ambient(tree.path()).unwrap()).unwrap();
    overlay
}

#[test]
fn a_new_tree_hides_the_old_and_takes_what_hooks_do_in_it() {
    both_ways(|| {
        let (world, tree) = (World::new(), tree());
        let folder = path("/opt/packets/hello");
        let mut overlay = placed(&world, &tree, "/opt/packets/hello");
        let mut hook = world.begin(&mut overlay, "hello", &Given::allow(&["/usr/bin"]));
        let own = |rest: &str| format!("/opt/packets/hello/{rest}");
        assert_eq!(hook.get(&own("manifest.toml")).unwrap(), "new");
        assert_eq!(hook.get(&own("data/hello")).unwrap(), "two");
        assert_eq!(kind(hook.get(&own("install.lua"))), ViewErrorKind::NotFound);
        hook.put(&own("data/made"), "made").unwrap();
        hook.put(&own("data/hello"), "three").unwrap();
        hook.remove(&own("data/lib")).unwrap();
        hook.symlink("made", &own("data/lib")).unwrap();
        hook.mkdir(&own("data/state/deep"), 0o700).unwrap();
        hook.copy(&own("data/made"), &own("data/state/deep/copy")).unwrap();
        hook.symlink(&own("data/hello"), "/usr/bin/hello").unwrap();
        let report = hook.finish().unwrap();
        assert_eq!(changes(&overlay).unwrap(), ["usr/bin/hello [hello]"]);

        let effects = overlay.fold_into_tree(&folder).unwrap();
        let expected = [
            "opt/packets/hello/data/hello 644 5",
            "opt/packets/hello/data/lib -> made",
            "opt/packets/hello/data/lib/old -",
            "opt/packets/hello/data/lib/old/y -",
            "opt/packets/hello/data/lib/x -",
            "opt/packets/hello/data/made 644 4",
            "opt/packets/hello/data/state/ 755",
            "opt/packets/hello/data/state/deep/ 700",
            "opt/packets/hello/data/state/deep/copy 644 4",
        ];
        assert_eq!(lines(&effects), expected);
        assert_eq!(lines(&report.effects)[..9], expected);
        let read = |rest: &str| std::fs::read_to_string(tree.path().join(rest)).unwrap();
        assert_eq!(
            (read("data/hello"), read("data/lib"), read("data/state/deep/copy")),
            ("three".into(), "made".into(), "made".into())
        );
        assert_eq!(world.staged(), 0);

        // A later hook sees the tree as it is now, from afar: another package's folder is closed to it.
        assert_eq!(
            overlay.look(&path("/opt/packets/hello/data/lib")).unwrap(),
            Some(Seen::Symlink { stored: "made".into() })
        );
        let mut other = world.begin(&mut overlay, "other", &Given::default());
        denied(other.get("/opt/packets/hello/data/hello"));
    });
}

#[test]
fn a_tree_comes_where_no_folder_is_yet() {
    both_ways(|| {
        let (mut world, tree) = (World::new(), tree());
        std::fs::remove_dir_all(world.at("opt")).unwrap();
        world.settle();
        let mut overlay = placed(&world, &tree, "/opt/packets/hello");
        let mut hook = world.begin(&mut overlay, "hello", &Given::default());
        assert_eq!(hook.get("/opt/packets/hello/data/hello").unwrap(), "two");
        hook.put("/opt/packets/hello/data/new", "n").unwrap();
        hook.finish().unwrap();
        assert_eq!(overlay.changes().unwrap(), []);
        assert_eq!(overlay.fold_into_tree(&path("/opt/packets/hello")).unwrap().len(), 1);
    });
}

#[test]
fn a_tree_comes_beside_another_where_their_folder_leads() {
    both_ways(|| {
        let (mut world, one, other) = (World::new(), tree(), tree());
        std::fs::create_dir_all(world.at("srv/p")).unwrap();
        std::os::unix::fs::symlink("../srv/p", world.at("opt/linked")).unwrap();
        world.settle();
        for (folder, leads_to) in [("/opt/packets", "/opt/packets"), ("/opt/linked", "/srv/p")] {
            let mut overlay = placed(&world, &one, &format!("{folder}/one"));
            let second = Folder::open_ambient(other.path()).unwrap();
            overlay.place(&name("other"), &path(&format!("{folder}/other")), second).unwrap();
            for package in ["one", "other"] {
                let file = path(&format!("{leads_to}/{package}/data/lib/x"));
                assert!(
                    matches!(overlay.look(&file).unwrap(), Some(Seen::File { size: 1, .. })),
                    "{}",
                    file.absolute()
                );
            }
        }
    });
}

#[test]
fn a_hidden_folder_is_gone_for_later_hooks() {
    both_ways(|| {
        let world = World::new();
        let mut overlay = world.overlay();
        let mut hook = overlay.begin(world.context("hello", HookKind::Remove, &Given::allow(&["/usr/bin"]))).unwrap();
        hook.put("/opt/packets/hello/data/log", "bye").unwrap();
        hook.symlink("/opt/packets/hello/data/hello", "/usr/bin/hello").unwrap();
        hook.finish().unwrap();
        overlay.hide(&path("/opt/packets/hello")).unwrap();
        assert_eq!(world.staged(), 0);
        assert_eq!(changes(&overlay).unwrap(), ["usr/bin/hello [hello]"]);
        // What a remove hook creates goes with the package.
        assert_eq!(overlay.drop_path(&name("hello"), &path("/usr/bin/hello")).unwrap(), Dropped::Gone);
        assert_eq!(overlay.changes().unwrap(), []);
        assert_eq!(overlay.look(&path("/opt/packets/hello/manifest.toml")).unwrap(), None);
        let mut other = world.begin(&mut overlay, "other", &Given::allow(&["/usr/bin"]));
        assert_eq!(kind(other.get("/usr/bin/hello")), ViewErrorKind::NotFound);
    });
}

#[test]
fn dropped_paths_are_changes() {
    both_ways(|| {
        let mut world = World::new();
        std::os::unix::fs::symlink("hello", world.at("usr/share/link")).unwrap();
        world.settle();
        world.record = Record::default().with("hello", &["/usr/share/hello", "/usr/share/hello/text"]);
        let mut overlay = world.overlay();
        let mut drop = |text: &str| overlay.drop_path(&name("hello"), &path(text)).unwrap();
        assert_eq!(drop("/usr/share/hello"), Dropped::NotEmpty);
        assert_eq!(drop("/usr/share/link/text"), Dropped::NothingThere, "no link is followed");
        assert_eq!(drop("/usr/share/nothing"), Dropped::NothingThere);
        assert_eq!(drop("/usr/share/hello/text"), Dropped::Gone);
        assert_eq!(drop("/usr/share/hello/text"), Dropped::NothingThere);
        assert_eq!(drop("/usr/share/hello"), Dropped::Gone);
        assert_eq!(changes(&overlay).unwrap(), ["usr/share/hello [hello]", "usr/share/hello/text [hello]"]);
        assert!(
            overlay
                .changes()
                .unwrap()
                .iter()
                .all(|change| { change.becomes == Becomes::Absent && change.old.is_some() && change.parent.is_some() })
        );
        let mut other = world.begin(&mut overlay, "other", &Given::allow(&["/usr/share"]));
        other.mkdir("/usr/share/hello", 0o755).unwrap();
        other.put("/usr/share/hello/text", "other").unwrap();
        other.finish().unwrap();
        assert_eq!(overlay.drop_path(&name("hello"), &path("/usr/share/hello/text")).unwrap(), Dropped::Kept);
        let all = overlay.changes().unwrap();
        assert_eq!(changes(&overlay).unwrap(), ["usr/share/hello [other]", "usr/share/hello/text [other]"]);
        assert!(all.iter().all(|change| change.old.is_some()), "what the disk holds is what was first met there");
    });
}

#[test]
fn hooks_in_a_row_see_each_other() {
    both_ways(|| {
        let world = World::new();
        let given = Given::allow(&["/usr/bin", "/usr/share"]);
        let mut overlay = world.overlay();
        let mut first = world.begin(&mut overlay, "hello", &given);
        first.mkdir("/usr/share/plugins", 0o755).unwrap();
        first.put("/usr/share/plugins/one", "1").unwrap();
        first.symlink("/usr/share/plugins", "/usr/bin/plugins").unwrap();
        first.finish().unwrap();
        let mut second = world.begin(&mut overlay, "other", &given);
        assert_eq!(second.get("/usr/bin/plugins/one").unwrap(), "1");
        second.put("/usr/bin/plugins/two", "2").unwrap();
        let report = second.finish().unwrap();
        assert_eq!(lines(&report.effects), ["usr/share/plugins/two 644 1"]);
        assert_eq!(
            changes(&overlay).unwrap(),
            [
                "usr/bin/plugins [hello]",
                "usr/share/plugins [hello]",
                "usr/share/plugins/one [hello]",
                "usr/share/plugins/two [other]"
            ]
        );
        assert_eq!(
            overlay.look(&path("/usr/share/plugins/one")).unwrap(),
            Some(Seen::File { mode: 0o644, size: 1, staged: true })
        );
    });
}

#[test]
fn h22_what_was_granted_to_one_hook_is_not_the_next_ones() {
    both_ways(|| {
        let world = World::new();
        let mut overlay = world.overlay();
        let given = Given::allow(&["/usr/share", "/usr/share/a/b", "/opt/packets/hello/data"]);
        let mut first = world.begin(&mut overlay, "hello", &given);
        first.put("/opt/packets/hello/data/own", "own").unwrap();
        first.symlink("/etc", "/usr/share/a").unwrap();
        first.finish().unwrap();

        let narrow = Given::allow(&["/usr/share/a/b", "/opt/packets/hello/data"]);
        let mut second = world.begin(&mut overlay, "other", &narrow);
        denied(second.get("/opt/packets/hello/data/own"));
        denied(second.put("/opt/packets/hello/data/own", "not its own"));
        denied(second.put("/usr/share/a/b/x", "through a link of another hook"));
        denied(second.mkdir("/etc/b", 0o755));
        second.finish().unwrap();

        let mut third = world.begin(&mut overlay, "hello", &given);
        third.remove("/usr/share/a").unwrap();
        third.mkdir("/usr/share/a/b", 0o755).unwrap();
        third.finish().unwrap();
        let mut fourth = world.begin(&mut overlay, "other", &narrow);
        fourth.put("/usr/share/a/b/x", "a folder by now").unwrap();
        let report = fourth.finish().unwrap();
        assert_eq!(lines(&report.effects), ["usr/share/a/b/x 644 15"], "H22");
    });
}
