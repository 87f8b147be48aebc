//! Names, versions, manifests, requirements and paths that mean harm, from end to end.

use std::fs;
use std::process::Command;

use packets_plugin_api::ident::{Digest, Family};
use packets_plugin_api::storage::{IndexEntry, StorageFormat};
use packets_plugin_sqlite::SqliteFormat;
use packets_tests::{Entry, Output, Package, TestEnvironment, program, tar_of, zstd_of};

/// Names that are none. Whoever gives one to a shell makes the file `pwned`.
fn bad_names() -> Vec<String> {
    let mut names: Vec<String> =
        ["../x", "-rf", "$(touch pwned)", ";touch pwned", "`touch pwned`", "a b", "a\nb", "ngin\u{445}", ".", "..", ""]
            .map(str::to_owned)
            .into();
    names.push("a".repeat(10_000));
    names
}

fn toml(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn nothing_was_run(environment: &TestEnvironment, what: &str) {
    let pwned = packets_tests::Snapshot::of(environment.place()).paths();
    assert!(!pwned.iter().any(|path| path.ends_with("pwned")), "{what}: a shell has run");
}

#[test]
fn m29_names_that_are_none_are_refused_wherever_they_come_from() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    for name in bad_names() {
        let shown = name.escape_default().to_string();
        let shown = &shown[..shown.len().min(20)];
        let manifest = format!("[Info]\nname = {}\nversion = \"1\"\n", toml(&name));
        let package = Package::new("bad", "1").manifest_text(&manifest);
        let output = environment.refused(5, || environment.install(&package));
        assert!(output.stderr.contains("manifest.toml") && output.stderr.contains("name"), "{shown}: {output}");
        for key in ["dependencies", "provides", "conflicts"].into_iter().filter(|_| !name.is_empty()) {
            let package = Package::new("bad", "1").info(&format!("{key} = [{}]", toml(&name)));
            environment.refused(5, || environment.install(&package)).says(key);
        }
        for command in ["remove", "files", "info", "why", "hold", "upgrade", "install"] {
            let output = environment.refused_with_any(|| environment.run(&[command, "--", &name]));
            assert!([1, 2].contains(&output.code), "{command} {shown}: {output}");
        }
        nothing_was_run(&environment, shown);
    }
}

#[test]
fn m29_files_may_have_such_names_and_no_shell_sees_them() {
    let environment = TestEnvironment::hostile();
    let repo = environment.repo();
    let made = Package::program("tool", "1").file(&repo);
    for name in ["$(touch pwned)", ";touch pwned;", "-rf", "a b", "%2e%2e"] {
        let file = repo.join(format!("{name}.pkt.tar.zst"));
        fs::rename(&made, &file).unwrap();
        environment.run_plain(&["index", repo.to_str().unwrap()]).ok();
        environment.run_with_repo(&["install", "tool"]).ok();
        assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n", "{name}");
        environment.run(&["remove", "tool"]).ok();
        environment.run(&["install", file.to_str().unwrap()]).ok();
        environment.run(&["remove", "tool"]).ok();
        environment.run(&["cache", "clean"]).ok();
        nothing_was_run(&environment, name);
        fs::rename(&file, &made).unwrap();
    }
    // What acts on a terminal is no name that anything is fetched by.
    fs::rename(&made, repo.join("a\nb.pkt.tar.zst")).unwrap();
    environment.run_plain(&["index", repo.to_str().unwrap()]).ok();
    environment.refused(1, || environment.run_with_repo(&["install", "tool"])).says("a%0Ab.pkt.tar.zst");
}

