//! `undo` brings the bytes back, and can be undone itself.

use std::os::unix::fs::PermissionsExt;

use packets_tests::{Package, Snapshot, TestEnvironment};

/// A release that uses all that a package can have.
fn release(version: &str) -> Package {
    let hook = format!(
        "local function must(...) assert(...) end \
         must(os.mkdir('/usr/share/tool', 493)) must(os.mkdir('/usr/share/tool/v{version}', 493)) \
         local out = io.open('/usr/share/tool/v{version}/text', 'w') out:write('version {version}') out:close() \
         out = io.open('/usr/share/tool/always', 'w') out:write('always {version}') out:close() \
         must(os.copy(path_join(data_dir, 'tool.conf'), '/etc/tool/tool.conf')) \
         must(os.symlink(path_join(data_dir, 'tool'), path_join(packets_bin_dir, 'tool'))) \
         out = io.open(path_join(data_dir, 'made'), 'w') out:write('in the tree {version}') out:close()"
    );
    Package::new("tool", version)
        .family("f", version.parse().unwrap())
        .data("tool.conf", &format!("conf {version}\n"))
        .data(&format!("only-{version}/file"), "x\n")
        .link("link", &format!("only-{version}"))
        .executable("tool", &format!("#!/bin/sh\necho tool {version}\n"))
        .permission("write = [\"/etc/tool\"]")
        .install(&hook)
        .remove("os.remove('/usr/bin/tool') os.remove('/usr/share/tool/always')")
}

const GRANT: [&str; 2] = ["--grant", "tool=/etc/tool"];

fn install(environment: &TestEnvironment, version: &str) {
    environment.publish(&release(version));
    environment.run_with_repo(&["install", "tool", GRANT[0], GRANT[1]]).ok();
}

/// What is on record, without what each transaction says of itself.
fn record(environment: &TestEnvironment) -> Vec<serde_json::Value> {
    let mut all = vec![environment.run(&["list", "--json"]).ok().json()];
    for name in environment.installed() {
        all.push(environment.run(&["files", &name, "--json"]).ok().json());
    }
    all
}

/// The system and the record at one moment.
fn moment(environment: &TestEnvironment) -> (Snapshot, Vec<serde_json::Value>) {
    (environment.system(), record(environment))
}

#[track_caller]
fn is_again(environment: &TestEnvironment, before: &(Snapshot, Vec<serde_json::Value>), what: &str) {
    let now = moment(environment);
    before.0.assert_same(&now.0, what);
    assert_eq!(before.1, now.1, "{what}");
}

#[test]
fn each_of_a_chain_is_taken_back_and_brought_back() {
    let environment = TestEnvironment::new();
    environment.prime();
    let mut moments = vec![moment(&environment)];
    install(&environment, "1");
    moments.push(moment(&environment));
    environment.publish(&release("2"));
    environment.run_with_repo(&["upgrade", "tool", GRANT[0], GRANT[1]]).ok();
    moments.push(moment(&environment));
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 2\n");
    environment.run(&["remove", "tool"]).ok();
    moments.push(moment(&environment));

    for (at, what) in [(2, "the removal"), (1, "the upgrade"), (0, "the installation")] {
        environment.run(&["undo"]).ok();
        is_again(&environment, &moments[at], what);
    }
    let undos: Vec<String> = environment.run(&["history", "--json"]).ok().json().as_array().unwrap()[..3]
        .iter()
        .map(|past| past["id"].as_str().unwrap().to_owned())
        .collect();
    for (undo, at) in undos.iter().zip([1, 2, 3]) {
        environment.run(&["undo", undo]).ok();
        is_again(&environment, &moments[at], &format!("undone again, {at}"));
    }
}

