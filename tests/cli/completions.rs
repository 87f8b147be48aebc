//! Completions: what shells ask and are answered, in real shells where they are there.

use std::process::Command;

use packets_tests::{Package, TestEnvironment, on_path, program, skip};

/// What the program answers where a line ends so.
fn answers(environment: &TestEnvironment, words: &[&str]) -> Vec<String> {
    let mut command = environment.command();
    command.env("PACKETS_COMPLETE", "bash").env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_SPACE", "false");
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string()).env("_CLAP_COMPLETE_COMP_TYPE", "9");
    let output = command.args(["--", "packets"]).args(words).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim_end().to_owned()).collect()
}

fn world() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.install(&Package::new("here-one", "1")).ok();
    environment.install(&Package::new("here-two", "1")).ok();
    Package::new("there", "1").info("alias = \"the-alias\"").file(&environment.repo());
    environment.run_plain(&["index", environment.repo().to_str().unwrap()]).ok();
    environment.run(&["sync", environment.repo().to_str().unwrap()]).ok();
    environment
}

#[test]
fn names_commands_and_options() {
    let environment = world();
    let root = environment.root();
    let at = |words: &[&str]| answers(&environment, &[&["--root", root.to_str().unwrap()], words].concat());
    assert_eq!(at(&["remove", "he"]), ["here-one", "here-two"]);
    assert_eq!(at(&["hold", "here-t"]), ["here-two"]);
    assert_eq!(at(&["install", "the"]), ["the-alias", "there"]);
    assert_eq!(at(&["install", "zzz"]), Vec::<String>::new());
    assert_eq!(at(&["mark", "as"]), ["asked"]);
    assert_eq!(at(&["autor"]), ["autoremove"]);
    assert_eq!(at(&["install", "--rep"]), ["--replace", "--repo"]);
    let before = environment.everything();
    at(&["install", ""]);
    before.assert_same(&environment.everything(), "asking changes nothing");
    std::fs::write(environment.at("etc/packets/installed.db"), "no database").unwrap();
    assert_eq!(at(&["remove", "he"]), Vec::<String>::new(), "what cannot be read offers nothing");
}

#[test]
fn a_real_bash_completes() {
    let environment = world();
    let script = environment.run_plain(&["completions", "bash"]).ok().stdout;
    let Some(bash) = on_path("bash") else { return skip("there is no bash") };
    let folder = environment.work().join("bin");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(program(), folder.join("packets")).unwrap();
    std::fs::write(environment.work().join("script"), script).unwrap();
    let line = format!("packets --root {} remove here-o", environment.root().display());
    let ask = format!(
        "source ./script; COMP_LINE={line:?}; COMP_WORDS=($COMP_LINE); COMP_CWORD=4; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9; \
         $(complete -p packets | grep -o '_clap[a-z_]*') packets here-o remove; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut command = Command::new(bash);
    command.args(["--norc", "-c", &ask]).env_clear().current_dir(environment.work());
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    let output = command.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(shown.trim(), "here-one", "{output:?}");
}

#[test]
fn scripts_that_their_shells_can_parse() {
    let environment = TestEnvironment::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = environment.run_plain(&["completions", shell]).ok().stdout;
        assert!(script.contains("PACKETS_COMPLETE"), "{script}");
        let Some(program) = on_path(shell) else {
            skip(&format!("there is no {shell}"));
            continue;
        };
        let file = environment.work().join(shell);
        std::fs::write(&file, script).unwrap();
        let output = Command::new(program).arg("-n").arg(&file).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    environment.run_plain(&["completions", "tcsh"]).fails(2).says("possible values: bash, zsh, fish");
}

#[test]
fn a_page_of_the_manual_for_each_command() {
    let environment = TestEnvironment::new();
    let folder = environment.work().join("man1");
    environment.run_plain(&["manual", folder.to_str().unwrap()]).fails(7).says("cannot write the manual into");
    std::fs::create_dir(&folder).unwrap();
    environment.run_plain(&["manual", folder.to_str().unwrap()]).ok();
    for page in ["packets", "packets-install", "packets-config-set", "packets-verify"] {
        let text = std::fs::read_to_string(folder.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".TH ") && text.contains("Examples:"), "{page}: {text}");
    }
    let Some(man) = on_path("man") else { return skip("there is no man") };
    let output = Command::new(man).arg(folder.join("packets-install.1")).env("PATH", "/usr/bin:/bin").output().unwrap();
    if output.status.success() {
        assert!(String::from_utf8_lossy(&output.stdout).contains("Install packages and what they need"));
    }
}