#[test]
fn m30_versions_from_end_to_end() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    for bad in ["1/../../x", &"9".repeat(10_000), "", "1 2", "1\n2", "\u{661}"] {
        let manifest = format!("[Info]\nname = \"bad\"\nversion = {}\n", toml(bad));
        let package = Package::new("bad", "1").manifest_text(&manifest);
        environment.refused(5, || environment.install(&package)).says("version");
        let needs = Package::new("bad", "1").info(&format!("dependencies = [{}]", toml(&format!("lib>={bad}"))));
        environment.refused(5, || environment.install(&needs)).says("dependencies");
    }
    // More than any number of the machine holds, and still one more than one less.
    let (less, more) = ("18446744073709551615:1", "18446744073709551616:1");
    environment.publish(&Package::new("lib", more));
    environment.publish(&Package::new("fits", "1").needs(&[&format!("lib>{less}")]));
    environment.publish(&Package::new("exact", "1").needs(&[&format!("lib=0{more}")]));
    environment.publish(&Package::new("never", "1").needs(&[&format!("lib<={less}")]));
    environment.refused(1, || environment.run_with_repo(&["install", "never"])).says("needs lib<=");
    environment.run_with_repo(&["install", "fits", "exact"]).ok();
    assert_eq!(environment.run(&["info", "lib", "--json"]).ok().json()["installed"]["version"], more);
    // Zeros in front are the same version, and that is no upgrade.
    environment.install(&Package::new("zeros", "007")).ok();
    environment.install(&Package::new("user", "1").needs(&["zeros=7"])).ok();
}

#[test]
fn m32_manifests_from_end_to_end() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let head = "[Info]\nname = \"bad\"\nversion = \"1\"\n";
    let deep = 20_000;
    let cases: [(&str, Vec<u8>); 8] = [
        ("a key twice", format!("{head}serial = 1\nserial = 2\n").into()),
        ("a table twice", format!("{head}[Info]\n").into()),
        ("lists in lists", format!("{head}x = {}{}", "[".repeat(deep), "]".repeat(deep)).into()),
        ("tables in tables", format!("{head}x = {}1{}", "{a=".repeat(deep), "}".repeat(deep)).into()),
        ("dotted keys", format!("{head}{}x = 1", "a.".repeat(deep)).into()),
        ("a byte order mark", format!("\u{feff}{head}").into()),
        ("no UTF-8", [head.as_bytes(), b"author = \"\xff\"\n"].concat()),
        ("a large number", format!("{head}serial = 99999999999999999999\n").into()),
    ];
    for (case, bytes) in cases {
        let folder = Package::new("bad", "1").write(&environment.work());
        fs::write(folder.join("manifest.toml"), &bytes).unwrap();
        let by_folder = || environment.run(&["install", folder.to_str().unwrap()]);
        let output = environment.refused(5, by_folder);
        assert!(output.stderr.contains("manifest.toml"), "{case}: {output}");
        let file = environment.work().join("bad.pkt.tar.zst");
        let mut manifest = Entry::file("manifest.toml", "");
        manifest.content = bytes;
        fs::write(&file, zstd_of(&tar_of(&[Entry::folder("data/"), manifest]))).unwrap();
        let output = environment.refused(5, || environment.run(&["install", file.to_str().unwrap()]));
        assert!(output.stderr.contains("manifest.toml"), "{case}: {output}");
    }
    let folder = Package::new("bad", "1").write(&environment.work());
    fs::File::options().write(true).open(folder.join("manifest.toml")).unwrap().set_len(1 << 30).unwrap();
    environment.refused(5, || environment.run(&["install", folder.to_str().unwrap()])).says("manifest.toml");
    let unknown = Package::new("later", "1").info("colour = \"red\"");
    environment.install(&unknown).ok().says("colour is not known to this version");
}

