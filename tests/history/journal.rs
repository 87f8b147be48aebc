//! A journal that does not verify is never acted on; a recovery that cannot go on says why.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use packets_tests::{Output, Package, TestEnvironment, on_path, skip};

/// A root on which an upgrade was killed before its nth rename; none where strace is missing.
fn cut_off(rename: u32) -> Option<TestEnvironment> {
    killed_at("renameat2", rename).filter(|(code, _)| *code == 137).map(|(_, environment)| environment)
}

/// The same for any system call; and the exit code.
fn killed_at(call: &str, nth: u32) -> Option<(i32, TestEnvironment)> {
    let Some(strace) = on_path("strace") else {
        skip("needs strace");
        return None;
    };
    let mut environment = TestEnvironment::new();
    environment.prime();
    environment.install(&release("1")).ok();
    environment.put("opt/packets/tool/data/mine", "mine\n");
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    let words = [strace.to_str().unwrap(), "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    environment.run_by(words.map(str::to_owned).into());
    let killed = environment.install(&release("2"));
    environment.run_by(Vec::new());
    Some((killed.code, environment))
}

fn release(version: &str) -> Package {
    let hook = format!(
        "local out = io.open('/usr/share/doc/tool', 'w') out:write('doc {version}') out:close() \
         assert(os.symlink(path_join(data_dir, 'tool'), '/usr/bin/tool'))"
    );
    Package::program("tool", version).install(&hook)
}

fn journal(environment: &TestEnvironment) -> PathBuf {
    let mut names = fs::read_dir(environment.at("var/lib/packets/journal")).unwrap();
    let only = names.next().unwrap().unwrap().path();
    assert!(names.next().is_none());
    only
}

#[track_caller]
fn quarantined(environment: &TestEnvironment) -> Output {
    let name = journal(environment).file_name().unwrap().to_owned();
    let before = environment.system();
    let output = environment.run(&["recover"]).fails(5).says("does not verify").says("var/lib/packets/quarantine/");
    before.assert_same(&environment.system(), "nobody acted on it");
    assert!(environment.at("var/lib/packets/quarantine").join(name).exists());
    // The next command goes on without it.
    environment.run(&["recover"]).ok().says("nothing was cut off");
    output
}

#[test]
fn a_killed_upgrade_is_finished_and_tells_it() {
    for rename in [1, 2, 3, 4, 5] {
        let Some(environment) = cut_off(rename) else { return };
        environment.run(&["list"]).ok().says("a transaction was cut off; `packets recover`").prints("tool  1");
        let recovered = environment.run(&["recover", "--json"]).ok().json();
        assert_eq!(recovered["recovered"][0]["result"], "finished");
        assert_eq!(recovered["recovered"][0]["command"], "install");
        assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 2\n");
        assert_eq!(environment.read("usr/share/doc/tool"), "doc 2");
        assert_eq!(environment.read("opt/packets/tool/data/mine"), "mine\n");
        environment.run(&["list"]).ok().prints("tool  2");
        let again = environment.everything();
        environment.run(&["recover"]).ok();
        again.assert_same(&environment.everything(), "C36: the second time");
        environment.run(&["undo"]).ok();
        assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
        assert_eq!(environment.read("opt/packets/tool/data/mine"), "mine\n");
    }
}

#[test]
fn c25_a_flipped_byte() {
    let Some(environment) = cut_off(2) else { return };
    let journal = journal(&environment);
    let bytes = fs::read(&journal).unwrap();
    for part in 0..8 {
        let mut damaged = bytes.clone();
        damaged[bytes.len() * part / 8 + 3] ^= 4;
        fs::create_dir_all(journal.parent().unwrap()).unwrap();
        fs::write(&journal, &damaged).unwrap();
        quarantined(&environment);
    }
}

#[test]
fn c25_a_journal_that_lost_its_decision() {
    // As after a crash before the decision: but something was changed already.
    let Some(environment) = cut_off(2) else { return };
    let journal = journal(&environment);
    let bytes = fs::read(&journal).unwrap();
    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in [first, first + 1, bytes.len() - 1] {
        fs::write(&journal, &bytes[..length]).unwrap();
        quarantined(&environment).says("something was changed that it does not tell of");
    }
}

#[test]
fn c25_an_old_journal_that_comes_back() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.install(&release("1")).ok();
    let mut states = vec![environment.system()];
    environment.install(&release("2")).ok();
    let history = environment.run(&["history", "--json"]).ok().json();
    let id = history[0]["id"].as_str().unwrap();
    let kept = fs::read(environment.at("var/lib/packets/history").join(id)).unwrap();
    environment.install(&release("3")).ok();
    states.push(environment.system());
    // Without its end it reads as if it had been cut off just now.
    let lines: Vec<&[u8]> = kept.split_inclusive(|byte| *byte == b'\n').collect();
    let replay = environment.at("var/lib/packets/journal").join(id);
    fs::write(&replay, lines[..lines.len() - 1].concat()).unwrap();
    fs::set_permissions(&replay, fs::Permissions::from_mode(0o600)).unwrap();
    environment.run(&["recover"]).ok();
    states[1].assert_same(&environment.system(), "an old journal changes nothing");
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 3\n");
}

