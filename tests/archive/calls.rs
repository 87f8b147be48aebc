//! What the program asks the kernel to do, seen from outside.

use std::fs;
use std::path::Path;

use packets_tests::{Entry, Package, TestEnvironment, on_path, skip, tar_of, zstd_of};

/// The calls of these names that a run makes; nothing where it cannot be watched.
fn calls(environment: &mut TestEnvironment, names: &str, arguments: &[&str]) -> Option<Vec<String>> {
    let Some(strace) = on_path("strace") else {
        skip("strace is missing");
        return None;
    };
    let log = environment.place().join("tmp/calls");
    let words = [strace.to_str().unwrap(), "-f", "-qq", "-y", "-o", log.to_str().unwrap(), "-e"];
    environment.run_by(words.iter().map(|word| (*word).to_owned()).chain([format!("trace={names}")]).collect());
    let output = environment.run(arguments);
    environment.run_by(Vec::new());
    if !log.exists() {
        skip("strace may not trace here");
        return None;
    }
    output.ok();
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(log).unwrap();
    Some(text.lines().map(str::to_owned).collect())
}

fn release(version: &str) -> Package {
    Package::program("tool", version)
        .executable("run", "#!/bin/sh\necho ran\n")
        .data("deep/er/text", version)
        .link("deep/link", "er/text")
        .install(
            "os.mkdir('/usr/share/tool/sub', 493)
             os.copy(path_join(data_dir, 'deep'), '/usr/share/tool/sub/deep')
             os.remove('/usr/bin/tool')
             assert(os.symlink(path_join(data_dir, 'run'), '/usr/bin/tool'))",
        )
}

/// No mode, owner or time is changed by a path: between the look and the call the path
/// could have become a link.
#[test]
fn a35_attributes_change_by_handle_only() {
    const CHANGES: &str = "chmod,fchmodat,?fchmodat2,chown,lchown,fchownat,utime,utimes,futimesat,utimensat,truncate,\
                           setxattr,lsetxattr,removexattr,lremovexattr";
    let mut environment = TestEnvironment::hostile();
    environment.prime();
    let first = release("1").write(&environment.work());
    let steps: [&[&str]; 2] = [&["install", first.to_str().unwrap()], &["remove", "tool"]];
    for step in steps {
        let Some(calls) = calls(&mut environment, CHANGES, step) else { return };
        let by_path: Vec<&String> = calls.iter().filter(|call| !call.contains("AT_SYMLINK_NOFOLLOW")).collect();
        // A time of a handle is set with no path at all.
        let by_path: Vec<&&String> = by_path.iter().filter(|call| !call.contains(">, NULL")).collect();
        assert!(by_path.is_empty(), "{step:?}: {by_path:#?}");
    }
}

/// Bytes that do not have the expected hash are not even looked at as an archive, and
/// nothing is written below the packages' folder.
#[test]
fn m19_nothing_is_unpacked_before_it_is_verified() {
    let mut environment = TestEnvironment::hostile();
    environment.prime();
    let repo = environment.repo();
    let package = release("1").file(&repo);
    environment.run_plain(&["index", repo.to_str().unwrap()]).ok();
    let other = zstd_of(&tar_of(&[Entry::file("manifest.toml", "[Info]\nname = \"tool\"\nversion = \"1\"\n")]));
    fs::write(&package, other).unwrap();
    let words = ["--repo", repo.to_str().unwrap(), "install", "tool"];
    let before = environment.system();
    let log = environment.place().join("tmp/calls");
    let Some(strace) = on_path("strace") else { return skip("strace is missing") };
    let options = ["-f", "-qq", "-y", "-e", "trace=openat,mkdirat,mkdir,write", "-o"];
    let all = [strace.to_str().unwrap()].into_iter().chain(options).chain([log.to_str().unwrap()]);
    environment.run_by(all.map(str::to_owned).collect());
    let output = environment.run(&words);
    environment.run_by(Vec::new());
    if !log.exists() {
        return skip("strace may not trace here");
    }
    output.fails(5);
    let calls = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    assert!(calls.contains(file_name(&package)), "the package was read:\n{calls}");
    let new_tree = calls.lines().filter(|call| call.contains("/new>, \"tool\"")).collect::<Vec<_>>();
    assert!(new_tree.is_empty(), "{new_tree:#?}");
    before.assert_same(&environment.system(), "the system");
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap()
}