#[test]
fn m32_configs_from_end_to_end() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let good = environment.read("etc/packets/config.toml");
    let deep = 20_000;
    for (case, bytes) in [
        ("a key twice", format!("{good}\n[Config]\n").into_bytes()),
        ("lists in lists", format!("x = {}{}\n{good}", "[".repeat(deep), "]".repeat(deep)).into()),
        ("no UTF-8", [good.as_bytes(), b"# \xff\n"].concat()),
        ("a large number", good.replace("httpPort = 9123", "httpPort = 99999999999999999999").into()),
    ] {
        fs::write(environment.at("etc/packets/config.toml"), bytes).unwrap();
        let output = environment.refused_with_any(|| environment.install(&Package::new("tool", "1")));
        assert!([1, 7].contains(&output.code) && output.stderr.contains("config.toml"), "{case}: {output}");
    }
    environment.put("etc/packets/config.toml", &good);
    environment.install(&Package::new("tool", "1")).ok();
}

fn entry(name: &str, requires: &[&str], conflicts: &[&str], provides: &[&str]) -> IndexEntry {
    IndexEntry {
        name: name.parse().unwrap(),
        alias: None,
        version: "1".parse().unwrap(),
        digest: Digest::from_bytes([7; 32]),
        description: String::new(),
        requires: requires.iter().map(|text| text.parse().unwrap()).collect(),
        conflicts: conflicts.iter().map(|text| text.parse().unwrap()).collect(),
        provides: provides.iter().map(|text| text.parse().unwrap()).collect(),
        mirrors: vec![format!("{name}.pkt.tar.zst")],
        family: Family::none(),
        serial: 0,
        size: Some(1),
        installed_size: Some(1),
        arch: None,
    }
}

/// The plan for these of an index, twice the same.
fn planned(entries: &[IndexEntry], wanted: &[&str]) -> Output {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let index = environment.work().join("index.db");
    SqliteFormat.write_index(&index, entries).unwrap();
    let plan = || {
        let arguments = ["--repo", index.to_str().unwrap(), "--dry-run=plan", "install", "--"];
        environment.run(&[&arguments, wanted].concat())
    };
    let (first, second) = (plan(), plan());
    assert_eq!((&first.stdout, &first.stderr), (&second.stdout, &second.stderr), "it is decided by the index alone");
    first
}

#[test]
fn m33_requirements_from_end_to_end() {
    let output = planned(&[entry("self", &["self"], &[], &[])], &["self"]).ok();
    assert_eq!(output.stdout, "install self 1\n");
    let output = planned(&[entry("torn", &[], &["torn"], &["other"])], &["torn"]).ok();
    assert_eq!(output.stdout, "install torn 1\n", "nobody is in their own way");
    planned(&[entry("never", &["never>=2"], &[], &[])], &["never"]).fails(1).says("it needs never>=2");
    let ring = [entry("a", &["b"], &[], &[]), entry("b", &["c"], &[], &[]), entry("c", &["a"], &[], &[])];
    assert_eq!(planned(&ring, &["b"]).ok().stdout.lines().count(), 3);

    let names: Vec<String> = (0..5000).map(|at| format!("p{at}")).collect();
    let needs = |at: usize| names.get(at + 1).map(String::as_str).into_iter().collect::<Vec<_>>();
    let chain: Vec<IndexEntry> = (0..names.len()).map(|at| entry(&names[at], &needs(at), &[], &[])).collect();
    let output = planned(&chain, &["p0"]).ok();
    assert_eq!(output.stdout.lines().count(), 5000);
    assert!(output.stdout.starts_with("install p4999 1 (needed)\n"), "what is needed comes first");

    let elsewhere = [entry("app", &["packets>=99"], &[], &[]), entry("evil", &[], &[], &["packets", "libc6", "base"])];
    planned(&elsewhere, &["app"]).fails(1).says("it needs packets>=99, and no known package is that");
}

