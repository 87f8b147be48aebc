//! `dataDir` is another folder now: the packages stay usable where they are, and move when somebody wants that.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use packets_tests::{Output, Package, TestEnvironment, v1};

/// A program that its hook links, a hook's file that names its folder, and links within it.
fn tool() -> Package {
    Package::program("tool", "1").link("inside", "tool").data("deep/file", "deep\n").install(
        "assert(os.symlink(path_join(data_dir, 'tool'), path_join(packets_bin_dir, 'tool')))
             assert(os.mkdir('/usr/share/tool', 493))
             local f = assert(io.open('/usr/share/tool/conf', 'w'))
             f:write('run = ' .. path_join(data_dir, 'tool') .. '\\n') f:close()
             assert(os.symlink('../../../opt/packets/tool/data/deep', '/usr/share/tool/deep'))
             assert(os.symlink('conf', '/usr/share/tool/other'))",
    )
}

/// The tool and a neighbour are installed, and `dataDir` is changed.
fn changed() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.install(&tool()).ok();
    environment.install(&Package::new("plain", "1").data("file", "plain\n")).ok();
    let set = environment.run(&["config", "set", "Config.dataDir", "/srv/deep/packets"]).ok();
    set.says("what is installed stays where it is; `packets relocate` moves it");
    environment
}

fn link(environment: &TestEnvironment, path: &str) -> String {
    fs::read_link(environment.at(path)).unwrap().into_os_string().into_string().unwrap()
}

fn last_data_dir(environment: &TestEnvironment) -> String {
    environment.run(&["config", "show", "Config.lastDataDir"]).ok().stdout.trim().to_owned()
}

fn install_at_terminal(environment: &TestEnvironment, typed: &str) -> Output {
    let package = Package::new("later", "1").data("file", "later\n").write(&environment.work());
    environment.run_at_terminal(&["install", package.to_str().unwrap()], typed).ok()
}

#[test]
fn nothing_moves_unless_somebody_says_so() {
    let environment = changed();
    let warned = environment.install(&Package::new("later", "1").data("file", "later\n")).ok();
    warned.says("2 packages are in /opt/packets, not in /srv/deep/packets").says("`packets relocate` moves them");
    assert!(environment.exists("srv/deep/packets/later/data/file"), "what is new goes to the new place");
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
    environment.run(&["verify"]).ok();
    assert_eq!(last_data_dir(&environment), "/opt/packets");
    for typed in ["n\n", "\n", "\u{4}"] {
        let environment = changed();
        let output = install_at_terminal(&environment, typed);
        assert!(output.stdout.contains("dataDir is /srv/deep/packets now. Move them there? [y/N]"), "{output}");
        assert!(output.stdout.contains("warning: 2 packages are in /opt/packets"), "{output}");
        assert!(environment.exists("opt/packets/tool") && environment.exists("srv/deep/packets/later"));
    }
    environment.run(&["remove", "tool", "plain"]).ok();
    assert!(!environment.exists("opt/packets/tool") && !environment.exists("usr/bin/tool"));
    assert_eq!(last_data_dir(&environment), "/opt/packets", "asked before the last one went");
    environment.run(&["remove", "later"]).ok();
    assert_eq!(last_data_dir(&environment), "/srv/deep/packets", "nothing is anywhere else");
}

/// All is in the new place, and works.
fn has_moved(environment: &TestEnvironment) {
    assert!(!environment.exists("opt/packets/tool") && !environment.exists("opt/packets/plain"));
    assert_eq!(link(environment, "usr/bin/tool"), "../../srv/deep/packets/tool/data/tool");
    assert_eq!(link(environment, "usr/share/tool/deep"), "../../../srv/deep/packets/tool/data/deep");
    assert_eq!(link(environment, "usr/share/tool/other"), "conf");
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
    assert_eq!(environment.read("srv/deep/packets/tool/data/deep/file"), "deep\n");
    assert_eq!(last_data_dir(environment), "/srv/deep/packets");
    environment.check();
}

#[test]
fn a_yes_at_a_terminal_moves_them() {
    let environment = changed();
    let output = install_at_terminal(&environment, "y\n");
    assert!(output.stdout.contains("moved 2 packages to /srv/deep/packets"), "{output}");
    has_moved(&environment);
    environment.run(&["verify"]).ok();
    assert!(environment.exists("srv/deep/packets/later/data/file"));
    environment.run(&["remove", "tool"]).ok();
    assert!(
        !environment.exists("usr/bin/tool") && !environment.exists("usr/share/tool"),
        "it goes with all that is its"
    );
}

