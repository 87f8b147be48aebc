//! An index that version 1's tools made.

use std::fs;

use packets_tests::{Package, Server, TestEnvironment, hash, v1};

fn row(file: &[u8], server: &Server, names: [&str; 3], dependencies: &str, family: &str, serial: i64) -> v1::IndexRow {
    let [name, realname, version] = names;
    v1::IndexRow {
        name: name.to_owned(),
        realname: realname.to_owned(),
        version: version.to_owned(),
        hash: hash(file),
        dependencies: dependencies.to_owned(),
        mirrors: format!(
            "http://127.0.0.1:9/absent.pkt.tar.zst {}",
            server.url(&format!("/{realname}-{version}.pkt.tar.zst"))
        ),
        family: family.to_owned(),
        serial,
    }
}

#[test]
fn it_installs_and_upgrades() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let server = Server::start();
    let file = |package: &Package| fs::read(package.file(&repo)).unwrap();
    let onig = file(&Package::new("onig", "6.9"));
    let old = file(&Package::program("go1.24", "1.24").needs(&["onig"]));
    let new = file(&Package::program("go1.25", "1.25").needs(&["onig"]));
    let rows = [
        row(&onig, &server, ["onig", "onig", "6.9"], "", "f-onig", 1),
        row(&old, &server, ["go", "go1.24", "1.24"], "onig", "f-go", 2),
        row(&new, &server, ["go", "go1.25", "1.25"], "onig", "f-go", 3),
    ];
    v1::write_index(&repo.join("index.db"), &rows[..2]);
    server.serve(&repo);
    environment.run(&["sync", &server.url("/index.db")]).ok();
    environment.run(&["list", "--available"]).ok().prints("go1.24  1.24");
    environment.run(&["install", "go"]).ok();
    assert_eq!(environment.installed(), ["go1.24", "onig"]);
    v1::write_index(&repo.join("index.db"), &rows);
    server.serve(&repo);
    environment.run(&["sync"]).ok();
    // The row's family and serial win: the manifest has none.
    environment.run(&["upgrade", "go"]).ok();
    assert_eq!(environment.installed(), ["go1.25", "onig"]);
    assert_eq!(environment.launch("usr/bin/go1.25", &[]), "go1.25 1.25\n");
}
