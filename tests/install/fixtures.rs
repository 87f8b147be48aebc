//! The repository that a newcomer meets first.

use packets_tests::{TestEnvironment, fixtures};

fn run(environment: &TestEnvironment, repo: &str, arguments: &[&str]) -> packets_tests::Output {
    let repo = fixtures(repo);
    environment.run(&[&["--repo", repo.to_str().unwrap()], arguments].concat())
}

#[test]
fn hello_greets() {
    let environment = TestEnvironment::new();
    let output = run(&environment, "repo", &["install", "hello"]).ok();
    assert_eq!(environment.launch("usr/bin/hello", &[]), "Hello, world!\n");
    let program = environment.at("usr/bin/hello");
    let output = output.says("greeting 1.0").says("hello 1.0").says("hello: links /usr/bin/hello");
    output.says(&format!("run it: {}", program.display()));
    assert_eq!(environment.installed(), ["greeting", "hello"]);
}

#[test]
fn every_fixture_installs_works_and_goes() {
    let environment = TestEnvironment::new();
    environment.prime();
    let before = environment.system();
    run(&environment, "repo", &["install", "hello", "rot13", "notes", "banner", "--grant", "banner=/etc/banner"]).ok();
    assert_eq!(environment.launch("usr/bin/hello", &["all"]), "Hello, all!\n");
    assert_eq!(environment.launch("usr/bin/notes", &["buy", "milk"]), "");
    assert_eq!(environment.launch("usr/bin/notes", &[]), "buy milk\n");
    assert_eq!(environment.launch("usr/bin/banner", &[]), "*** welcome ***\n");
    assert!(environment.read("usr/share/man/man1/rot13.1").contains("turn every letter"));
    assert!(environment.read("usr/share/applications/notes.desktop").contains("Exec=/usr/bin/notes\n"));

    run(&environment, "releases", &["upgrade", "hello", "banner", "--grant", "banner=/etc/banner"]).ok();
    assert_eq!(environment.launch("usr/bin/hello", &[]), "Hello once more, world!\n");
    assert_eq!(environment.launch("usr/bin/banner", &[]), "*** welcome back ***\n");
    assert_eq!(environment.installed(), ["banner", "greeting", "hello3", "notes", "rot13"]);

    environment.run(&["remove", "hello", "greeting", "rot13", "notes", "banner"]).ok();
    let mut after = environment.system();
    // Folders of the system itself stay; they would not be there on an empty root.
    before.assert_same(&keep_system_folders(&before, &mut after), "after all fixtures are gone");
}

/// Takes away folders that any system has.
fn keep_system_folders(
    before: &packets_tests::Snapshot,
    after: &mut packets_tests::Snapshot,
) -> packets_tests::Snapshot {
    after.0.retain(|path, _| {
        before.0.contains_key(path) || !["./usr", "./usr/bin", "./opt"].iter().any(|folder| path.as_os_str() == *folder)
    });
    after.clone()
}
