//! What somebody approves at a terminal, and what is remembered of it.

use packets_tests::{Package, TestEnvironment};

/// A package whose hook writes where it must be approved.
fn asks(version: &str, folders: &[&str]) -> Package {
    let write = "local file = assert(io.open('/etc/tool/made', 'w')) file:write('x') file:close()";
    Package::new("tool", version)
        .family("tool's family", 1)
        .permission(&format!("write = {folders:?}"))
        .install(&format!("assert(os.mkdir('/etc/tool', 493)) {write}"))
}

fn install(environment: &TestEnvironment, package: &Package, typed: &str) -> packets_tests::Output {
    let folder = package.write(&environment.work());
    environment.run_at_terminal(&["install", folder.to_str().unwrap()], typed)
}

#[test]
fn a_yes_is_remembered_and_only_what_is_new_is_asked_for() {
    let environment = TestEnvironment::new();
    let output = install(&environment, &asks("1", &["/etc/tool"]), "y\n").ok();
    let output = output.prints("the hooks of tool ask for what nobody has approved:").prints("  write in /etc/tool\n");
    output.prints("approve this, for tool and its later releases? [y/N]");
    assert_eq!(environment.read("etc/tool/made"), "x");
    let list = environment.run(&["approvals", "list"]).ok().stdout;
    assert_eq!(list, "tool of the family tool's family may write in /etc/tool\n");
    let again = install(&environment, &asks("2", &["/etc/tool"]), "").ok();
    assert!(!again.stdout.contains("approve"), "{again}");
    let more = install(&environment, &asks("3", &["/etc/tool", "/etc/more"]), "yes\n").ok();
    let more = more.prints("ask for more than was approved:").prints("  write in /etc/more\n");
    more.prints("  (approved before: write in /etc/tool)\n");
    let all = environment.run(&["approvals", "list", "--json"]).ok().json();
    assert_eq!(all[0]["grant"]["write"], serde_json::json!(["etc/more", "etc/tool"]));
    assert_eq!(all[0]["by"], "terminal");
}

#[test]
fn anything_else_is_a_no_and_nothing_happens() {
    for typed in ["n\n", "\n", "yess\n", "\u{4}"] {
        let environment = TestEnvironment::new();
        environment.prime();
        let before = environment.everything();
        let output = install(&environment, &asks("1", &["/etc/tool"]), typed);
        assert_eq!(output.code, 6, "{typed:?} {output}");
        before.assert_same(&environment.everything(), typed);
        assert_eq!(environment.run(&["approvals", "list"]).ok().stdout, "");
    }
}

#[test]
fn yes_on_the_command_line_and_a_pipe_are_no_answers() {
    let environment = TestEnvironment::new();
    environment.prime();
    let folder = asks("1", &["/etc/tool"]).write(&environment.work());
    let arguments = ["install", folder.to_str().unwrap(), "--yes"];
    let output = environment.run_at_terminal(&arguments, "\n");
    assert_eq!(output.code, 6, "{output}");
    output.prints("[y/N]");
    environment.refused(6, || environment.run(&arguments[..2])).says("--yes approves nothing");
}

#[test]
fn a_failure_after_the_yes_records_nothing() {
    let environment = TestEnvironment::new();
    environment.prime();
    let broken = asks("1", &["/etc/tool"]).install("error('on purpose')");
    assert_eq!(install(&environment, &broken, "y\n").code, 6);
    assert_eq!(environment.run(&["approvals", "list"]).ok().stdout, "");
}

#[test]
fn what_was_approved_can_be_revoked_and_that_be_undone() {
    let environment = TestEnvironment::new();
    install(&environment, &asks("1", &["/etc/tool"]), "y\n").ok();
    environment.run(&["approvals", "revoke", "tool", "--dry-run"]).ok().prints("may write in /etc/tool");
    environment.run(&["approvals", "revoke", "tool"]).ok().says("revoked");
    assert_eq!(environment.run(&["approvals", "list"]).ok().stdout, "");
    environment.refused(1, || environment.run(&["approvals", "revoke", "tool"])).says("nothing was approved");
    environment.refused(6, || environment.install(&asks("2", &["/etc/tool"]))).says("ask for what nobody has approved");
    environment.run(&["undo"]).ok();
    environment.run(&["approvals", "list"]).ok().prints("may write in /etc/tool");
    environment.run(&["undo"]).ok();
    assert_eq!(environment.run(&["approvals", "list"]).ok().stdout, "", "it goes with the install");
    assert_eq!(environment.installed(), Vec::<String>::new());
}

#[test]
fn what_the_config_grants_is_listed_and_revoked_there() {
    let environment = TestEnvironment::new();
    environment.put("etc/packets/config.toml", "[[Sandbox.grant]]\npackage = \"tool\"\nwrite = [\"/etc/tool\"]\n");
    environment.install(&asks("1", &["/etc/tool"])).ok();
    let list = environment.run(&["approvals", "list"]).ok().stdout;
    assert_eq!(list, "tool may write in /etc/tool  (in the config)\n");
    environment.run(&["approvals", "revoke", "tool"]).fails(1).says("a [[Sandbox.grant]] for it stands in");
}

#[test]
fn what_is_new_is_told_where_nobody_is_asked() {
    let environment = TestEnvironment::new();
    environment.prime();
    let config = environment.read("etc/packets/config.toml");
    let grant = "\n[[Sandbox.grant]]\npackage = \"tool\"\nwrite = [\"/etc/tool\", \"/etc/more\"]\n";
    environment.put("etc/packets/config.toml", &(config + grant));
    let told = |version: &str, folders: &[&str]| {
        let output = environment.install(&asks(version, folders)).ok();
        let lines = output.stderr.lines().filter(|line| line.contains(" may ")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    assert_eq!(told("1", &["/etc/tool"]), ["  tool may write in /etc/tool"]);
    assert_eq!(told("2", &["/etc/tool"]), [""; 0], "as the release before");
    assert_eq!(told("3", &["/etc/tool", "/etc/more"]), ["  tool may write in /etc/more"], "what the upgrade adds");
    let folder = asks("4", &["/etc/more", "/etc/tool"]).write(&environment.work());
    let json = environment.run(&["install", folder.to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(json["permissions"], serde_json::json!([]));
    environment.run(&["remove", "tool"]).ok();
    let json = environment.run(&["install", folder.to_str().unwrap(), "--json", "--dry-run"]).ok().json();
    assert_eq!(json["permissions"][0]["grant"]["write"], serde_json::json!(["etc/more", "etc/tool"]));
}
