//! Roots of all kinds.

use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;

use packets_tests::{Package, TestEnvironment, as_somebody, is_root, program, skip};

#[test]
fn a32_a_merged_usr_is_followed() {
    TestEnvironment::with_and_without_openat2(|environment| {
        for folder in ["usr/bin", "usr/lib", "srv/opt"] {
            std::fs::create_dir_all(environment.at(folder)).unwrap();
        }
        symlink("usr/bin", environment.at("bin")).unwrap();
        symlink("/usr/lib", environment.at("lib")).unwrap();
        symlink("/srv/opt", environment.at("opt")).unwrap();
        let hook = "assert(os.symlink(path_join(data_dir, 'tool'), '/bin/tool'))";
        let package = Package::new("tool", "1").executable("tool", "#!/bin/sh\necho tool\n").install(hook);
        environment.install(&package).ok();
        assert_eq!(environment.launch("bin/tool", &[]), "tool\n");
        assert!(environment.exists("srv/opt/packets/tool/data/tool"));
        // /bin/x is /usr/bin/x: another package cannot have it by the other name.
        let other =
            Package::new("other", "1").install("assert(os.symlink(path_join(data_dir, 'name'), '/usr/bin/tool'))");
        environment.install(&other).fails(6).says("/usr/bin/tool");
        environment.run(&["remove", "tool"]).ok();
        assert!(!environment.exists("usr/bin/tool") && !environment.exists("srv/opt/packets/tool"));
    });
}

#[test]
fn a32_links_of_the_root_never_lead_out_of_it() {
    TestEnvironment::with_and_without_openat2(|environment| {
        let outside = environment.outside();
        std::fs::create_dir_all(environment.at("usr")).unwrap();
        // Below the root, this names a folder of the root.
        symlink(&outside, environment.at("usr/share")).unwrap();
        symlink("../../outside", environment.at("usr/bin")).unwrap();
        let hook = "os.symlink(path_join(data_dir, 'tool'), path_join(packets_bin_dir, 'tool')) os.mkdir('/usr/share/doc', 493)";
        let package = Package::new("tool", "1").executable("tool", "#!/bin/sh\n").install(hook);
        let _ = environment.install(&package);
        environment.check();
    });
}

#[test]
fn an_ordinary_user_has_roots_too() {
    let Some(words) = as_somebody() else { return skip("needs setpriv to become an ordinary user") };
    let mut environment = TestEnvironment::new();
    if is_root() {
        // The program where an ordinary user can run it.
        let copy = environment.place().join("packets");
        std::fs::copy(program(), &copy).unwrap();
        give(environment.place());
        let root = environment.root();
        let folder = Package::program("tool", "1").write(&environment.work());
        give(environment.place());
        let run = |arguments: &[&str]| {
            let mut command = std::process::Command::new(&words[0]);
            command.args(&words[1..]).arg(&copy).args(["--root", root.to_str().unwrap(), "--yes"]).args(arguments);
            command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", environment.place().join("tmp"));
            let output = command.current_dir(environment.work()).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run(&["install", folder.to_str().unwrap()]);
        assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
        assert_eq!(environment.at("opt/packets/tool").metadata().unwrap().uid(), 65534);
        run(&["remove", "tool"]);
        assert!(!environment.exists("usr/bin/tool"));
    } else {
        environment.run_by(words);
        environment.install(&Package::program("tool", "1")).ok();
        assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
        environment.run(&["remove", "tool"]).ok();
    }
}

fn give(folder: &Path) {
    for path in packets_tests::Snapshot::of(folder).0.keys() {
        // The tree outside stays root's, so that it would show.
        if !path.starts_with("./outside") {
            std::os::unix::fs::lchown(folder.join(path), Some(65534), Some(65534)).unwrap();
        }
    }
    chown(folder, Some(65534), Some(65534)).unwrap();
}

#[test]
fn a_package_root_that_does_not_exist_is_made() {
    let environment = TestEnvironment::new();
    let folder = Package::program("tool", "1").write(&environment.work());
    let root = environment.work().join("new/root");
    environment.run_plain(&["--root", root.to_str().unwrap(), "--yes", "install", folder.to_str().unwrap()]).ok();
    assert!(root.join("usr/bin/tool").symlink_metadata().is_ok());
    environment.run_plain(&["--root", "new/absent", "list"]).fails(1).says("new/absent");
}

#[test]
fn the_packages_folder_is_readable_whatever_the_archive_and_the_umask_say() {
    let environment = TestEnvironment::new();
    let mut command = std::process::Command::new("sh");
    let folder = Package::program("tool", "1").write(&environment.work());
    command.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(program());
    command.args(["--root", environment.root().to_str().unwrap(), "--yes", "install", folder.to_str().unwrap()]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", environment.place().join("tmp"));
    assert!(command.output().unwrap().status.success(), "C31 umask 077");
    let mode = |path: &str| environment.at(path).metadata().unwrap().mode() & 0o7777;
    assert_eq!(
        [mode("opt/packets/tool"), mode("opt/packets/tool/manifest.toml"), mode("usr/bin")],
        [0o755, 0o644, 0o755]
    );
}
