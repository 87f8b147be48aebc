//! Whose a path is, and who may change it.

use packets_plugin_api::hook::{HookKind, OpenMode, PolicyLine, StagedView};

use crate::world::{
    Given, Record, Work, World, both_ways, changes, denied, lines, name, path, set_mode, without_handles,
};

fn line(right: &str, path: &str) -> Option<PolicyLine> {
    Some(PolicyLine { right: right.to_owned(), path: path.to_owned() })
}

#[test]
fn the_shell_stays_though_its_folder_is_granted() {
    both_ways(|| {
        let mut world = World::new();
        let attempt = |world: &World, given: Given| {
            let ((), report) = world.hook(&given, |hook| {
                hook.at_line(3);
                denied(hook.remove("/usr/bin/bash"));
                denied(hook.put("/usr/bin/bash", "mine"));
                denied(hook.symlink("x", "/bin/bash"));
                denied(hook.rename("/usr/bin/bash", "/usr/bin/other"));
                denied(hook.copy("/opt/packets/hello/data/hello", "/usr/bin/bash"));
                denied(hook.open("/usr/bin/bash", OpenMode::Append));
                denied(hook.remove("/usr/bin"));
                denied(hook.remove("/usr"));
                assert_eq!(hook.get("/usr/bin/bash").unwrap(), "the shell");
            });
            assert_eq!(report.effects, []);
            report.denials[0].clone()
        };
        let denial = attempt(&world, Given::allow(&["/usr/bin"]));
        assert_eq!((denial.operation.as_str(), denial.path.as_str(), denial.line), ("remove", "/usr/bin/bash", 3));
        assert_eq!(denial.would_allow, line("replace", "/usr/bin/bash"));
        world.record = Record::default().with("bash", &["/usr/bin/bash"]);
        let denial = attempt(&world, Given::allow(&["/usr/bin"]));
        assert_eq!(denial.would_allow, line("replace", "/usr/bin/bash"));
        assert_eq!(denial.reason, "it belongs to bash");
        let denial = attempt(&world, Given::write(&["/usr/bin"]));
        assert_eq!(denial.would_allow, line("replace", "/usr/bin/bash"));
    });
}

#[test]
fn hints_name_the_narrowest_grant() {
    both_ways(|| {
        let world = World::new();
        let given = Given { read: vec!["/srv"], ..Given::default() };
        let ((), report) = world.hook(&given, |hook| {
            denied(hook.put("/etc/nginx/new", "x"));
            denied(hook.mkdir("/etc/hello", 0o755));
            denied(hook.mkdir("/etc/hello/deep", 0o755));
            denied(hook.get("/etc/nginx/nginx.conf"));
            denied(hook.put("/srv/new", "x"));
            denied(hook.get("/etc/packets/config.toml"));
        });
        let hints: Vec<_> = report.denials.into_iter().map(|denial| denial.would_allow).collect();
        let expected = [
            line("write", "/etc/nginx/new"),
            line("write", "/etc/hello"),
            line("write", "/etc/hello/deep"),
            line("read", "/etc/nginx/nginx.conf"),
            line("write", "/srv/new"),
            None,
        ];
        assert_eq!(hints, expected);
    });
}

#[test]
fn write_reaches_what_nobody_owns() {
    both_ways(|| {
        let mut world = World::new();
        world.record = Record::default().with("www", &["/srv/web"]);
        let ((), report) = world.hook(&Given::write(&["/etc/nginx", "/srv"]), |hook| {
            hook.put("/etc/nginx/nginx.conf", "workers 2").unwrap();
            hook.remove("/srv/web/closed").unwrap();
            denied(hook.remove("/srv/web"));
            denied(hook.remove("/etc/nginx"));
            denied(hook.rename("/etc/nginx", "/srv/nginx"));
            denied(hook.put("/etc/passwd", "x"));
        });
        assert_eq!(lines(&report.effects), ["etc/nginx/nginx.conf 644 9", "srv/web/closed -"]);
    });
}