#[test]
fn files_of_the_administrator_go_back_and_forth() {
    let environment = TestEnvironment::new();
    environment.prime();
    install(&environment, "1");
    let mine = |name: &str| format!("opt/packets/tool/data/{name}");
    environment.put(&mine("mine"), "my file\n");
    environment.put(&mine("only-2/file.local"), "as a release may call it\n");
    environment.put(&mine("own/deep/file"), "deep\n");
    std::fs::set_permissions(environment.at(&mine("mine")), std::fs::Permissions::from_mode(0o640)).unwrap();
    let before = moment(&environment);
    environment.publish(&release("2"));
    environment.run_with_repo(&["upgrade", "tool", GRANT[0], GRANT[1]]).ok();
    assert_eq!(environment.read(&mine("own/deep/file")), "deep\n");
    let after = moment(&environment);
    environment.run(&["undo"]).ok();
    is_again(&environment, &before, "back in the old release");
    let undo = environment.run(&["history", "--json"]).ok().json()[0]["id"].as_str().unwrap().to_owned();
    environment.run(&["undo", &undo]).ok();
    is_again(&environment, &after, "and in the new one");

    // What came since stays with the package; what was edited stays edited.
    environment.put(&mine("since"), "since\n");
    environment.put(&mine("mine"), "edited\n");
    environment.run(&["undo"]).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
    assert_eq!(environment.read(&mine("mine")), "edited\n");
    assert_eq!(environment.read(&mine("since")), "since\n");
}

#[test]
fn what_an_undone_installation_leaves_of_the_administrator_is_named() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "1")).ok();
    environment.put("opt/packets/tool/data/mine", "mine\n");
    let undone = environment.run(&["undo", "--json"]).ok().json();
    let now = undone["kept"][0]["now"].as_str().unwrap();
    assert_eq!(environment.read(now), "mine\n");
    assert!(!environment.exists("opt/packets/tool"));
}

#[test]
fn several_packages_of_one_command_go_together() {
    let environment = TestEnvironment::new();
    environment.prime();
    let before = moment(&environment);
    environment.publish(&Package::program("base", "1"));
    environment.publish(&Package::program("app", "1").needs(&["base"]));
    environment.run_with_repo(&["install", "app"]).ok();
    let undone = environment.run(&["undo", "--json"]).ok().json();
    assert_eq!(undone["summary"], serde_json::json!(["remove base 1", "remove app 1"]));
    is_again(&environment, &before, "both are gone");
}

#[test]
fn a_displaced_path_goes_back_and_forth() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.install(&Package::program("tool", "1")).ok();
    let grant = "[[Sandbox.grant]]\npackage = \"displacer\"\nreplace = [\"/usr/bin/tool\"]\n";
    let config = environment.read("etc/packets/config.toml");
    environment.put("etc/packets/config.toml", &format!("{config}\n{grant}"));
    let displacer = Package::new("displacer", "1")
        .permission("replace = [\"/usr/bin/tool\"]")
        .install("assert(os.symlink(path_join(data_dir, 'name'), '/usr/bin/tool'))");
    let before = moment(&environment);
    environment.install(&displacer).ok();
    let displaced = moment(&environment);
    assert_eq!(environment.read("usr/bin/tool"), "displacer 1\n");
    environment.run(&["undo"]).ok();
    is_again(&environment, &before, "the displacer was undone");
    let undo = environment.run(&["history", "--json"]).ok().json()[0]["id"].as_str().unwrap().to_owned();
    environment.run(&["undo", &undo]).ok();
    is_again(&environment, &displaced, "and is there again");
    environment.run(&["remove", "displacer"]).ok();
    is_again(&environment, &before, "the displacer has gone");
    environment.run(&["undo"]).ok();
    is_again(&environment, &displaced, "the removal was undone");
    environment.run(&["remove", "displacer"]).ok();
    is_again(&environment, &before, "and it goes again");
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "1")).ok();
    let before = environment.everything();
    environment.run(&["undo", "--dry-run"]).ok().prints("remove tool 1\n");
    before.assert_same(&environment.everything(), "a dry run");
    environment.run(&["undo"]).ok();
    environment.run(&["undo", "--dry-run"]).fails(1).says("there is nothing to undo");
}

