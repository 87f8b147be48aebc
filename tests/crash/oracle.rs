//! The judge and the tracer can fail: what is not as before is told from what is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use packets_tests::crash::{Act, Kind, Reference, Stage, Verdict, can_trace, is_writing, strike, tool};
use packets_tests::skip;

/// After the change the root must be torn.
fn torn(what: &str, change: impl FnOnce(&Stage)) {
    let scene = tool::scene_upgrade();
    let reference = Reference::make(scene.stage());
    let stage = scene.stage();
    assert_eq!(reference.judge(&stage), Verdict::Old);
    change(&stage);
    let Verdict::Torn(why) = reference.judge(&stage) else { panic!("{what} is not seen") };
    assert!(why.contains(what), "{what}: {why}");
}

#[test]
fn one_byte_one_bit_one_second_one_name() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let state = "usr/share/tool/state";
    torn("changed: ./usr/share/tool/state", |stage| {
        let time = fs::metadata(stage.environment().at(state)).unwrap().modified().unwrap();
        stage.environment().put(state, "made by release 7\n");
        fs::File::options().write(true).open(stage.environment().at(state)).unwrap().set_modified(time).unwrap();
    });
    torn("changed: ./usr/share/tool/closed", |stage| {
        let path = stage.environment().at("usr/share/tool/closed");
        fs::set_permissions(path, fs::Permissions::from_mode(0o750)).unwrap();
    });
    torn("changed: ./opt/packets/tool/data/same", |stage| {
        let file = fs::File::open(stage.environment().at("opt/packets/tool/data/same")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(1)).unwrap();
    });
    torn("new: ./etc/tool/more", |stage| stage.environment().put("etc/tool/more", ""));
    torn("left over: opt/packets/.packets/0123456789abcdef", |stage| {
        stage.environment().put("opt/packets/.packets/0123456789abcdef/new/x", "");
    });
    torn("left over: etc/packets/.config.toml.1", |stage| stage.environment().put("etc/packets/.config.toml.1", ""));
    torn("list: ", |stage| {
        let database = rusqlite::Connection::open(stage.environment().at("etc/packets/installed.db")).unwrap();
        database.execute("UPDATE packages SET version = '1.1'", []).unwrap();
    });
    torn("files: ", |stage| {
        let database = rusqlite::Connection::open(stage.environment().at("etc/packets/installed.db")).unwrap();
        database.execute("DELETE FROM files WHERE path LIKE '%state'", []).unwrap();
    });
    torn("approvals: ", |stage| {
        let database = rusqlite::Connection::open(stage.environment().at("etc/packets/installed.db")).unwrap();
        database.execute("DELETE FROM approvals", []).unwrap();
    });
}

#[test]
fn what_is_old_is_not_new() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    for scene in [tool::scene_install(), tool::scene_upgrade(), tool::scene_remove()] {
        let reference = Reference::make(scene.stage());
        let stage = scene.stage();
        assert_eq!(reference.judge(&stage), Verdict::Old);
        stage.run(&mut |_| Act::Go).ok();
        assert_eq!(reference.judge(&stage), Verdict::New);
    }
}

#[test]
fn a_call_that_is_struck_is_not_made() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let scene = tool::scene_install();
    let is_tree = |call: &packets_tests::crash::Call| call.name == "renameat2" && call.on.ends_with("opt/packets/tool");
    let stage = scene.stage();
    let (output, struck) = strike(1, is_tree, Act::Kill, |act| stage.run(act));
    assert_eq!((output.code, struck.unwrap().kind), (137, Kind::Changes));
    assert!(!stage.environment().exists("opt/packets/tool"));
    let stage = scene.stage();
    let (output, _) = strike(1, is_tree, Act::Fail(nix::errno::Errno::EIO), |act| stage.run(act));
    output.fails(7).says("Input/output error");
    assert!(!stage.environment().exists("opt/packets/tool"));
    // The one behind it: the tree is there.
    let stage = scene.stage();
    let mut is_there = false;
    let (_, struck) = strike(
        1,
        |call| {
            is_there |= stage.environment().exists("opt/packets/tool");
            is_there && is_writing(call)
        },
        Act::Kill,
        |act| stage.run(act),
    );
    assert!(struck.is_some() && is_there);
}
