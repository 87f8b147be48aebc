//! What stands in the way is refused before anything changes, or handled (C17, C18).

use std::fs;
use std::process::{Command, Stdio};

use packets_tests::{Package, TestEnvironment, is_root, skip};

/// A package that links its program and writes one file.
fn release(version: &str) -> Package {
    let hook = format!(
        "local out = io.open('/usr/share/doc/tool', 'w') out:write('doc {version}') out:close() \
         assert(os.symlink(path_join(data_dir, 'tool'), '/usr/bin/tool'))"
    );
    Package::program("tool", version).install(&hook)
}

fn installed() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.install(&release("1")).ok();
    environment
}

/// `chattr` on a path below the root, taken back when it is dropped; none where it cannot be done.
struct Attribute(std::path::PathBuf, &'static str);

impl Attribute {
    fn set(environment: &TestEnvironment, path: &str, letter: &'static str) -> Option<Self> {
        let path = environment.at(path);
        let done = Command::new("chattr").arg(format!("+{letter}")).arg(&path).stderr(Stdio::null()).status();
        match done {
            Ok(status) if status.success() => Some(Self(path, letter)),
            _ => {
                skip("needs chattr, root, and a file system with attributes");
                None
            }
        }
    }
}

impl Drop for Attribute {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg(format!("-{}", self.1)).arg(&self.0).status();
    }
}

#[test]
fn c18_what_is_immutable() {
    let environment = installed();
    for (path, letter, why) in [
        ("usr/share/doc/tool", "i", "it is immutable"),
        ("usr/share/doc/tool", "a", "it is append-only"),
        ("usr/bin", "i", "it is immutable"),
        ("opt/packets/tool", "i", "it is immutable"),
    ] {
        let Some(_set) = Attribute::set(&environment, path, letter) else { return };
        let packages = release("2").write(&environment.work());
        environment
            .refused(1, || environment.run(&["install", packages.to_str().unwrap()]))
            .says(&format!("cannot change /{path}"))
            .says(why)
            .says("chattr -");
        environment.refused(1, || environment.run(&["remove", "tool"])).says(why);
    }
    environment.install(&release("2")).ok();
}

#[test]
fn c18_an_immutable_file_in_the_old_tree_goes_out_of_the_way() {
    let environment = installed();
    {
        let Some(_set) = Attribute::set(&environment, "opt/packets/tool/data/name", "i") else { return };
        environment.install(&release("2")).ok();
        assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 2\n");
        environment.run(&["undo"]).ok();
    }
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
}

/// What cannot be deleted is told, stops nothing else, and goes as soon as it can.
#[test]
fn c18_what_is_kept_and_cannot_be_deleted() {
    let environment = installed();
    for version in ["2", "3"] {
        environment.install(&release(version)).ok();
    }
    let history = environment.run(&["history", "--json"]).ok().json();
    let oldest = history[1]["id"].as_str().unwrap();
    let file = format!("opt/packets/.packets/{oldest}/old/tool/data/name");
    {
        let Some(_set) = Attribute::set(&environment, &file, "i") else { return };
        environment.run(&["cache", "clean"]).fails(7).says(oldest).says("Operation not permitted");
        assert!(environment.exists(&file));
        let left = environment.run(&["cache", "list", "--json"]).ok().json();
        assert!(left["transactions"].as_array().unwrap().is_empty(), "all others are free: {left}");
        // Nobody undoes what is half gone, and work goes on.
        environment.run(&["undo", oldest]).fails(1).says("no longer kept");
        environment.install(&release("4")).ok().says(oldest);
    }
    environment.run(&["cache", "clean"]).ok();
    assert!(!environment.exists(&format!("opt/packets/.packets/{oldest}")));
}

#[test]
fn c18_a_mount_point() {
    if !is_root() {
        skip("mounts need root");
        return;
    }
    let environment = installed();
    for path in ["opt/packets/tool", "usr/share/doc/tool"] {
        let at = environment.at(path);
        let source =
            if at.is_dir() { environment.place().join("home") } else { environment.place().join("outside/public") };
        // The mount is in a name space of the shell's own.
        let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
        let program = environment.command();
        let run = |arguments: &[&str]| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).arg(&source).arg(&at);
            command.arg(program.get_program()).arg("--root").arg(environment.root()).arg("--yes").args(arguments);
            command
                .env_clear()
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .env("TMPDIR", environment.place().join("tmp"));
            command.output().unwrap()
        };
        let before = environment.everything();
        let folder = release("2").write(&environment.work());
        for arguments in [&["install", folder.to_str().unwrap()][..], &["remove", "tool", "--no-hooks"]] {
            let output = run(arguments);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && text.contains("something is mounted there"), "{arguments:?}: {text}");
            before.assert_same(&environment.everything(), path);
        }
    }
}

#[test]
fn c18_something_of_others_where_the_package_goes() {
    let environment = TestEnvironment::new();
    environment.prime();
    for make in [
        |path: &std::path::Path| fs::create_dir(path).unwrap(),
        |path: &std::path::Path| fs::write(path, "mine").unwrap(),
        |path: &std::path::Path| std::os::unix::fs::symlink("/nowhere", path).unwrap(),
    ] {
        let at = environment.at("opt/packets/tool");
        make(&at);
        let folder = release("1").write(&environment.work());
        environment
            .refused(7, || environment.run(&["install", folder.to_str().unwrap()]))
            .says("cannot put /opt/packets/tool in place")
            .says("no package owns what stands there");
        match at.is_dir() {
            true => fs::remove_dir(&at).unwrap(),
            false => fs::remove_file(&at).unwrap(),
        }
    }
    environment.install(&release("1")).ok();
}

