//! What is printed, and where.

use packets_tests::{Output, Package, TestEnvironment};

/// Times are never twice the same.
fn steady(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n']).collect::<Vec<_>>();
    let mut out = String::new();
    for (at, word) in words.iter().enumerate() {
        let is_time = word.trim().parse::<f64>().is_ok()
            && words.get(at + 1).is_some_and(|next| ["ms", "s"].contains(&next.trim()));
        out.push_str(if is_time { "# " } else { word });
    }
    out
}

fn installed(environment: &TestEnvironment, arguments: &[&str]) -> Output {
    environment.publish(&Package::program("tool", "1").needs(&["library"]));
    environment.publish(&Package::new("library", "2"));
    environment.run_with_repo(&[&["install", "tool"], arguments].concat()).ok()
}

#[test]
fn an_install() {
    let environment = TestEnvironment::new();
    let output = installed(&environment, &[]);
    assert_eq!(output.stdout, "", "results go to stdout; an install has none");
    let text = steady(&output.stderr).replace(environment.root().to_str().unwrap(), "ROOT");
    insta::assert_snapshot!(text, @"
install library 2 (needed)
install tool 1
  tool: makes /usr/
  tool: makes /usr/bin/
  tool: links /usr/bin/tool -> ../../opt/packets/tool/data/tool
installed library 2, tool 1: 8 files, 393 B, in # ms
run it: ROOT/usr/bin/tool
");
}

#[test]
fn an_error_says_what_why_and_what_to_do() {
    let environment = TestEnvironment::new();
    installed(&environment, &[]);
    let output = environment.run(&["remove", "library"]).fails(1);
    insta::assert_snapshot!(output.stderr, @"
error: cannot remove library: the installed tool needs it
  hint: `packets remove library tool` removes both; --cascade removes all that needs it
");
}

#[test]
fn a_denial() {
    let environment = TestEnvironment::new();
    let hook = "-- first line\nio.open('/etc/app.conf', 'w')";
    let output = environment.install(&Package::new("app", "1").family("f-app", 1).install(hook)).fails(6);
    insta::assert_snapshot!(output.stderr.replace(environment.root().to_str().unwrap(), "ROOT"), @r#"
install app 1
error: install.lua of app tried what it may not
  caused by: install.lua:2: open /etc/app.conf: it is in no granted folder
  hint: if you trust it with that, add to ROOT/etc/packets/config.toml:
[[Sandbox.grant]]
package = "app"
family = "f-app"
write = ["/etc/app.conf"]
"#);
}

#[test]
fn lists_and_tables() {
    let environment = TestEnvironment::new();
    installed(&environment, &[]);
    insta::assert_snapshot!(environment.run(&["list"]).ok().stdout, @"
library  2  The package library.
tool     1  The package tool.
");
    insta::assert_snapshot!(environment.run(&["files", "tool"]).ok().stdout, @"
/opt/packets/tool/data/
/opt/packets/tool/data/name
/opt/packets/tool/data/tool
/opt/packets/tool/install.lua
/opt/packets/tool/manifest.toml
/opt/packets/tool/remove.lua
/usr/  (hook)
/usr/bin/  (hook)
/usr/bin/tool -> ../../opt/packets/tool/data/tool  (hook)
");
    let json = environment.run(&["files", "tool", "--json"]).ok().json();
    assert!(json["files"].as_array().unwrap().len() >= 5, "{json}");
}

#[test]
fn quiet_prints_only_errors_and_results() {
    let environment = TestEnvironment::new();
    let output = installed(&environment, &["--quiet"]);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    assert!(environment.run(&["--quiet", "list"]).ok().stdout.contains("tool"));
}

#[test]
fn nothing_to_do_is_no_result() {
    let environment = TestEnvironment::new();
    installed(&environment, &[]);
    for (command, said) in [("install", "tool is installed already\n"), ("upgrade", "tool is up to date\n")] {
        let output = environment.run_with_repo(&[command, "tool"]).ok();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", said));
        let output = environment.run_with_repo(&["--quiet", command, "tool"]).ok();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
        let output = environment.run_with_repo(&["--dry-run", command, "tool"]).ok();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (said, ""), "a plan is a result");
    }
}

#[test]
fn files_are_counted_and_not_folders() {
    let environment = TestEnvironment::new();
    let folder = Package::new("tool", "1").data("deep/below/file", "x").write(&environment.work());
    let file = environment.work().join("tool.pkt.tar.zst");
    let output = environment.run_plain(&["pack", folder.to_str().unwrap(), "-o", file.to_str().unwrap()]).ok();
    output.says("tool 1: 3 files, ");
    environment.run(&["--verbose", "install", file.to_str().unwrap()]).ok().says("  tool: 3 files\n");
}

#[test]
fn timings_name_the_stages() {
    let environment = TestEnvironment::new();
    let output = installed(&environment, &["--timings"]);
    for stage in ["plan", "fetch and unpack", "hooks", "commit"] {
        assert!(
            output.stderr.lines().any(|line| line.starts_with(stage) && line.ends_with(" ms")),
            "{stage}: {output}"
        );
    }
}

#[test]
fn json_errors_are_json_and_nothing_else_is_on_stdout() {
    let environment = TestEnvironment::new();
    let output = environment.run(&["install", "absent", "--json"]).fails(1);
    assert_eq!(output.json()["error"]["kind"], "request");
    let output = installed(&environment, &["--json"]);
    let json = output.json();
    assert_eq!(json["committed"], true);
    assert_eq!(json["hooks"][0]["package"], "tool");
}

#[test]
fn m31_text_from_packages_is_escaped() {
    let environment = TestEnvironment::new();
    let package = Package::new("tool", "1")
        .info("description = \"\\u001b[2Jred\\u202etxt\\u0007\"")
        .install("print('\\27[31m\\226\\128\\174')");
    let output = environment.install(&package).ok();
    assert!(!output.stderr.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{output}");
    for arguments in [&["list"][..], &["info", "tool"]] {
        let output = environment.run(arguments).ok();
        assert!(
            !output.stdout.contains(['\u{1b}', '\u{202e}', '\u{7}']) && output.stdout.contains("\\u{1b}[2Jred"),
            "{output}"
        );
    }
    let json = environment.run(&["info", "tool", "--json"]).ok().json();
    assert_eq!(json["installed"]["description"], "\u{1b}[2Jred\u{202e}txt\u{7}");
}

#[test]
fn readers_need_nothing_and_make_nothing() {
    let environment = TestEnvironment::new();
    assert_eq!(environment.run(&["list"]).ok().stdout, "");
    environment.run(&["list", "--available"]).ok();
    environment.run(&["info", "absent"]).fails(1);
    assert!(packets_tests::Snapshot::of(&environment.root()).paths().is_empty());
}

#[test]
fn the_first_writing_command_writes_the_config_down() {
    let environment = TestEnvironment::new();
    installed(&environment, &[]);
    let config: toml::Table = environment.read("etc/packets/config.toml").parse().unwrap();
    assert_eq!(config["Config"]["binDir"].as_str(), Some("/usr/bin"));
    assert_eq!(config["Config"]["httpPort"].as_integer(), Some(9123));
    environment.run(&["list"]).ok();
}

#[test]
fn a_closed_pipe_is_the_end_of_the_output_only() {
    let environment = TestEnvironment::new();
    installed(&environment, &[]);
    let mut command = environment.command();
    command.args(["--root", environment.root().to_str().unwrap(), "list"]).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success(), "C31 EPIPE");
}

/// A repository with an index, synced.
fn from_an_index(packages: &[Package]) -> TestEnvironment {
    let environment = TestEnvironment::new();
    for package in packages {
        package.file(&environment.repo());
    }
    environment.run_plain(&["index", environment.repo().to_str().unwrap()]).ok();
    environment.run(&["sync", environment.repo().to_str().unwrap()]).ok();
    environment
}

/// The line of a plan that says what it costs.
fn cost(output: &Output) -> &str {
    output.stderr.lines().find(|line| line.contains("to fetch") || line.contains("on disk")).unwrap_or_default()
}

#[test]
fn what_a_plan_costs_is_said_before_and_adds_up() {
    let release = |version: &str, bytes: usize| {
        let package = Package::program("tool", version).family("f", version.parse().unwrap());
        package.info("installed_size = 60000").data("blob", &"x".repeat(bytes))
    };
    let environment = from_an_index(&[release("1", 50_000), Package::new("library", "1")]);
    let listed: serde_json::Value = environment.run(&["install", "tool", "--dry-run=plan", "--json"]).ok().json();
    let one = &listed["plan"]["install"][0];
    let size = one["size"].as_u64().unwrap();
    assert!(size < 1024 && one["installed_size"] == 60_000, "{one}");
    let installed = environment.run(&["install", "tool"]).ok();
    assert_eq!(cost(&installed), format!("{size} B to fetch, 58.6 KiB more on disk"));
    assert!(installed.stderr.starts_with("install tool 1\n"), "{installed}");

    let record = environment.run(&["list", "--json"]).ok().json();
    let on_disk = record[0]["installed_size"].as_u64().unwrap();
    assert!(on_disk > 50_000, "{record}");
    let removed = environment.run(&["remove", "tool"]).ok();
    let freed = format!("{:.1} KiB less on disk after `packets cache clean`", on_disk as f64 / 1024.0);
    assert_eq!(cost(&removed), freed);
    // One that does not say how large it is keeps the sum unknown.
    let both = environment.run(&["install", "tool", "library", "--dry-run=plan", "--json"]).ok().json();
    let sizes = both["plan"]["install"].as_array().unwrap().iter().map(|one| one["size"].as_u64().unwrap());
    let again = environment.run(&["install", "tool", "library"]).ok();
    assert_eq!(cost(&again), format!("2 packages: {} B to fetch", sizes.sum::<u64>()), "{again}");
    assert_eq!(cost(&environment.run(&["remove", "tool", "--quiet"]).ok()), "");
    assert_eq!(cost(&environment.run(&["remove", "library", "--dry-run"]).ok()), "");
}

#[test]
fn long_plans_are_cut_short() {
    let names: Vec<String> = (0..21).map(|at| format!("p{at:02}")).collect();
    let packages: Vec<Package> = names.iter().map(|name| Package::new(name, "1")).collect();
    let environment = from_an_index(&packages);
    let with = |more: &[&'static str]| {
        let mut all: Vec<&str> = ["remove"].iter().chain(more).copied().collect();
        all.extend(names.iter().map(String::as_str));
        environment.run(&all).ok().stderr
    };
    let mut all = vec!["install"];
    all.extend(names.iter().map(String::as_str));
    let text = environment.run(&all).ok().stderr;
    assert!(text.contains("install p18 1\nand 2 more packages\n") && !text.contains("install p19"), "{text}");
    let text = with(&["--verbose"]);
    assert!(text.contains("remove p20 1\n") && !text.contains("more package"), "{text}");
    environment.run(&all[..21]).ok().says("install p19 1");
}
