//! `history` tells what, when, which packages, from where, and how it ended.

use packets_tests::{Package, Server, TestEnvironment};

#[test]
fn says_what_came_from_where() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::program("base", "1"));
    environment.publish(&Package::program("app", "2").needs(&["base"]));
    environment.run_with_repo(&["install", "app"]).ok();
    environment.run(&["remove", "app"]).ok();
    environment.run(&["undo"]).ok();
    let history = environment.run(&["history", "--json"]).ok().json();
    let [undo, remove, install] = history.as_array().unwrap().as_slice() else { panic!("{history}") };
    assert_eq!(install["command"], "install");
    assert_eq!(install["summary"], serde_json::json!(["install base 1 (needed)", "install app 2"]));
    let repo = environment.repo();
    let origin = |name: &str| serde_json::json!({"package": name, "source": repo.join(name).to_str().unwrap()});
    assert_eq!(install["origins"], serde_json::json!([origin("base"), origin("app")]));
    assert_eq!((&remove["undone_by"], &undo["undoes"]), (&undo["id"], &remove["id"]));
    assert_eq!(undo["summary"], serde_json::json!(["restore app 2"]));
    for (past, can) in [(undo, true), (remove, false), (install, true)] {
        assert_eq!(past["can_undo"], can, "{past}");
        assert!(past["time"].as_u64().unwrap() > 1_700_000_000);
    }
    let text = environment.run(&["history"]).ok().stdout;
    assert!(text.contains(&format!("  install app 2  from {}\n", repo.join("app").display())), "{text}");
    assert!(text.contains("  undone by "), "{text}");
}

#[test]
fn an_empty_history_is_empty() {
    let environment = TestEnvironment::new();
    assert_eq!(environment.run(&["history"]).ok().stdout, "");
    assert_eq!(environment.run(&["history", "--json"]).ok().json(), serde_json::json!([]));
    environment.run(&["undo"]).fails(1).says("there is nothing to undo");
    environment.run(&["recover"]).ok().says("nothing was cut off");
}

#[test]
fn origins_cannot_act_on_a_terminal() {
    let environment = TestEnvironment::new();
    let folder = environment.work().join("a\u{1b}[31m");
    std::fs::create_dir(&folder).unwrap();
    let package = Package::program("tool", "1").write(&folder);
    environment.run(&["install", package.to_str().unwrap()]).ok();
    let history = environment.run(&["history"]).ok();
    assert!(!history.stdout.contains('\u{1b}'), "{history}");
}

#[test]
fn secrets_of_addresses_are_not_kept() {
    let environment = TestEnvironment::new();
    Package::program("tool", "1").file(&environment.repo());
    environment.run(&["index", environment.repo().to_str().unwrap()]).ok();
    let server = Server::start();
    server.serve(&environment.repo());
    let index = server.url("/index.db").replace("http://", "http://user:secret@");
    environment.run(&["--repo", &index, "install", "tool"]).ok();
    let history = environment.run(&["history", "--json"]).ok();
    assert!(history.stdout.contains("tool-1.pkt.tar.zst") && !history.stdout.contains("secret"), "{history}");
}