#[test]
fn c17_programs_run_on_while_they_are_replaced() {
    let environment = TestEnvironment::new();
    environment.prime();
    // A real program: what the kernel runs cannot be written to (ETXTBSY), and need not be.
    let sleep = fs::read("/bin/sleep").unwrap();
    let package = |version: &str| {
        release(version)
            .program_bytes("sleeper", &sleep)
            .install("assert(os.copy(path_join(data_dir, 'sleeper'), '/usr/bin/sleeper'))")
    };
    environment.install(&package("1")).ok();
    let run = |path: &str| Command::new(environment.at(path)).arg("30").spawn().unwrap();
    let mut running = [run("opt/packets/tool/data/sleeper"), run("usr/bin/sleeper")];
    environment.install(&package("2")).ok();
    environment.run(&["undo"]).ok();
    environment.run(&["remove", "tool"]).ok();
    for process in &mut running {
        assert!(process.try_wait().unwrap().is_none(), "it still runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

#[test]
fn c17_packets_upgrades_itself() {
    let environment = TestEnvironment::new();
    environment.prime();
    let program = fs::read(environment.command().get_program()).unwrap();
    let package = |version: &str| {
        Package::new("packets", version)
            .program_bytes("packets", &program)
            .install("assert(os.symlink(path_join(data_dir, 'packets'), '/usr/bin/packets'))")
    };
    environment.install(&package("1")).ok();
    let folder = package("2").write(&environment.work()).display().to_string();
    let own = |arguments: &[&str]| {
        let mut command = Command::new(environment.at("usr/bin/packets"));
        command.arg("--root").arg(environment.root()).arg("--yes").args(arguments);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", environment.place().join("tmp"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    own(&["install", &folder]);
    assert!(own(&["list"]).contains("packets  2"));
    own(&["undo"]);
    assert!(own(&["list"]).contains("packets  1"));
}

/// Runs the program on `merged`, an overlay over the root with these options, in a mount name space of its own.
fn on_overlay(environment: &TestEnvironment, options: &str, commands: &[&[&str]]) -> Vec<(bool, String)> {
    let place = environment.place();
    for folder in ["upper", "layers", "merged"] {
        fs::create_dir_all(place.join(folder)).unwrap();
    }
    let lines: Vec<String> = commands
        .iter()
        .map(|words| format!("\"$program\" --root merged --yes {} 2>&1; echo \"[$?]\"", words.join(" ")))
        .collect();
    let script = format!(
        "mount -t tmpfs none layers && mkdir layers/upper layers/work && cd \"$place\" && \
         mount -t overlay -o lowerdir=root,upperdir=layers/upper,workdir=layers/work{options} none merged && {{ {} ; }}",
        lines.join("; ")
    );
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .current_dir(place)
        .env_clear()
        .envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")])
        .env("TMPDIR", place.join("tmp"))
        .env("place", place)
        .env("program", environment.command().get_program())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut answers: Vec<(bool, String)> = Vec::new();
    for part in text.split_inclusive("]\n").filter(|part| part.ends_with("]\n")) {
        answers.push((part.ends_with("[0]\n"), part.to_owned()));
    }
    answers
}

#[test]
fn c16_a_lower_layer_of_an_overlay() {
    if !is_root() {
        skip("mounts need root");
        return;
    }
    let environment = installed();
    let folder = release("2").write(&environment.work()).display().to_string();
    let commands: &[&[&str]] =
        &[&["install", &folder], &["list"], &["undo"], &["remove", "tool"], &["list"], &["undo"], &["list"]];
    let done = on_overlay(&environment, ",redirect_dir=off", commands);
    if done.is_empty() {
        skip("there are no overlays here");
        return;
    }
    assert!(done.iter().all(|(is_ok, _)| *is_ok), "{done:?}");
    assert!(done[1].1.contains("tool  2") && !done[4].1.contains("tool") && done[6].1.contains("tool  1"), "{done:?}");
    let commands = &commands[..2];
    let done = on_overlay(&environment, ",redirect_dir=on", commands);
    assert!(done.iter().all(|(is_ok, _)| *is_ok), "{done:?}");
    assert!(done[1].1.contains("tool  2"), "{done:?}");
}

#[test]
fn c16_files_of_several_names_in_a_lower_layer() {
    if !is_root() {
        skip("mounts need root");
        return;
    }
    // In the upper layer, into which they are copied before they move, they are other files.
    let environment = installed();
    environment.put("opt/packets/tool/data/own", "the administrator's");
    for (path, other) in [("opt/packets/tool/data/own", "opt/packets/tool/data/twin"), ("usr/share/doc/tool", "twin")] {
        fs::hard_link(environment.at(path), environment.at(other)).unwrap();
    }
    let folder = release("2").write(&environment.work()).display().to_string();
    let commands: &[&[&str]] =
        &[&["install", &folder], &["undo"], &["list"], &["remove", "tool"], &["undo"], &["list"]];
    let done = on_overlay(&environment, ",redirect_dir=off", commands);
    if done.is_empty() {
        skip("there are no overlays here");
        return;
    }
    assert!(done.iter().all(|(is_ok, _)| *is_ok), "{done:?}");
    assert!(done[2].1.contains("tool  1") && done[5].1.contains("tool  1"), "{done:?}");
}