#[test]
fn relocate_says_what_it_does_and_undo_takes_it_back() {
    let environment = changed();
    environment.put("opt/packets/tool/data/mine/note", "the administrator's\n");
    let before = environment.system();
    environment.run(&["relocate", "--dry-run"]).ok().prints("move tool 1 from /opt/packets/tool\n");
    assert_eq!(environment.system(), before);
    let told =
        environment.run(&["relocate"]).ok().says("moved 2 packages to /srv/deep/packets, and re-pointed 2 links");
    told.says("warning: /usr/share/tool/conf of tool still names /opt/packets/tool/");
    has_moved(&environment);
    assert_eq!(environment.read("srv/deep/packets/tool/data/mine/note"), "the administrator's\n");
    environment.run(&["relocate"]).ok().says("all packages are in /srv/deep/packets");
    environment.run(&["undo"]).ok().says("move tool 1 back to /opt/packets/tool");
    assert_eq!(environment.read("opt/packets/tool/data/mine/note"), "the administrator's\n");
    assert_eq!(link(&environment, "usr/bin/tool"), "../../opt/packets/tool/data/tool");
    let verified = environment.run(&["verify"]);
    assert_eq!((verified.code, verified.stdout.as_str()), (5, "extra       tool  /opt/packets/tool/data/mine\n"));
    // Older transactions can be taken back too, where their files are.
    environment.run(&["undo"]).ok();
    environment.run(&["undo"]).ok();
    assert!(!environment.exists("opt/packets/tool/manifest.toml") && !environment.exists("usr/bin/tool"));
    environment.check();
}

#[test]
fn json_of_a_move() {
    let environment = changed();
    let moved = environment.run(&["relocate", "--json"]).ok().json();
    assert_eq!(moved["committed"], true);
    assert_eq!(moved["packages"][1]["to"], "srv/deep/packets/tool");
    assert_eq!(moved["links"], serde_json::json!(["usr/bin/tool", "usr/share/tool/deep"]));
}

#[test]
fn a_link_in_a_folder_that_leads_into_it_follows() {
    let environment = TestEnvironment::new();
    let hook = "assert(os.symlink(path_join(data_dir, 'file'), path_join(data_dir, 'whole')))";
    environment.install(&Package::new("tool", "1").data("file", "x\n").data("other", "y\n").install(hook)).ok();
    assert_eq!(link(&environment, "opt/packets/tool/data/whole"), "../../../../opt/packets/tool/data/file");
    let file = environment.at("opt/packets/tool/data/other");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let changed = fs::metadata(&file).unwrap().modified().unwrap();
    symlink("gone", environment.at("opt/packets/tool/mine")).unwrap();
    // The administrator's, in a folder whose name nobody can write down: it only looks like the package's link.
    let nameless = |folder: &str| environment.at(folder).join(OsStr::from_bytes(b"\xff")).join("data");
    fs::create_dir_all(nameless("opt/packets/tool")).unwrap();
    symlink("mine", nameless("opt/packets/tool").join("whole")).unwrap();
    environment.run(&["config", "set", "Config.dataDir", "/srv/packets/deeper"]).ok();
    environment.run(&["relocate"]).ok();
    assert_eq!(
        link(&environment, "srv/packets/deeper/tool/data/whole"),
        "../../../../../srv/packets/deeper/tool/data/file"
    );
    assert_eq!(environment.read("srv/packets/deeper/tool/data/whole"), "x\n");
    let copy = fs::metadata(environment.at("srv/packets/deeper/tool/data/other")).unwrap();
    assert_eq!((copy.permissions().mode() & 0o7777, copy.modified().unwrap()), (0o640, changed));
    assert_eq!(link(&environment, "srv/packets/deeper/tool/mine"), "gone");
    let folder = nameless("srv/packets/deeper/tool");
    assert_eq!(fs::read_link(folder.join("whole")).unwrap(), Path::new("mine"));
    fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    assert!(!environment.exists("opt/packets/tool"));
    fs::set_permissions(environment.at("srv/packets/deeper/tool/data/other"), fs::Permissions::from_mode(0o644))
        .unwrap();
    fs::remove_file(environment.at("srv/packets/deeper/tool/mine")).unwrap();
    environment.run(&["verify"]).ok();
    environment.run(&["undo"]).ok();
    assert_eq!(link(&environment, "opt/packets/tool/data/whole"), "../../../../opt/packets/tool/data/file");
    environment.check();
}