#[test]
fn m33_ten_pigeons_in_nine_holes_from_end_to_end() {
    let mut entries = Vec::new();
    let pigeons: Vec<String> = (0..10).map(|pigeon| format!("pigeon{pigeon}")).collect();
    let place = |pigeon: usize, hole: usize| format!("in{pigeon}-{hole}");
    for (pigeon, name) in pigeons.iter().enumerate() {
        let any = (0..9).map(|hole| place(pigeon, hole)).collect::<Vec<_>>().join(" | ");
        entries.push(entry(name, &[&any], &[], &[]));
        for hole in 0..9 {
            let others: Vec<String> =
                (0..10).filter(|other| *other != pigeon).map(|other| place(other, hole)).collect();
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            entries.push(entry(&place(pigeon, hole), &[], &others, &[]));
        }
    }
    let wanted: Vec<&str> = pigeons.iter().map(String::as_str).collect();
    planned(&entries, &wanted).fails(1).says("does not go together");
    planned(&entries, &wanted[..9]).ok();
}

/// What belongs to the program, or to the kernel.
const CLOSED: [&str; 9] = [
    "/etc/packets/installed.db",
    "/etc/packets/config.toml",
    "/etc/packets/new",
    "/var/lib/packets/journal/x",
    "/var/cache/packets/x.pkt.tar.zst",
    "/usr/lib/packets/plugins/evil/plugin.so",
    "/usr/bin/packets",
    "/proc/sys/kernel/core_pattern",
    "/dev/shm/x",
];

#[test]
fn m34_p12_no_hook_reaches_what_is_the_programs_or_the_kernels_whatever_is_granted() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    // The program below the root, as it is on a running system.
    let own = environment.at("usr/bin/packets");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::copy(program(), &own).unwrap();
    for folder in ["proc/sys/kernel", "dev/shm", "usr/lib/packets/plugins"] {
        fs::create_dir_all(environment.at(folder)).unwrap();
    }
    environment.put("proc/sys/kernel/core_pattern", "core\n");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&own);
        command.arg("--root").arg(environment.root()).arg("--yes").args(arguments).env_clear();
        command.env("TMPDIR", environment.place().join("tmp")).current_dir(environment.work());
        let output = command.output().unwrap();
        Output::of(&format!("packets {}", arguments.join(" ")), &output)
    };
    for path in CLOSED {
        let ways = [
            format!("assert(io.open('{path}', 'w'))"),
            format!("assert(os.symlink('/etc/hosts', '{path}'))"),
            format!("assert(os.copy(path_join(data_dir, 'name'), '{path}'))"),
            format!("assert(os.rename(path_join(data_dir, 'name'), '{path}'))"),
            format!("assert(os.mkdir('{path}/below', 493))"),
        ];
        for hook in ways {
            let folder = Package::new("bad", "1").install(&hook).write(&environment.work());
            let parent = format!("bad={}", path.rsplit_once('/').unwrap().0);
            let folder = folder.to_str().unwrap();
            environment.refused(6, || run(&["install", folder])).says(path);
            // A grant of the folder above, as somebody may have approved it, opens nothing of it.
            let output = environment.refused_with_any(|| run(&["install", folder, "--grant", &parent]));
            assert!([1, 6].contains(&output.code), "{hook}: {output}");
            let above = format!("bad=/{}", path.split('/').nth(1).unwrap());
            let output = environment.refused_with_any(|| run(&["install", folder, "--grant", &above]));
            assert!([1, 6].contains(&output.code), "{hook}: {output}");
        }
        let asking = Package::new("bad", "1").permission(&format!("replace = [\"{path}\"]")).install("print('x')");
        let folder = asking.write(&environment.work());
        let config = environment.read("etc/packets/config.toml");
        let grant = format!("{config}\n[[Sandbox.grant]]\npackage = \"bad\"\nreplace = [\"{path}\"]\n");
        environment.put("etc/packets/config.toml", &grant);
        let output = environment.refused_with_any(|| run(&["install", folder.to_str().unwrap()]));
        assert!([1, 5, 6].contains(&output.code) && output.stderr.contains(path), "{path}: {output}");
        environment.put("etc/packets/config.toml", &config);
    }
    assert_eq!(environment.installed(), [""; 0]);
    environment.install(&Package::program("good", "1")).ok();
}
