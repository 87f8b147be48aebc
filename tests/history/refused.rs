//! What has changed since is not lost by an undo: it is refused, says why, and changes nothing.

use packets_tests::{Output, Package, TestEnvironment};

fn installed() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.put("usr/bin/other", "");
    environment.put("usr/share/doc/other", "");
    let hook = "local out = io.open('/usr/share/doc/tool', 'w') out:write('doc') out:close() \
                assert(os.symlink(path_join(data_dir, 'tool'), '/usr/bin/tool'))";
    environment.install(&Package::program("tool", "1").install(hook)).ok();
    environment
}

#[track_caller]
fn refused(environment: &TestEnvironment) -> Output {
    environment.refused(1, || environment.run(&["undo"])).says("cannot undo transaction ")
}

#[test]
fn a_file_that_a_hook_made() {
    let environment = installed();
    environment.put("usr/share/doc/tool", "edited");
    refused(&environment).says("/usr/share/doc/tool was changed");
}

#[test]
fn a_link_that_leads_elsewhere() {
    let environment = installed();
    std::fs::remove_file(environment.at("usr/bin/tool")).unwrap();
    std::os::unix::fs::symlink("mine", environment.at("usr/bin/tool")).unwrap();
    refused(&environment).says("/usr/bin/tool was changed");
}

#[test]
fn files_of_the_package() {
    for change in [
        |path: &std::path::Path| std::fs::write(path, "tool X\n").unwrap(),
        |path: &std::path::Path| std::fs::remove_file(path).unwrap(),
    ] {
        let environment = installed();
        change(&environment.at("opt/packets/tool/data/name"));
        refused(&environment).says("files of its packages were changed").says("/opt/packets/tool/data/name");
    }
}

#[test]
fn something_in_the_place_of_what_was_removed() {
    let environment = installed();
    environment.run(&["remove", "tool"]).ok();
    environment.put("usr/bin/tool", "mine\n");
    refused(&environment).says("/usr/bin/tool was changed");
    std::fs::remove_file(environment.at("usr/bin/tool")).unwrap();
    environment.put("opt/packets/tool/x", "mine\n");
    refused(&environment).says("/opt/packets/tool was changed");
    std::fs::remove_dir_all(environment.at("opt/packets/tool")).unwrap();
    environment.run(&["undo"]).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
}

#[test]
fn what_came_later_must_go_first() {
    let environment = installed();
    let first = environment.run(&["history", "--json"]).ok().json()[0]["id"].as_str().unwrap().to_owned();
    environment.install(&Package::program("tool", "2")).ok();
    environment.refused(1, || environment.run(&["undo", &first])).says("tool was replaced since");
    environment.run(&["remove", "tool"]).ok();
    environment.refused(1, || environment.run(&["undo", &first])).says("tool was removed since");
    for _ in 0..2 {
        environment.run(&["undo"]).ok();
    }
    environment.run(&["undo", &first]).ok();
    assert_eq!(environment.installed(), [""; 0]);
}

#[test]
fn what_others_need_by_now() {
    let environment = installed();
    let first = environment.run(&["history", "--json"]).ok().json()[0]["id"].as_str().unwrap().to_owned();
    environment.install(&Package::program("app", "1").needs(&["tool"])).ok();
    environment
        .refused(1, || environment.run(&["undo", &first]))
        .says("cannot undo transaction ")
        .says("app would be without tool");
}

#[test]
fn what_was_undone_or_never_was() {
    let environment = installed();
    let first = environment.run(&["history", "--json"]).ok().json()[0]["id"].as_str().unwrap().to_owned();
    environment.run(&["undo"]).ok();
    environment.refused(1, || environment.run(&["undo", &first])).says("was undone already").says("packets undo ");
    environment.refused(1, || environment.run(&["undo", "0123456789abcdef"])).says("there is no transaction");
    environment.run(&["undo", "../../x"]).fails(2).says("16 lower-case hex digits");
}