#[test]
fn c25_a_journal_that_others_could_have_written() {
    let Some(environment) = cut_off(1) else { return };
    fs::set_permissions(journal(&environment), fs::Permissions::from_mode(0o666)).unwrap();
    quarantined(&environment).says("others may write to it");
}

#[test]
fn c33_what_somebody_changed_since_stops_it() {
    let Some(environment) = cut_off(3) else { return };
    let stood = fs::read_to_string(environment.at("usr/share/doc/tool")).unwrap();
    environment.put("usr/share/doc/tool", "an administrator's");
    let before = environment.system();
    environment
        .run(&["recover"])
        .fails(7)
        .says("/usr/share/doc/tool was changed by someone else")
        .says("neither what was there before nor what belongs there");
    assert_eq!(environment.read("usr/share/doc/tool"), "an administrator's", "it stood there: {stood}");
    let changed = before.difference(&environment.system());
    assert!(changed.iter().all(|line| !line.contains("doc/tool")), "{changed:?}");
    environment.run(&["remove", "tool"]).fails(7).says("cannot bring install, which was cut off, to its end");
    fs::rename(environment.at("usr/share/doc/tool"), environment.at("usr/share/doc/tool.mine")).unwrap();
    environment.run(&["recover"]).ok();
    assert_eq!(environment.read("usr/share/doc/tool"), "doc 2");
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 2\n");
}

#[test]
fn a_file_system_that_is_not_there_stops_it() {
    let Some(environment) = cut_off(2) else { return };
    let (here, away) = (environment.at("opt/packets/.packets"), environment.at("opt/packets/.away"));
    fs::rename(&here, &away).unwrap();
    let before = environment.everything();
    environment.run(&["recover"]).fails(7).says("perhaps its file system is not mounted");
    before.assert_same(&environment.everything(), "nothing is changed");
    fs::create_dir(&here).unwrap();
    environment.run(&["recover"]).fails(7).says("perhaps its file system is not mounted");
    fs::remove_dir(&here).unwrap();
    fs::rename(&away, &here).unwrap();
    environment.run(&["recover"]).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 2\n");
}

/// What waits only for the record is not given up.
#[test]
fn a_record_that_cannot_be_opened_stops_it_also_where_it_would_be_given_up() {
    let Some(environment) = cut_off(2) else { return };
    let (record, away) = (environment.at("etc/packets/installed.db"), environment.place().join("away.db"));
    fs::rename(&record, &away).unwrap();
    fs::write(&record, "no record").unwrap();
    let before = environment.everything();
    environment.run(&["recover"]).fails(5);
    environment.run(&["recover", "--give-up"]).fails(5);
    before.assert_same(&environment.everything(), "nothing is changed");
    fs::rename(&away, &record).unwrap();
    environment.run(&["recover"]).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 2\n");
}

#[test]
fn c17_packets_upgrading_itself_is_killed() {
    let Some(strace) = on_path("strace") else {
        skip("needs strace");
        return;
    };
    let environment = TestEnvironment::new();
    environment.prime();
    let program = fs::read(environment.command().get_program()).unwrap();
    let package = |version: &str| {
        Package::new("packets", version)
            .program_bytes("packets", &program)
            .install("assert(os.symlink(path_join(data_dir, 'packets'), '/usr/bin/packets'))")
    };
    environment.install(&package("1")).ok();
    let folder = package("2").write(&environment.work());
    for rename in 1..=4 {
        let own = |by: &[&str], arguments: &[&str]| {
            let words: Vec<&str> = by.iter().copied().chain(["usr/bin/packets", "--root", ".", "--yes"]).collect();
            let mut command = std::process::Command::new(words[0]);
            command.args(&words[1..]).args(arguments).current_dir(environment.root());
            command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", environment.place().join("tmp"));
            command.output().unwrap()
        };
        let inject = format!("inject=renameat2:signal=KILL:when={rename}");
        let by = [strace.to_str().unwrap(), "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e", &inject];
        let killed = own(&by, &["install", folder.to_str().unwrap()]);
        assert!(!killed.status.success(), "{rename}: {killed:?}");
        // The program that stands there, whichever it is, brings it to its end.
        let recovered = own(&[], &["recover"]);
        assert!(recovered.status.success(), "{rename}: {recovered:?}");
        let list = String::from_utf8(own(&[], &["list"]).stdout).unwrap();
        assert!(list.contains("packets  2"), "{rename}: {list}");
        assert!(own(&[], &["undo"]).status.success());
    }
}

