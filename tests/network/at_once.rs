//! How many transfers there are at a time.

use std::fs;
use std::time::{Duration, Instant};

use packets_tests::{Gate, Package, Reply, Server, TestEnvironment};
use rusqlite::Connection;

use super::index;

/// What is long enough for one more request to come, were it sent.
const MOMENT: Duration = Duration::from_millis(500);

/// Installs twelve packages from so many servers, none of which answers before as many as may have been asked
/// at once, and no more.
fn asked_at_once(servers: usize, most: usize) {
    let environment = TestEnvironment::new();
    let (gate, home) = (Gate::default(), Server::start());
    let servers: Vec<Server> = (0..servers).map(|_| Server::start()).collect();
    let names: Vec<String> = (0..12).map(|number| format!("tool{number}")).collect();
    for name in &names {
        Package::new(name, "1").file(&environment.repo());
    }
    index(&environment, &[&home.url("")]);
    let database = Connection::open(environment.repo().join("index.db")).unwrap();
    for (number, name) in names.iter().enumerate() {
        let (server, path) = (&servers[number % servers.len()], format!("/{name}-1.pkt.tar.zst"));
        let bytes = fs::read(environment.repo().join(&path[1..])).unwrap();
        server.set(&path, Reply::Held(bytes, gate.clone()));
        database.execute("UPDATE packages SET mirrors = ?1 WHERE realname = ?2", [&server.url(&path), name]).unwrap();
    }
    drop(database);
    home.serve(&environment.repo());
    let repo = home.url("/index.db");
    let words: Vec<&str> = ["--repo", &repo, "install"].into_iter().chain(names.iter().map(String::as_str)).collect();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| environment.run(&words));
        let begun = Instant::now();
        while gate.count() < most && !run.is_finished() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(MOMENT);
        let count = gate.count();
        gate.open();
        run.join().unwrap().ok();
        assert_eq!(count, most, "as many as may be, and no more");
    });
    assert_eq!((environment.installed().len(), gate.count()), (names.len(), names.len()));
}

#[test]
fn eight_in_all() {
    asked_at_once(3, 8);
}

#[test]
fn four_from_one_host() {
    asked_at_once(1, 4);
}
