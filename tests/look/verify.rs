//! `verify`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use packets_tests::{Package, TestEnvironment, as_somebody, is_root, skip};

/// A package with a file, a program, a link of its own and things that its hook makes.
fn tool() -> Package {
    let hook = "assert(os.symlink(path_join(data_dir, 'tool'), path_join(packets_bin_dir, 'tool'))) \
        assert(os.mkdir('/usr/share/tool/inner', 493)) \
        local file = assert(io.open('/usr/share/tool/made', 'w')) file:write('by the hook') file:close()";
    Package::program("tool", "1").link("link", "name").data("sub/deep", "deep\n").install(hook)
}

#[test]
fn whatever_is_as_it_was_installed() {
    let environment = TestEnvironment::new();
    environment.install(&tool()).ok();
    environment.install(&Package::new("other", "1")).ok();
    let before = environment.everything();
    let output = environment.run(&["verify"]).ok().says("of 2 packages: all as installed");
    assert_eq!(output.stdout, "");
    before.assert_same(&environment.everything(), "verify only looks");
    environment.run(&["verify", "tool", "--quiet"]).ok();
    environment.run(&["verify", "absent"]).fails(1).says("absent is not installed");
}

#[test]
fn each_difference_is_named_and_the_exit_code_says_so() {
    let environment = TestEnvironment::new();
    environment.install(&tool()).ok();
    environment.install(&Package::new("other", "1")).ok();
    let data = environment.at("opt/packets/tool/data");
    fs::write(data.join("name"), "tool 2\n").unwrap();
    fs::write(data.join("sub/deep"), "deeper and longer\n").unwrap();
    fs::set_permissions(data.join("tool"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::remove_file(data.join("link")).unwrap();
    symlink("elsewhere", data.join("link")).unwrap();
    fs::create_dir_all(data.join("extra/below")).unwrap();
    fs::write(environment.at("usr/share/tool/made"), "by somebody").unwrap();
    fs::remove_dir(environment.at("usr/share/tool/inner")).unwrap();
    fs::write(environment.at("usr/share/tool/inner"), "").unwrap();
    fs::remove_file(environment.at("usr/bin/tool")).unwrap();
    fs::remove_file(environment.at("opt/packets/other/data/name")).unwrap();
    let output = environment.run(&["verify"]);
    assert_eq!(output.code, 5, "{output}");
    let expected = "missing     other  /opt/packets/other/data/name\n\
        extra       tool  /opt/packets/tool/data/extra\n\
        changed     tool  /opt/packets/tool/data/link: leads to elsewhere instead of name\n\
        changed     tool  /opt/packets/tool/data/name: other content\n\
        changed     tool  /opt/packets/tool/data/sub/deep: 18 bytes instead of 5\n\
        changed     tool  /opt/packets/tool/data/tool: mode 700 instead of 755\n\
        missing     tool  /usr/bin/tool  (hook)\n\
        changed     tool  /usr/share/tool/inner: a file instead of a folder  (hook)\n\
        changed     tool  /usr/share/tool/made: other content  (hook)\n";
    assert_eq!(output.stdout, expected);
    let output = output.says("of 2 packages: 2 missing, 6 changed, 1 extra");
    assert!(!output.stderr.contains("error"), "{output}");
    let json = environment.run(&["verify", "other", "--json"]);
    assert_eq!(json.code, 5);
    let findings = json.json()["findings"].take();
    assert_eq!(findings.as_array().unwrap().len(), 1);
    assert_eq!((&findings[0]["what"], &findings[0]["made_by"]), (&"missing".into(), &"data".into()));
}

#[test]
fn a_whole_folder_that_is_gone_and_links_on_the_way() {
    let environment = TestEnvironment::new();
    environment.install(&tool()).ok();
    fs::rename(environment.at("opt/packets/tool/data"), environment.at("opt/packets/moved")).unwrap();
    symlink("../moved", environment.at("opt/packets/tool/data")).unwrap();
    let output = environment.run(&["verify", "tool"]);
    assert_eq!(output.code, 5);
    let output = output.prints("changed     tool  /opt/packets/tool/data: a link instead of a folder");
    output.prints("missing     tool  /opt/packets/tool/data/name");
}

#[test]
fn what_may_not_be_read_is_said_to_be_unreadable() {
    let environment = TestEnvironment::new();
    let (Some(words), true) = (as_somebody(), is_root()) else {
        return skip("it needs root, and setpriv to be somebody else");
    };
    fs::set_permissions(environment.place(), fs::Permissions::from_mode(0o755)).unwrap();
    environment.install(&tool()).ok();
    fs::set_permissions(environment.at("opt/packets/tool/data/sub"), fs::Permissions::from_mode(0o700)).unwrap();
    let mut environment = environment;
    environment.run_by(words);
    let output = environment.run(&["verify", "tool"]);
    if output.code == 126 || output.code == 127 {
        return skip("nobody else may run the program here");
    }
    assert_eq!(output.code, 5, "{output}");
    output.prints("unreadable  tool  /opt/packets/tool/data/sub/deep").says("1 changed, 2 unreadable");
}
