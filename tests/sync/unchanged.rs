//! An index that has not changed is not fetched again, and one that has always is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use packets_tests::{Package, RealServer, Reply, Server, TestEnvironment};

const UNCHANGED: &str = "1 package in the index from";

/// A repository of one package, served, and synced once.
fn synced() -> (TestEnvironment, Server, String) {
    let environment = TestEnvironment::new();
    Package::program("tool", "1").file(&environment.repo());
    environment.run_plain(&["index", environment.repo().to_str().unwrap()]).ok();
    let server = Server::start();
    server.serve(&environment.repo());
    let location = server.url("/index.db");
    environment.run(&["sync", &location]).ok().says(UNCHANGED);
    (environment, server, location)
}

fn is_fetched(environment: &TestEnvironment, arguments: &[&str]) -> bool {
    let mut all = vec!["sync", "--json"];
    all.extend(arguments);
    environment.run(&all).ok().json()["changed"].as_bool().unwrap()
}

fn last_condition(server: &Server) -> Option<String> {
    server.requests().pop().unwrap().if_none_match
}

#[test]
fn a_place_that_still_has_it_sends_nothing() {
    let (environment, server, _) = synced();
    assert_eq!(last_condition(&server), None);
    let before = fs::metadata(environment.at("etc/packets/index.db")).unwrap();
    environment.run(&["sync"]).ok().says("which has not changed");
    assert!(last_condition(&server).is_some());
    assert!(!is_fetched(&environment, &["--dry-run"]));
    assert_eq!(
        fs::metadata(environment.at("etc/packets/index.db")).unwrap().modified().unwrap(),
        before.modified().unwrap()
    );
    Package::program("another", "1").file(&environment.repo());
    environment.run_plain(&["index", environment.repo().to_str().unwrap()]).ok();
    server.serve(&environment.repo());
    environment.run(&["sync"]).ok().says("2 packages in the index from");
    environment.run(&["list", "--available"]).ok().prints("another  1");
    assert!(!is_fetched(&environment, &[]), "and it is known from then on");
}

#[test]
fn what_is_known_speaks_of_one_file_from_one_place() {
    let (environment, server, location) = synced();
    let index = environment.at("etc/packets/index.db");
    let known = environment.at("etc/packets/index.toml");
    let good = fs::read(&index).unwrap();
    let text = fs::read_to_string(&known).unwrap();
    assert!(!text.contains("127.0.0.1"), "an address, and the password in it, stands in the config only: {text}");
    type Change<'a> = (&'a str, &'a dyn Fn());
    let changes: [Change<'_>; 6] = [
        ("the index is gone", &|| fs::remove_file(&index).unwrap()),
        ("another file is there", &|| {
            fs::remove_file(&index).unwrap();
            fs::write(&index, &good).unwrap();
        }),
        ("it broke", &|| fs::write(&index, vec![0; good.len()]).unwrap()),
        ("nothing is known", &|| fs::remove_file(&known).unwrap()),
        ("what is known is nothing", &|| fs::write(&known, "from = 7\n").unwrap()),
        ("what is known has no end", &|| fs::write(&known, vec![b'#'; 2 << 20]).unwrap()),
    ];
    for (case, change) in changes {
        change();
        assert!(is_fetched(&environment, &[]), "{case}");
        assert_eq!(last_condition(&server), None, "{case}");
        assert!(fs::read(&index).unwrap() == good, "{case}");
        assert!(!is_fetched(&environment, &[]), "{case}: known again");
    }
    server.set("/other.db", Reply::Bytes(good));
    assert!(is_fetched(&environment, &[&server.url("/other.db")]), "another place");
    assert!(is_fetched(&environment, &[&location]), "and back");
    assert!(environment.read("etc/packets/config.toml").contains(&location), "it is remembered");
}

#[test]
fn places_that_answer_wrongly() {
    let (environment, server, _) = synced();
    let bytes = fs::read(environment.repo().join("index.db")).unwrap();
    // One that knows no conditions, and one whose versions are none of bytes: all is fetched, or thrown away unread.
    let reply = |tag: &str| {
        let head = format!("HTTP/1.1 200 OK\r\n{tag}Content-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
        Reply::Raw([head.as_bytes(), &bytes].concat())
    };
    for (case, tag, is_known) in [
        ("no version", "", false),
        ("a weak one", "ETag: W/\"1\"\r\n", false),
        ("conditions are ignored", "ETag: \"1\"\r\n", true),
        (
            "one that was changed in this second may change again under the same tag",
            "ETag: \"2\"\r\nDate: Wed, 25 Nov 2026 10:00:01 GMT\r\nLast-Modified: Wed, 25 Nov 2026 10:00:00 GMT\r\n",
            false,
        ),
        (
            "one that was changed long ago",
            "ETag: \"3\"\r\nDate: Wed, 25 Nov 2026 10:00:02 GMT\r\nLast-Modified: Wed, 25 Nov 2026 10:00:00 GMT\r\n",
            true,
        ),
    ] {
        server.set("/index.db", reply(tag));
        assert!(is_fetched(&environment, &[]), "{case}");
        assert_eq!(!is_fetched(&environment, &[]), is_known, "{case}");
    }
    // Nothing was asked that this could be an answer to.
    fs::remove_file(environment.at("etc/packets/index.toml")).unwrap();
    server.set("/index.db", Reply::Raw(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_vec()));
    environment.run(&["sync"]).fails(4).says("304");
    assert!(fs::read(environment.at("etc/packets/index.db")).unwrap() == bytes, "what was there stays");
}

#[test]
fn a_folder_of_this_machine() {
    let (environment, _, _) = synced();
    let folder = environment.repo().display().to_string();
    // A file that was changed just now may change again without a trace.
    std::thread::sleep(Duration::from_millis(2100));
    assert!(is_fetched(&environment, &[&folder]));
    assert!(!is_fetched(&environment, &[&folder]));
    let index = environment.repo().join("index.db");
    let bytes = fs::read(&index).unwrap();
    fs::write(&index, bytes).unwrap();
    assert!(is_fetched(&environment, &[&folder]), "it was written again");
}

fn is_unchanged_at(start: impl Fn(&Path) -> Option<RealServer>) {
    let (environment, _, _) = synced();
    let Some(server) = start(&environment.repo()) else { return };
    let location = server.url("/index.db");
    assert!(is_fetched(&environment, &[&location]));
    // Another index of the same size within the same second: to these servers the same version.
    let replace = |description: &str| {
        let package = Package::program("tool", "1").data("more", description);
        package.file(&environment.repo());
        environment.run_plain(&["index", environment.repo().to_str().unwrap()]).ok();
    };
    for description in ["a", "b", "c"] {
        replace(description);
        assert!(is_fetched(&environment, &[]), "{description}");
        let [own, theirs] = [environment.at("etc/packets/index.db"), environment.repo().join("index.db")];
        assert!(fs::read(own).unwrap() == fs::read(theirs).unwrap(), "{description}");
    }
    std::thread::sleep(Duration::from_millis(3100));
    assert!(is_fetched(&environment, &[]));
    assert!(!is_fetched(&environment, &[]));
    environment.run(&["install", "tool"]).ok();
}

#[test]
fn nginx() {
    is_unchanged_at(|folder| RealServer::nginx(folder, ""));
}

#[test]
fn caddy() {
    is_unchanged_at(RealServer::caddy);
}