#[test]
fn an_upgrade_owns_what_the_old_release_made() {
    both_ways(|| {
        let mut world = World::new();
        let given = Given::allow(&["/usr/bin", "/usr/share/hello"]);
        world.record = Record::default()
            .with("hello-1", &["/usr/bin/bash", "/usr/share/hello"])
            .with("hello-0", &["/usr/share/hello/text"]);
        let (result, _) = world.hook(&given, |hook| hook.remove("/usr/bin/bash"));
        denied(result);
        world.may_replace = vec![name("hello-1")];
        let ((), report) = world.hook(&given, |hook| {
            hook.symlink("/opt/packets/hello/data/hello", "/usr/bin/bash").unwrap();
            denied(hook.remove("/usr/share/hello/text"));
            denied(hook.remove("/usr/share/hello"));
        });
        assert_eq!(lines(&report.effects), ["usr/bin/bash -> /opt/packets/hello/data/hello"]);
        assert!(!report.effects[0].displaces);
        world.may_replace.push(name("hello-0"));
        let ((), report) = world.hook(&given, |hook| hook.remove("/usr/share/hello").unwrap());
        assert_eq!(lines(&report.effects), ["usr/share/hello -", "usr/share/hello/text -"]);
    });
}

#[test]
fn replace_displaces_one_path_of_others() {
    both_ways(|| {
        let mut world = World::new();
        world.record = Record::default().with("bash", &["/usr/bin/bash", "/usr/bin/su"]);
        let given = Given { replace: vec!["/usr/bin/bash", "/etc/nginx/nginx.conf"], ..Given::default() };
        let mut overlay = world.overlay();
        let mut hook = world.begin(&mut overlay, "hello", &given);
        hook.remove("/usr/bin/bash").unwrap();
        hook.symlink("x", "/bin/bash").unwrap();
        hook.put("/etc/nginx/nginx.conf", "x").unwrap();
        denied(hook.remove("/usr/bin/su"));
        denied(hook.put("/usr/bin/new", "x"));
        let report = hook.finish().unwrap();
        assert_eq!(lines(&report.effects), ["etc/nginx/nginx.conf 644 1 displaces", "usr/bin/bash -> x displaces"]);
        assert!(overlay.changes().unwrap().iter().all(|change| change.displaces && change.old.is_some()));

        // A path that one package displaces is no other's to take.
        let mut hook = world.begin(&mut overlay, "hello", &given);
        hook.remove("/usr/bin/bash").unwrap();
        hook.finish().unwrap();
        let mut other = world.begin(&mut overlay, "other", &Given::write(&["/usr/bin"]));
        denied(other.put("/usr/bin/bash", "x"));
    });
}

#[test]
fn two_packages_and_one_path_are_a_conflict() {
    both_ways(|| {
        let world = World::new();
        let given = Given::write(&["/usr/bin"]);
        let mut overlay = world.overlay();
        let mut first = world.begin(&mut overlay, "hello", &given);
        first.put("/usr/bin/tool", "one").unwrap();
        first.finish().unwrap();
        let mut second = world.begin(&mut overlay, "other", &given);
        denied(second.put("/usr/bin/tool", "two"));
        denied(second.remove("/usr/bin/tool"));
        assert_eq!(second.get("/usr/bin/tool").unwrap(), "one");
        assert!(second.denials()[0].reason.contains("hello makes it"), "{:?}", second.denials());
        second.finish().unwrap();
        assert_eq!(changes(&overlay).unwrap(), ["usr/bin/tool [hello]"]);
    });
}

#[test]
fn a_folder_belongs_to_all_that_asked_for_it() {
    both_ways(|| {
        let mut world = World::new();
        world.record = Record::default().with("old", &["/usr/share/hello"]);
        let given = Given::write(&["/usr/share"]);
        let mut overlay = world.overlay();
        let mut first = world.begin(&mut overlay, "hello", &given);
        first.mkdir("/usr/share/shared", 0o750).unwrap();
        first.mkdir("/usr/share/hello", 0o755).unwrap();
        first.mkdir("/usr/share/doc", 0o755).unwrap();
        let report = first.finish().unwrap();
        // What a hook made is asked for, too; what nobody made is not.
        assert_eq!(lines(&report.effects), ["usr/share/hello/ 755", "usr/share/shared/ 750"]);
        let mut second = world.begin(&mut overlay, "other", &given);
        second.mkdir("/usr/share/shared", 0o755).unwrap();
        second.copy("/usr/share/doc", "/usr/share/shared").unwrap();
        denied(second.remove("/usr/share/shared"));
        let report = second.finish().unwrap();
        assert_eq!(lines(&report.effects)[0], "usr/share/shared/ 750");
        assert_eq!(
            changes(&overlay).unwrap(),
            [
                "usr/share/hello [hello]",
                "usr/share/shared [hello, other]",
                "usr/share/shared/bash [other]",
                "usr/share/shared/bash/README [other]"
            ]
        );
        let mut first = world.begin(&mut overlay, "hello", &given);
        denied(first.remove("/usr/share/shared"));
        denied(first.remove("/usr/share/hello"));
    });
}