#[test]
fn what_stands_in_the_way_stops_it_whole() {
    let environment = changed();
    environment.put("srv/deep/packets/tool/mine", "x\n");
    fs::create_dir(environment.at("srv/deep/packets/.packets")).unwrap();
    fs::set_permissions(environment.at("srv/deep/packets/.packets"), fs::Permissions::from_mode(0o700)).unwrap();
    let before = environment.system();
    environment.run(&["relocate"]).fails(7).says("something stands there already").says("/srv/deep/packets/tool");
    assert_eq!(environment.system(), before);
    environment.run(&["verify"]).ok();
}

#[test]
fn links_that_somebody_changed_stay() {
    let environment = changed();
    fs::remove_file(environment.at("usr/bin/tool")).unwrap();
    symlink("/bin/true", environment.at("usr/bin/tool")).unwrap();
    environment.run(&["relocate"]).ok().says("/usr/bin/tool is not the link that was installed, and stays");
    assert_eq!(link(&environment, "usr/bin/tool"), "/bin/true");
    assert_eq!(link(&environment, "usr/share/tool/deep"), "../../../srv/deep/packets/tool/data/deep");
}

#[test]
fn a_folder_that_is_a_link_by_now_stays() {
    let environment = changed();
    fs::rename(environment.at("opt/packets/tool"), environment.at("elsewhere")).unwrap();
    symlink("../../elsewhere", environment.at("opt/packets/tool")).unwrap();
    environment
        .run(&["relocate"])
        .ok()
        .says("tool stays: /opt/packets/tool is no folder any more")
        .says("moved 1 package");
    assert_eq!(link(&environment, "opt/packets/tool"), "../../elsewhere");
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
}

#[test]
fn what_was_displaced_comes_back_and_leads_to_the_new_place() {
    let environment = TestEnvironment::new();
    environment.install(&tool()).ok();
    let other = Package::program("other", "1")
        .permission("replace = [\"/usr/bin/tool\"]")
        .install("assert(os.symlink(path_join(data_dir, 'other'), path_join(packets_bin_dir, 'tool')))")
        .write(&environment.work());
    environment.run_at_terminal(&["install", other.to_str().unwrap()], "y\n").ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "other 1\n");
    environment.run(&["config", "set", "Config.dataDir", "/srv/deep/packets"]).ok();
    environment.run(&["relocate"]).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "other 1\n");
    environment.run(&["remove", "other"]).ok();
    assert_eq!(link(&environment, "usr/bin/tool"), "../../srv/deep/packets/tool/data/tool");
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
    environment.run(&["verify"]).ok();
}

#[test]
fn packages_of_version_1_move_with_their_links() {
    let environment = TestEnvironment::new();
    let package = Package::program("old", "1");
    let row = v1::Row { package: &package, version: "1", dependencies: "", name: "", family: "", serial: 0 };
    v1::leave(&environment.root(), &[row]);
    assert_eq!(link(&environment, "usr/bin/old"), "/opt/packets/old/data/old");
    environment.run(&["config", "set", "Config.dataDir", "/srv/deep/packets"]).ok();
    environment.run(&["relocate"]).ok().says("moved 1 package");
    assert_eq!(link(&environment, "usr/bin/old"), "/srv/deep/packets/old/data/old");
    assert!(Path::new(&environment.at("srv/deep/packets/old/data/old")).exists());
    environment.run(&["remove", "old"]).ok();
    assert!(fs::symlink_metadata(environment.at("usr/bin/old")).is_err());
}

#[test]
fn hooks_reach_no_package_wherever_it_is() {
    let environment = changed();
    let package =
        Package::new("spy", "1").install("io.open('/opt/packets/plain/data/file', 'r')").write(&environment.work());
    environment.run(&["config", "set", "Sandbox.allow", "[\"/opt\"]"]).ok();
    // Two moves ago: neither dataDir nor lastDataDir.
    let config = environment.read("etc/packets/config.toml");
    environment
        .put("etc/packets/config.toml", &config.replace("lastDataDir = \"/opt/packets\"", "lastDataDir = \"/srv\""));
    environment.run(&["install", package.to_str().unwrap()]).fails(6).says("/opt/packets/plain/data/file");
}
