//! Registries whose blobs lie elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use packets_plugin_api::fetch::FetchErrorKind;
use packets_plugin_oci::OciSource;
use packets_plugin_oci::client::{Client, Options};
use packets_plugin_oci::limits::MAX_REDIRECTS;

use crate::support::{BASIC, Server, account, get, ok, options, redirect, refusal, reply, source, with};

const BASIC_WANTED: &str = "WWW-Authenticate: Basic realm=\"x\"\r\n";

#[test]
fn the_login_stays_with_the_registry() {
    let storage = Server::saying(|_| ok("bytes"));
    let to = storage.url("/bucket?signature=secret");
    let registry = Server::saying(move |request| match request.login() {
        Some(BASIC) => redirect(&to),
        _ => reply("401 Unauthorized", BASIC_WANTED, ""),
    });
    let source = with(account(&registry));
    assert_eq!(get(&source, &registry.blob(), 0).unwrap(), "bytes");
    assert_eq!(get(&source, &registry.blob(), 0).unwrap(), "bytes");
    let logins: Vec<_> = registry.requests().iter().map(|request| request.login().is_some()).collect();
    assert_eq!(logins, [false, true, true], "what was wanted once is shown at once");
    let asked = storage.requests();
    assert_eq!(asked.len(), 2);
    for request in asked {
        assert_eq!(request.target, "/bucket?signature=secret");
        assert_eq!((request.login(), request.header("referer"), request.header("cookie")), (None, None, None));
    }
}

#[test]
fn a_storage_server_cannot_ask_for_the_login() {
    let storage = Server::saying(|_| reply("401 Unauthorized", BASIC_WANTED, ""));
    let to = storage.url("/");
    let registry = Server::saying(move |_| redirect(&to));
    assert_eq!(refusal(&with(account(&registry)), &registry.blob()).kind, FetchErrorKind::Denied);
    assert_eq!(storage.requests().len(), 1);
    assert!(registry.requests().iter().chain(&storage.requests()).all(|request| request.login().is_none()));
}

#[test]
fn who_is_sent_back_by_another_comes_as_a_stranger() {
    let back = Arc::new(std::sync::Mutex::new(String::new()));
    let to = back.clone();
    let storage = Server::saying(move |_| redirect(&to.lock().unwrap()));
    let to = storage.url("/");
    let registry = Server::saying(move |request| match (request.target.as_str(), request.login()) {
        ("/other", _) => ok("bytes"),
        (_, Some(BASIC)) => redirect(&to),
        _ => reply("401 Unauthorized", BASIC_WANTED, ""),
    });
    *back.lock().unwrap() = registry.url("/other");
    assert_eq!(get(&with(account(&registry)), &registry.blob(), 0).unwrap(), "bytes");
    let logins: Vec<_> = registry.requests().iter().map(|request| request.login().is_some()).collect();
    assert_eq!(logins, [false, true, false]);
}

#[test]
fn a_redirect_keeps_the_range() {
    let storage = Server::saying(|_| reply("206 Part", "Content-Range: bytes 2-4/5\r\n", "cde"));
    let to = storage.url("/");
    let registry = Server::saying(move |_| redirect(&to));
    assert_eq!(get(&source(), &registry.blob(), 2).unwrap(), "cde");
    assert_eq!(storage.requests()[0].header("range"), Some("bytes=2-"));
}

/// A registry that sends on to itself so often, and then has it.
fn roundabout(times: usize) -> Server {
    let count = AtomicUsize::new(0);
    Server::saying(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        done if done == times => ok("bytes"),
        _ => redirect("/again"),
    })
}

#[test]
fn n13_redirects_of_a_registry_up_to_a_bound() {
    assert_eq!(get(&source(), &roundabout(MAX_REDIRECTS).blob(), 0).unwrap(), "bytes");
    let server = roundabout(MAX_REDIRECTS + 1);
    assert_eq!(refusal(&source(), &server.blob()).kind, FetchErrorKind::Protocol);
    assert_eq!(server.requests().len(), MAX_REDIRECTS + 1);
}

#[test]
fn n12_redirects_of_a_registry_that_come_late() {
    let slow = || {
        Server::saying(|request| {
            std::thread::sleep(Duration::from_millis(200));
            if request.target == "/again" { ok("bytes") } else { redirect("/again") }
        })
    };
    let with = |redirect_time| OciSource::new(Client::new(Options { redirect_time, ..options() }, None), None);
    assert_eq!(get(&with(Duration::from_secs(10)), &slow().blob(), 0).unwrap(), "bytes");
    assert_eq!(refusal(&with(Duration::from_millis(100)), &slow().blob()).kind, FetchErrorKind::Unreachable);
}

#[test]
fn n13_redirects_that_are_not_followed() {
    for bad in [
        "Location: file:///etc/passwd\r\n",
        "Location: http://u:p@127.0.0.1/\r\n",
        "Location: /a\r\nLocation: /b\r\n",
        "",
    ] {
        let server = Server::saying(move |_| reply("302 Found", bad, ""));
        assert_eq!(refusal(&source(), &server.blob()).kind, FetchErrorKind::Protocol, "{bad}");
        assert_eq!(server.requests().len(), 1, "{bad}");
    }
}
