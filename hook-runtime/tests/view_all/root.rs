//! Targets other than the running system.

use packets_plugin_api::hook::StagedView;

use crate::world::{Given, Work, World, both_ways, changes, denied, lines};

#[test]
fn links_on_a_relocated_target_work_from_outside_and_inside() {
    both_ways(|| {
        let mut world = World::new();
        world.relocated = true;
        let ((), report) = world.hook(&Given::allow(&["/bin", "/usr/share"]), |hook| {
            hook.symlink("/opt/packets/hello/data/hello", "/bin/hello").unwrap();
            assert_eq!(hook.get("/usr/bin/hello").unwrap(), "binary");
            hook.symlink("hello", "/bin/again").unwrap();
            hook.symlink("../../../../../outside/secret", "/bin/out").unwrap();
            denied(hook.get("/bin/out"));
            hook.rename("/bin/hello", "/usr/share/hello/moved").unwrap();
            assert_eq!(hook.get("/usr/share/hello/moved").unwrap(), "binary");
        });
        assert_eq!(
            lines(&report.effects),
            [
                "usr/bin/again -> hello",
                "usr/bin/out -> ../../outside/secret",
                "usr/share/hello/moved -> ../../../opt/packets/hello/data/hello",
            ]
        );
        let packets_plugin_api::hook::EffectKind::Symlink { asked, stored } = &report.effects[2].becomes else {
            panic!()
        };
        assert_eq!(asked, "/opt/packets/hello/data/hello");
        let seen = world.at("usr/share/hello").join(stored).canonicalize().unwrap();
        assert_eq!(seen, world.at("opt/packets/hello/data/hello").canonicalize().unwrap());
    });
}

#[test]
fn absolute_links_begin_at_the_targets_root() {
    both_ways(|| {
        let mut world = World::new();
        world.relocated = true;
        std::os::unix::fs::symlink("/usr/share/hello", world.at("usr/bin/there")).unwrap();
        std::os::unix::fs::symlink("/../../../usr/share/hello/text", world.at("usr/bin/up")).unwrap();
        world.settle();
        world.hook(&Given::allow(&["/usr/bin", "/usr/share"]), |hook| {
            assert_eq!(hook.get("/usr/bin/there/text").unwrap(), "hello");
            assert_eq!(hook.get("/usr/bin/up").unwrap(), "hello");
        });
    });
}

#[test]
fn a_granted_folder_that_is_missing_is_made() {
    both_ways(|| {
        let world = World::new();
        let given = Given::allow(&["/opt/tools/bin", "/usr/share/fresh"]);
        let mut overlay = world.overlay();
        let mut hook = world.begin(&mut overlay, "hello", &given);
        hook.symlink("x", "/opt/tools/bin/tool").unwrap();
        hook.mkdir("/usr/share/fresh/in", 0o755).unwrap();
        denied(hook.mkdir("/opt/tools/lib", 0o755));
        let report = hook.finish().unwrap();
        assert_eq!(
            lines(&report.effects),
            [
                "opt/tools/ 755",
                "opt/tools/bin/ 755",
                "opt/tools/bin/tool -> x",
                "usr/share/fresh/ 755",
                "usr/share/fresh/in/ 755"
            ]
        );
        // The second package asks for the folder as well by going through it only when it says so.
        let mut other = world.begin(&mut overlay, "other", &given);
        other.symlink("y", "/opt/tools/bin/second").unwrap();
        other.mkdir("/usr/share/fresh", 0o755).unwrap();
        other.finish().unwrap();
        assert_eq!(changes(&overlay).unwrap()[3], "opt/tools/bin/tool [hello]");
        assert!(changes(&overlay).unwrap().contains(&"usr/share/fresh [hello, other]".to_owned()));
        let parents: Vec<bool> = overlay.changes().unwrap().iter().map(|change| change.parent.is_some()).collect();
        assert_eq!(parents, [true, false, false, false, true, false]);
    });
}