#[test]
fn of_its_own_folder_a_hook_has_data() {
    both_ways(|| {
        let world = World::new();
        let ((), report) = world.hook(&Given::write(&["/opt"]), |hook| {
            assert_eq!(hook.get("/opt/packets/hello/manifest.toml").unwrap(), "[Info]");
            assert_eq!(hook.get("/opt/packets/hello/install.lua").unwrap(), "print()");
            for closed in ["manifest.toml", "install.lua", "other", "data2"] {
                denied(hook.put(&format!("/opt/packets/hello/{closed}"), "x"));
                denied(hook.remove(&format!("/opt/packets/hello/{closed}")));
            }
            denied(hook.remove("/opt/packets/hello"));
            denied(hook.remove("/opt/packets/hello/data"));
            denied(hook.remove("/opt/packets"));
            denied(hook.remove("/opt"));
            denied(hook.rename("/opt/packets/hello", "/opt/x"));
            denied(hook.put("/opt/packets/hello/data/.ssh", "x"));
            denied(hook.put("/opt/packets/new", "x"));
            hook.put("/opt/packets/hello/data/hello", "new").unwrap();
            hook.mkdir("/opt/packets/hello/data/state", 0o755).unwrap();
        });
        assert_eq!(lines(&report.effects), ["opt/packets/hello/data/hello 755 3", "opt/packets/hello/data/state/ 755"]);
    });
}

#[test]
fn h28_wide_grants_open_nothing_that_is_closed() {
    both_ways(|| {
        let mut world = World::new();
        std::fs::remove_dir(world.at("var/cache/packets")).unwrap();
        std::os::unix::fs::symlink("/srv/web", world.at("var/cache/packets")).unwrap();
        world.settle();
        let given = Given::write(&["/etc", "/var", "/root", "/usr", "/srv", "/proc", "/"]);
        let mut overlay = world.overlay();
        let mut hook = world.begin(&mut overlay, "hello", &given);
        for closed in [
            "/etc/packets/config.toml",
            "/etc/packets/new",
            "/etc/packets",
            "/var/lib/packets/x",
            "/var/cache/packets",
            "/var/cache/packets/x",
            "/srv/web/x",
            "/root/.ssh/id",
            "/root/.ssh/new",
            "/usr/bin/packets",
            "/usr/share/dbus-1/x",
            "/usr/lib/packets/plugins/x.so",
            "/usr/.packets-1/x",
            "/proc/x",
            "/boot/x",
            "/dev/x",
        ] {
            denied(hook.put(closed, "x"));
            denied(hook.remove(closed));
            denied(hook.rename("/etc/passwd", closed));
        }
        // What lies above something closed stays, whatever it is.
        for above in ["/etc", "/var", "/var/lib", "/var/cache", "/usr/share", "/srv", "/root"] {
            denied(hook.remove(above));
            denied(hook.symlink("/tmp", above));
        }
        hook.remove("/etc/nginx").unwrap();
        assert!(hook.refused().iter().any(|refused| refused.path == path("/proc")), "{:?}", hook.refused());
        assert!(hook.refused().iter().any(|refused| refused.path.is_root()), "{:?}", hook.refused());
    });
}

#[test]
fn h28_no_hook_begins_while_nobody_knows_where_a_closed_path_leads() {
    let world = World::new();
    let attempt = || {
        let mut overlay = world.overlay();
        // The folder of the package is found; what is closed is looked for only when a hook begins.
        overlay.look(&path("/opt/packets/hello/data/hello")).unwrap();
        without_handles();
        let begun = overlay.begin(world.context("hello", HookKind::Install, &Given::write(&["/srv"])));
        begun.err().map(|error| error.to_string())
    };
    let error = std::thread::scope(|scope| scope.spawn(attempt).join()).unwrap().unwrap();
    assert!(error.contains("cannot find /") && !error.contains("hello"), "{error}");
}

