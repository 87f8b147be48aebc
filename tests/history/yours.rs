//! The administrator's own files in a package's folder: nothing of them is lost, opened or taken from its owner.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use packets_tests::{Package, TestEnvironment, is_root, on_path, skip};

fn installed() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.install(&Package::program("tool", "1")).ok();
    environment
}

#[test]
fn a_closed_folder_stays_closed_and_keeps_its_owner() {
    let environment = installed();
    environment.put("opt/packets/tool/var/key", "secret\n");
    environment.put("opt/packets/tool/data/deep/er/file", "x\n");
    fs::create_dir(environment.at("opt/packets/tool/empty")).unwrap();
    let set = |path: &str, mode| fs::set_permissions(environment.at(path), fs::Permissions::from_mode(mode)).unwrap();
    set("opt/packets/tool/var", 0o700);
    set("opt/packets/tool/empty", 0o1777);
    set("opt/packets/tool/data/deep", 0o2750);
    if is_root() {
        chown(environment.at("opt/packets/tool/var"), Some(65534), Some(65534)).unwrap();
    }
    let look = |path: &str| {
        let data = environment.at(path).metadata().unwrap();
        (data.mode() & 0o7777, data.uid(), data.gid())
    };
    let paths = ["opt/packets/tool/var", "opt/packets/tool/empty", "opt/packets/tool/data/deep"];
    let before = paths.map(look);
    environment.install(&Package::program("tool", "2").data("deep/own", "the release has that folder too\n")).ok();
    assert_eq!([look(paths[0]), look(paths[1])], [before[0], before[1]], "after the upgrade");
    assert_eq!(environment.read("opt/packets/tool/data/deep/er/file"), "x\n");
    environment.run(&["undo"]).ok();
    assert_eq!(paths.map(look), before, "after the undo");
    assert_eq!(environment.read("opt/packets/tool/var/key"), "secret\n");
}

#[test]
fn names_that_cannot_be_written_down_are_kept_and_told() {
    use std::os::unix::ffi::OsStrExt;
    let environment = installed();
    let name = std::ffi::OsStr::from_bytes(b"n\xff");
    fs::write(environment.at("opt/packets/tool/data").join(name), "mine").unwrap();
    let output = {
        let folder = Package::program("tool", "2").write(&environment.work());
        environment.run(&["install", "--json", folder.to_str().unwrap()]).ok().json()
    };
    let kept = output["kept"][0]["now"].as_str().unwrap();
    assert_eq!(fs::read(environment.at(kept).join(name)).unwrap(), b"mine");
    environment.run(&["undo"]).ok();
    assert_eq!(fs::read(environment.at("opt/packets/tool/data").join(name)).unwrap(), b"mine");
}

#[test]
fn a_log_that_grows_while_it_is_carried_stops_nothing() {
    let Some(strace) = on_path("strace") else {
        skip("needs strace");
        return;
    };
    for rename in 1..=3 {
        let mut environment = installed();
        environment.put("opt/packets/tool/data/app.log", "one\n");
        let inject = format!("inject=renameat2:signal=KILL:when={rename}");
        let words = [strace.to_str().unwrap(), "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e", &inject];
        let mut log =
            fs::OpenOptions::new().append(true).open(environment.at("opt/packets/tool/data/app.log")).unwrap();
        environment.run_by(words.map(str::to_owned).into());
        environment.install(&Package::program("tool", "2"));
        environment.run_by(Vec::new());
        std::io::Write::write_all(&mut log, b"two\n").unwrap();
        environment.run(&["recover"]).ok();
        assert_eq!(environment.read("opt/packets/tool/data/app.log"), "one\ntwo\n");
        std::io::Write::write_all(&mut log, b"three\n").unwrap();
        environment.run(&["undo"]).ok();
        assert_eq!(environment.read("opt/packets/tool/data/app.log"), "one\ntwo\nthree\n");
    }
}

#[test]
fn folders_that_are_deep_and_paths_that_are_long_go_along() {
    let environment = installed();
    let deep: String = (0..200).map(|_| "d/").collect();
    environment.put(&format!("opt/packets/tool/data/mine/{deep}file"), "deep\n");
    environment.install(&Package::program("tool", "2")).ok();
    assert_eq!(environment.read(&format!("opt/packets/tool/data/mine/{deep}file")), "deep\n");
    environment.run(&["undo"]).ok();
    assert_eq!(environment.read(&format!("opt/packets/tool/data/mine/{deep}file")), "deep\n");
    environment.run(&["remove", "tool"]).ok();
    environment.run(&["undo"]).ok();
    assert_eq!(environment.read(&format!("opt/packets/tool/data/mine/{deep}file")), "deep\n");
}