#[test]
fn a_folder_that_two_packages_shared_is_made_anew() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.put("usr/share/doc/other", "");
    let package = |name: &str| {
        let hook = format!(
            "assert(os.mkdir('/usr/share/doc/shared', 493)) \
             local out = io.open('/usr/share/doc/shared/{name}', 'w') out:write('{name}') out:close()"
        );
        Package::new(name, "1").install(&hook)
    };
    environment.install(&package("one")).ok();
    environment.install(&package("two")).ok();
    environment.run(&["remove", "one"]).ok();
    let removal = environment.run(&["history", "--json"]).ok().json()[0]["id"].as_str().unwrap().to_owned();
    environment.run(&["remove", "two"]).ok();
    assert!(!environment.exists("usr/share/doc/shared"));
    environment.run(&["undo", &removal]).ok();
    assert_eq!(environment.read("usr/share/doc/shared/one"), "one");
    environment.run(&["undo"]).ok();
    assert_eq!(environment.read("usr/share/doc/shared/two"), "two");
    environment.run(&["remove", "one", "two"]).ok();
    assert!(!environment.exists("usr/share/doc/shared"));
}

#[test]
fn a_folder_that_is_another_by_now_serves_as_well() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.put("usr/bin/other", "");
    environment.install(&Package::program("tool", "1")).ok();
    environment.run(&["remove", "tool"]).ok();
    std::fs::remove_dir_all(environment.at("usr/bin")).unwrap();
    environment.run(&["undo", "--dry-run"]).fails(1).says("the folder /usr/bin has gone since");
    environment.refused(1, || environment.run(&["undo"])).says("mkdir /usr/bin");
    std::fs::create_dir(environment.at("usr/bin")).unwrap();
    environment.run(&["undo"]).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
}

#[test]
fn a_copy_of_the_root_is_another_system() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.install(&Package::program("tool", "1")).ok();
    let copy = environment.place().join("work/copy");
    let status = std::process::Command::new("cp").arg("-a").arg(environment.root()).arg(&copy).status().unwrap();
    assert!(status.success());
    let output = environment.run_plain(&["--root", copy.to_str().unwrap(), "undo"]);
    output.fails(1).says("was changed since");
    assert!(copy.join("usr/bin/tool").symlink_metadata().is_ok());
}

#[test]
fn a_displacer_and_what_it_displaced_go_and_come_together() {
    for order in [["tool", "displacer"], ["displacer", "tool"]] {
        let environment = TestEnvironment::new();
        environment.prime();
        environment.put("usr/bin/other", "");
        let empty = environment.system();
        environment.install(&Package::program("tool", "1").remove("")).ok();
        let grant = "[[Sandbox.grant]]\npackage = \"displacer\"\nreplace = [\"/usr/bin/tool\"]\n";
        let config = environment.read("etc/packets/config.toml");
        environment.put("etc/packets/config.toml", &format!("{config}\n{grant}"));
        let hook = "assert(os.symlink(path_join(data_dir, 'name'), '/usr/bin/tool'))";
        let displacer = Package::new("displacer", "1").permission("replace = [\"/usr/bin/tool\"]").install(hook);
        environment.install(&displacer).ok();
        let both = moment(&environment);
        environment.run(&["remove", order[0], order[1]]).ok();
        empty.assert_same(&environment.system(), "both are gone");
        environment.run(&["undo"]).ok();
        is_again(&environment, &both, "both are back");
        environment.run(&["remove", order[0]]).ok();
        environment.run(&["remove", order[1]]).ok();
        empty.assert_same(&environment.system(), "one after the other");
    }
}

#[test]
fn what_the_administrator_took_away_is_no_obstacle() {
    let environment = TestEnvironment::new();
    environment.prime();
    install(&environment, "1");
    environment.put("etc/tool/tool.conf", "edited\n");
    environment.publish(&release("2"));
    environment.run_with_repo(&["upgrade", "tool", GRANT[0], GRANT[1]]).ok();
    std::fs::remove_file(environment.at("etc/tool/tool.conf.new")).unwrap();
    environment.run(&["undo"]).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
    assert_eq!(environment.read("etc/tool/tool.conf"), "edited\n");
}