#[test]
fn c01_the_staging_folder_is_half_gone() {
    let mut killed = 0;
    for nth in 1..40 {
        let Some((code, environment)) = killed_at("unlinkat", nth) else { return };
        environment.run(&["recover"]).ok();
        environment.run(&["undo"]).ok();
        environment.run(&["cache", "clean"]).ok();
        let left: Vec<_> = fs::read_dir(environment.at("opt/packets/.packets")).unwrap().collect();
        assert!(left.is_empty(), "{nth}: {left:?}");
        match code {
            0 => break,
            _ => killed += 1,
        }
    }
    assert!(killed > 3, "the sweep has met only {killed} calls");
}

#[test]
fn staging_that_somebody_deleted_is_no_reason_to_stop_where_nothing_was_decided() {
    // The first is that of the journals' folder; this one is of what is staged.
    let Some((137, environment)) = killed_at("fsync", 3) else { return };
    let before = environment.system();
    fs::remove_dir_all(environment.at("opt/packets/.packets")).unwrap();
    let recovered = environment.run(&["recover", "--json"]).ok().json();
    assert_eq!(recovered["recovered"][0]["result"], "taken back");
    before.assert_same(&environment.system(), "nothing had been done");
    environment.install(&release("3")).ok();
}

#[test]
fn giving_up_leaves_everything_as_it_stands() {
    let Some(environment) = cut_off(2) else { return };
    fs::remove_dir_all(environment.at("opt/packets/.packets")).unwrap();
    let before = environment.system();
    environment.run(&["install", "x"]).fails(7).says("packets recover --give-up");
    let given_up = environment.run(&["recover", "--give-up", "--json"]).ok().json();
    assert_eq!(given_up["recovered"][0]["result"], "given up");
    before.assert_same(&environment.system(), "as it stands");
    environment.run(&["recover"]).ok().says("nothing was cut off");
}

#[test]
fn c06_a_decision_whose_blocks_did_not_all_come_to_the_disk() {
    let Some((137, environment)) = killed_at("fdatasync", 2) else { return };
    let journal = journal(&environment);
    let mut bytes = fs::read(&journal).unwrap();
    assert!(bytes.ends_with(b"\n") && bytes.len() > 2000, "the decision is there, not synced");
    let middle = bytes.len() - 1000;
    bytes[middle..middle + 500].fill(0);
    fs::write(&journal, bytes).unwrap();
    let recovered = environment.run(&["recover", "--json"]).ok().json();
    assert_eq!(recovered["recovered"][0]["result"], "taken back");
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
    assert!(
        fs::read_dir(environment.at("opt/packets/.packets"))
            .unwrap()
            .all(|one| { one.unwrap().path().join("old").exists() }),
        "only what is kept is left"
    );
}

#[test]
fn the_journal_of_another_user_waits_for_that_user() {
    if !packets_tests::is_root() {
        skip("needs root");
        return;
    }
    let Some(environment) = cut_off(2) else { return };
    let give = |path: &std::path::Path| std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    let journal = journal(&environment);
    give(&environment.at("var/lib/packets/journal"));
    give(&journal);
    environment.run(&["recover"]).fails(7).says("belongs to the user 65534");
    assert!(journal.exists(), "it is not moved");
}

#[test]
fn names_that_are_no_journals_go_out_of_the_way() {
    use std::os::unix::ffi::OsStrExt;
    let environment = TestEnvironment::new();
    environment.prime();
    for _ in 0..2 {
        let pending = environment.at("var/lib/packets/journal");
        fs::create_dir_all(pending.join("0123456789abcdef/full")).unwrap();
        environment.run(&["recover"]).fails(5);
        fs::write(pending.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        environment.run(&["recover"]).fails(5).says("does not verify");
        environment.run(&["recover"]).ok().says("nothing was cut off");
    }
}

#[test]
fn c33_a_folder_that_was_exchanged_stops_a_recovery() {
    let Some(strace) = on_path("strace") else { return };
    let mut environment = TestEnvironment::new();
    environment.prime();
    environment.put("usr/share/doc/other", "");
    environment.put("usr/bin/other", "");
    environment.install(&release("1")).ok();
    let words = [strace.to_str().unwrap(), "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e"];
    let inject = ["inject=renameat2:signal=KILL:when=1"];
    environment.run_by(words.iter().chain(&inject).map(|word| (*word).to_owned()).collect());
    assert_eq!(environment.run(&["remove", "tool"]).code, 137);
    environment.run_by(Vec::new());
    let (doc, away) = (environment.at("usr/share/doc"), environment.at("usr/share/away"));
    fs::rename(&doc, &away).unwrap();
    fs::create_dir(&doc).unwrap();
    fs::copy(away.join("tool"), doc.join("tool")).unwrap();
    environment.run(&["recover"]).fails(7).says("/usr/share/doc was changed by someone else");
    assert!(doc.join("tool").exists());
    fs::remove_dir_all(&doc).unwrap();
    fs::rename(&away, &doc).unwrap();
    environment.run(&["recover"]).ok();
    assert!(!doc.join("tool").exists());
}
