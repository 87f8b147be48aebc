//! Another process at work on the target while a hook runs.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use packets_plugin_api::hook::StagedView;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::world::{Given, Work, World, both_ways};

const SWAPS: u32 = 10_000;

#[test]
fn h24_a33_a_folder_that_turns_into_a_link_and_back() {
    both_ways(|| {
        let mut world = World::new();
        let share = world.at("usr/share");
        std::fs::create_dir_all(share.join("swap/in")).unwrap();
        std::fs::write(share.join("swap/secret"), "inside").unwrap();
        symlink(world.outside(), share.join("link")).unwrap();
        symlink("../../../outside", share.join("up")).unwrap();
        world.settle();
        let done = AtomicBool::new(false);
        let mut overlay = world.overlay();
        let mut reads = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let at = |name: &str| share.join(name);
                for round in 0..SWAPS {
                    let other = if round % 4 < 2 { "link" } else { "up" };
                    renameat_with(CWD, at("swap"), CWD, at(other), RenameFlags::EXCHANGE).unwrap();
                }
                done.store(true, Ordering::Release);
            });
            let given = Given::write(&["/usr/share"]);
            while !done.load(Ordering::Acquire) {
                // A session each, and an overlay now and then, so that handles are opened anew.
                if reads % 16 == 0 {
                    overlay = world.overlay();
                }
                reads += 1;
                let mut hook = world.begin(&mut overlay, "hello", &given);
                if let Ok(text) = hook.get("/usr/share/swap/secret") {
                    assert_eq!(text, "inside", "H24: it read what lies outside");
                }
                assert!(hook.get("/usr/share/swap/in/deep").is_err(), "H24");
                let _ = hook.put("/usr/share/swap/new", "x");
                let _ = hook.mkdir("/usr/share/swap/in/new", 0o755);
                let _ = hook.remove("/usr/share/swap/secret");
                let _ = hook.copy("/usr/share/swap", "/usr/share/copy");
                assert!(hook.get("/usr/share/copy/in/deep").is_err(), "H24");
                hook.abandon();
            }
        });
        assert!(reads > 10, "H24: {reads} rounds");
        assert_eq!(world.staged(), 0);
        // An even number of swaps: all is as it was, but for the times of the folder.
        assert_eq!(std::fs::read_to_string(world.outside().join("secret")).unwrap(), "outside");
        assert_eq!(std::fs::read_dir(world.outside()).unwrap().count(), 2);
        assert_eq!(std::fs::read_dir(world.outside().join("in")).unwrap().count(), 1);
        assert!(!share.join("swap/new").exists() && share.join("swap/in").is_dir());
        world.settle();
    });
}