#[test]
fn a31_a_link_of_a_hook_carries_no_grant_elsewhere() {
    both_ways(|| {
        let mut world = World::new();
        let given = Given::allow(&["/usr/share/fonts", "/usr/share/fonts/deep", "/usr/share/mine"]);
        let mut overlay = world.overlay();
        let mut first = world.begin(&mut overlay, "hello", &given);
        first.symlink("/etc", "/usr/share/fonts").unwrap();
        first.symlink("/opt/packets/hello/data", "/usr/share/mine").unwrap();
        first.finish().unwrap();
        let mut second = world.begin(&mut overlay, "other", &given);
        denied(second.put("/usr/share/fonts/new", "x"));
        denied(second.put("/etc/new", "x"));
        denied(second.remove("/usr/share/fonts"));
        assert_eq!(second.refused().len(), 1);
        second.abandon();

        // The same once they are on the disk: the owner can still take its links away.
        std::os::unix::fs::symlink("/etc", world.at("usr/share/fonts")).unwrap();
        std::os::unix::fs::symlink("/opt/packets/hello/data", world.at("usr/share/mine")).unwrap();
        world.settle();
        world.record = Record::default().with("hello", &["/usr/share/fonts", "/usr/share/mine"]);
        let ((), report) = world.hook(&given, |hook| {
            denied(hook.put("/usr/share/fonts/new", "x"));
            denied(hook.put("/etc/new", "x"));
            hook.put("/usr/share/mine/new", "x").unwrap();
            hook.remove("/usr/share/fonts").unwrap();
            hook.remove("/usr/share/mine").unwrap();
        });
        let expected = ["opt/packets/hello/data/new 644 1", "usr/share/fonts -", "usr/share/mine -"];
        assert_eq!(lines(&report.effects), expected);
    });
}

#[test]
fn a_grant_through_a_folder_that_others_may_write_is_not_in_force() {
    both_ways(|| {
        let mut world = World::new();
        std::os::unix::fs::symlink("/etc/nginx", world.at("srv/link")).unwrap();
        set_mode(&world.at("srv"), 0o777);
        world.settle();
        let ((), report) = world.hook(&Given::write(&["/srv/link"]), |hook| denied(hook.put("/etc/nginx/new", "x")));
        assert_eq!(report.effects, []);
    });
}

#[test]
fn a_folder_that_others_may_write_is_not_granted() {
    both_ways(|| {
        let mut world = World::new();
        set_mode(&world.at("srv"), 0o1777);
        set_mode(&world.at("usr/share/hello"), 0o775);
        world.settle();
        let given = Given::write(&["/srv/web", "/usr/share/hello", "/usr/share"]);
        let ((), report) = world.hook(&given, |hook| {
            denied(hook.put("/srv/web/new", "x"));
            hook.put("/usr/share/new", "x").unwrap();
            assert_eq!(hook.refused().len(), 2);
        });
        assert!(report.denials[0].reason.contains("others may write in /srv (mode 1777)"), "{:?}", report.denials);
        assert_eq!(report.denials[0].would_allow, None);
        // Below a relocated root of one's own it does not matter.
        world.relocated = true;
        let (done, _) = world.hook(&given, |hook| hook.put("/srv/web/new", "x"));
        done.unwrap();
    });
}

#[test]
fn a_remove_hook_takes_what_its_package_made() {
    both_ways(|| {
        let mut world = World::new();
        world.record = Record::default().with("hello", &["/usr/share/hello", "/usr/share/hello/text"]);
        let mut overlay = world.overlay();
        let given = Given::allow(&["/usr/bin", "/usr/share/hello"]);
        let mut hook = overlay.begin(world.context("hello", HookKind::Remove, &given)).unwrap();
        hook.remove("/usr/share/hello").unwrap();
        hook.remove("/usr/bin/nothing").unwrap();
        hook.put("/opt/packets/hello/data/log", "bye").unwrap();
        let report = hook.finish().unwrap();
        assert_eq!(
            lines(&report.effects),
            ["opt/packets/hello/data/log 644 3", "usr/share/hello -", "usr/share/hello/text -"]
        );
    });
}
