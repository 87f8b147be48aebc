//! The source and the program against the servers that mirrors run.

use std::cell::Cell;
use std::fs;
use std::time::{Duration, SystemTime};

use packets_plugin_api::conformance::fetch::{Served, fetch_source_suite};
use packets_plugin_api::fetch::{Candidate, FetchErrorKind, FetchSource};
use packets_plugin_api::registry::FetchSettings;
use packets_plugin_http::{HttpSource, Options};
use packets_tests::{RealServer, TestEnvironment};

use super::{index, large};

fn source() -> HttpSource {
    HttpSource::with_options(Options { environment_proxies: false, ..Options::new(&FetchSettings::default()) })
}

/// The suite for sources, and a package installed from it.
fn works_with(start: impl Fn(&std::path::Path) -> Option<RealServer>) {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let Some(server) = start(&repo) else { return };
    let next = Cell::new(0);
    fetch_source_suite(&source(), &|served| {
        let name = format!("/file-{}", next.replace(next.get() + 1));
        match served {
            Served::Whole(bytes) => fs::write(repo.join(&name[1..]), bytes).unwrap(),
            Served::Absent => {}
            Served::Truncated(..) | Served::Silent(..) => return None,
        }
        Some(server.url(&name))
    });
    for number in 0..next.get() {
        let _ = fs::remove_file(repo.join(format!("file-{number}")));
    }
    large(&environment, 3 << 20, &[&server.url("")]);
    environment.run(&["--repo", &server.url("/index.db"), "install", "large"]).ok();
    assert_eq!(environment.launch("usr/bin/large", &[]), "large 1\n");
}

#[test]
fn nginx_keeps_and_gets_the_promises() {
    works_with(|folder| RealServer::nginx(folder, ""));
}

#[test]
fn n16_nginx_that_compresses_whatever_it_can() {
    works_with(|folder| RealServer::nginx(folder, "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;"));
}

#[test]
fn caddy_keeps_and_gets_the_promises() {
    works_with(RealServer::caddy);
}

#[test]
fn rclone_keeps_and_gets_the_promises() {
    works_with(RealServer::rclone_http);
}

#[test]
fn n18_an_object_store_that_answers_a_range_with_200() {
    works_with(RealServer::rclone_s3);
    let environment = TestEnvironment::new();
    fs::write(environment.repo().join("file"), "0123456789").unwrap();
    let Some(server) = RealServer::rclone_s3(&environment.repo()) else { return };
    let error = source().open(&Candidate::at(server.url("/file")), 4).unwrap_err();
    assert_eq!(
        error.kind,
        FetchErrorKind::NoSuchRange,
        "a part under the status of the whole is not believed: {error}"
    );
}

#[test]
fn n18_real_servers_tell_versions_apart() {
    let environment = TestEnvironment::new();
    let file = environment.repo().join("file");
    let servers: [fn(&std::path::Path) -> Option<RealServer>; 2] =
        [|folder| RealServer::nginx(folder, ""), RealServer::caddy];
    for start in servers {
        let Some(server) = start(&environment.repo()) else { continue };
        fs::write(&file, "the first version").unwrap();
        let source = source();
        let from = Candidate::at(server.url("/file"));
        let changed = |time| fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        let hour = Duration::from_secs(3600);
        changed(SystemTime::now() + hour);
        let version = source.open(&from, 0).unwrap().version;
        assert_eq!(version, None, "it may still change under the same tag: {server:?}");
        changed(SystemTime::now() - hour);
        let version = source.open(&from, 0).unwrap().version;
        assert!(version.is_some(), "{server:?}");
        let from = Candidate { version, ..from };
        let mut rest = String::new();
        source.open(&from, 4).unwrap().reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "first version");
        fs::write(&file, "another one, and longer").unwrap();
        let outcome = source.open(&from, 4).map(|_| ()).map_err(|error| error.kind);
        assert_eq!(outcome, Err(FetchErrorKind::NoSuchRange), "{server:?}");
    }
}

#[test]
fn many_packages_from_one_small_server() {
    let environment = TestEnvironment::new();
    // As many connections as one host gets, and not one more at a time.
    let lines = "limit_conn_zone $server_name zone=all:1m; limit_conn all 4; limit_conn_status 418; limit_rate 400k;";
    let Some(server) = RealServer::nginx(&environment.repo(), lines) else { return };
    let names: Vec<String> = (0..12).map(|number| format!("package{number}")).collect();
    for name in &names {
        let package = packets_tests::Package::new(name, "1").bytes("noise", &packets_tests::noise(60_000));
        package.file(&environment.repo());
    }
    index(&environment, &[&server.url("")]);
    let repo = server.url("/index.db");
    let mut arguments = vec!["--repo", &repo, "install"];
    arguments.extend(names.iter().map(String::as_str));
    environment.run(&arguments).ok();
    let asked = server.asked();
    assert_eq!(asked.len(), 13, "{asked:#?}");
    assert!(asked.iter().all(|line| line.starts_with("200 ")), "never more than it bears: {asked:#?}");
}
