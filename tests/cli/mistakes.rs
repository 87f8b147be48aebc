//! What people mistype, and whether what they are told helps.

use packets_tests::{Package, TestEnvironment};

#[test]
fn a_name_that_is_not_quite_right() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("hello", "1"));
    environment.publish(&Package::new("jq", "1"));
    environment.run_with_repo(&["install", "helo"]).fails(1).says("did you mean hello?");
    environment.run_with_repo(&["install", "HELLO"]).fails(1).says("did you mean hello?");
    // Two letters off in a name of two letters is another name.
    let output = environment.run_with_repo(&["install", "xy"]).fails(1);
    assert!(!output.stderr.contains("did you mean"), "{output}");
    // A newer synced index would not help with --repo.
    assert!(!output.stderr.contains("packets sync"), "{output}");
    output.says(&format!("`packets --repo {} list --available`", environment.repo().display()));
    environment.run(&["install", "xy"]).fails(1).says("`packets sync` fetches the newest index");
}

#[test]
fn a_command_line_that_is_not_quite_right() {
    let environment = TestEnvironment::new();
    environment.run_plain(&["instal", "jq"]).fails(2).says("similar subcommands exist").says("'install'");
    environment.run_plain(&["install", "jq", "--dryrun"]).fails(2).says("a similar argument exists: '--dry-run'");
    environment.run_plain(&["mark", "aked", "jq"]).fails(2).says("a similar value exists: 'asked'");
    let error = environment.run_plain(&["instal", "jq", "--json"]).fails(2).json()["error"].take();
    assert_eq!((&error["kind"], &error["what"]), (&"usage".into(), &"unrecognized subcommand 'instal'".into()));
    assert!(error["hints"][0].as_str().unwrap().contains("'install'"), "{error}");
}

#[test]
fn a_folder_named_like_a_package() {
    let environment = TestEnvironment::new();
    Package::new("mine", "1").write(&environment.work());
    environment.run(&["install", "mine"]).fails(1).says("write ./mine");
    environment.run(&["install", "./mine"]).ok();
}

#[test]
fn a_root_that_is_not_there_is_made_by_install_only() {
    let environment = TestEnvironment::new();
    let absent = environment.work().join("absent");
    for command in ["remove", "upgrade", "list", "info", "files"] {
        let words: &[&str] = if command == "list" { &["list"] } else { &[command, "tool"] };
        let all = [&["--root", absent.to_str().unwrap()], words].concat();
        environment.run_plain(&all).fails(1).says("cannot open the root").says("`packets install` makes it");
        assert!(!absent.exists(), "{command}");
    }
}

#[test]
fn a_grant_to_nobody_and_one_that_is_no_path() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("tool", "1"));
    let output = environment.run_with_repo(&["install", "tool", "--grant", "toll=/etc/x"]).ok();
    output.says("warning: --grant toll=/etc/x: this run installs no toll");
    let output = environment.run_with_repo(&["install", "tool", "--grant", "tool=etc/x"]).fails(2);
    output.says("\"etc/x\" is not an absolute path");
}

#[test]
fn the_config_that_is_to_be_edited_is_named_as_it_is_on_this_machine() {
    let environment = TestEnvironment::new();
    let asks = Package::program("asks", "1").permission("write = [\"/etc/asks\"]");
    let own = environment.at("etc/packets/config.toml");
    environment.install(&asks).fails(6).says(&format!("add to {}:", own.display()));
    let other = environment.work().join("mine.toml");
    std::fs::write(&other, "[Config]\nhttpPort = \"x\"\n").unwrap();
    let arguments = ["--config", other.to_str().unwrap(), "install", "./asks"];
    environment.run(&arguments).fails(1).says("mine.toml").says("expected a number from 0 to 65535");
    std::fs::write(&other, "[Config]\n").unwrap();
    environment.run(&arguments).fails(6).says(&format!("add to {}:", other.display()));
}

#[test]
fn a_warning_of_a_manifest_is_said_once() {
    let environment = TestEnvironment::new();
    let output = environment.install(&Package::new("tool", "1").info("licens = \"x\"")).ok();
    assert_eq!(output.stderr.matches("licens").count(), 1, "{output}");
}

#[test]
fn without_an_index_nothing_is_available_and_the_reason_is_said() {
    let environment = TestEnvironment::new();
    let output = environment.run(&["list", "--available"]).ok().says("no index has been synced yet");
    assert_eq!(output.stdout, "");
}

#[test]
fn what_is_for_another_machine_can_be_looked_at() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("tool", "1").info("arch = \"sparc\""));
    environment.run_with_repo(&["info", "tool"]).ok().prints("arch         sparc");
    environment.run_with_repo(&["install", "tool"]).fails(1).says("is for sparc");
}

#[test]
fn one_package_named_twice_is_one_package() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("tool", "1"));
    let folder = environment.repo().join("tool");
    let path = folder.to_str().unwrap();
    environment.run_with_repo(&["install", "tool", path, path]).ok().says("installed tool 1: ");
    let other = Package::new("tool", "2").write(&environment.work());
    environment.run(&["install", path, other.to_str().unwrap()]).fails(1).says("are both the package tool");
}

#[test]
fn packing_the_folder_that_one_is_in() {
    let environment = TestEnvironment::new();
    let folder = Package::new("tool", "1").write(&environment.work());
    let mut command = environment.command();
    let output = command.args(["pack", "."]).current_dir(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("warning"), "what it writes itself is no leftover: {said}");
}

#[test]
fn an_address_beside_a_config_of_ones_own_is_not_remembered() {
    let environment = TestEnvironment::new();
    environment.prime();
    let repo = environment.repo();
    environment.run_plain(&["index", repo.to_str().unwrap()]).ok();
    let own = environment.work().join("mine.toml");
    std::fs::write(&own, "[Config]\n").unwrap();
    let output = environment.run(&["--config", own.to_str().unwrap(), "sync", repo.to_str().unwrap()]).ok();
    output.says("the address is not remembered").says("mine.toml");
    assert!(!environment.read("etc/packets/config.toml").contains(repo.to_str().unwrap()));
    assert_eq!(std::fs::read_to_string(own).unwrap(), "[Config]\n");
}

#[test]
fn a_script_that_gives_up_after_a_denial_is_told_of_once() {
    let environment = TestEnvironment::new();
    let hook = "assert(io.open('/etc/app.conf', 'w'))";
    let output = environment.install(&Package::new("app", "1").install(hook)).fails(6);
    assert_eq!(output.stderr.matches("caused by:").count(), 1, "{output}");
    let hook = "io.open('/etc/app.conf', 'w') error('for another reason')";
    let output = environment.install(&Package::new("app", "1").install(hook)).fails(6).says("for another reason");
    assert_eq!(output.stderr.matches("\n  caused by:").count(), 3, "{output}");
}

#[test]
fn an_older_release_is_not_called_an_upgrade() {
    let environment = TestEnvironment::new();
    environment.install(&Package::new("tool", "2")).ok().says("installed tool 2: ");
    environment.install(&Package::new("tool", "1")).ok().says("installed tool 1 (from 2): ");
    environment.install(&Package::new("tool", "1").data("more", "x")).ok().says("reinstalled tool 1: ");
}

#[test]
fn something_in_the_way_of_a_package() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.put("opt/packets/tool/in the way", "x");
    environment.refused(7, || environment.install(&Package::new("tool", "1"))).says("move it away");
}
