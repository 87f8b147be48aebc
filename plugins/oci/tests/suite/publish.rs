//! Registries to which packages are published: what they get to see, and what is made of what they say.

use std::fs::File;
use std::io::Write;

use packets_plugin_api::fetch::{FetchError, FetchErrorKind};
use packets_plugin_api::ident::Digest;
use packets_plugin_api::publish::{How, Publication, PublicationKind, Published, Publisher, Standing};
use packets_plugin_oci::client::{Account, Client, Options};
use packets_plugin_oci::limits::MAX_ANSWER;
use packets_plugin_oci::publish::OciPublisher;

use crate::support::{BASIC, HEX, NAME, Request, Server, account, ok, options, redirect, reply, text, wants_token};

const BYTES: &[u8] = b"the bytes of a package";
/// Where an upload goes, below the repository.
const SESSION: &str = "uploads/1?state=a%2Bb";

fn publish_with(
    server: &Server,
    account: Option<Account>,
    options: Options,
    how: How,
) -> Result<Published, FetchError> {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(BYTES).unwrap();
    let what = Publication {
        kind: PublicationKind::Package,
        name: "tool",
        version: Some("1"),
        file_name: "tool-1.pkt.tar.zst",
        digest: HEX.parse::<Digest>().unwrap(),
        size: BYTES.len() as u64,
        file: &file,
    };
    OciPublisher::new(Client::new(options, account), server.repository()).publish(&what, how)
}

fn publish(server: &Server) -> Result<Published, FetchError> {
    publish_with(server, None, options(), How::Act)
}

/// What is wrong with the publication; it says nothing that is secret.
fn refusal(published: Result<Published, FetchError>) -> FetchError {
    let error = published.unwrap_err();
    let text = text(&error);
    assert!(!text.contains("hush") && !text.contains("cmVh") && !text.contains("T0ken"), "{text}");
    error
}

/// A registry that has nothing and takes everything.
fn takes(request: &Request) -> String {
    match request.method.as_str() {
        "POST" => reply("202 Accepted", &format!("Location: /v2/{NAME}/blobs/{SESSION}\r\n"), ""),
        "PUT" => reply("201 Created", "", ""),
        "HEAD" => "HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n".to_owned(),
        _ => reply("404 No", "", ""),
    }
}

/// One that does something else with requests of this method whose target has this part.
fn but(method: &'static str, part: &'static str, answer: impl Into<String>) -> Server {
    let answer = answer.into();
    Server::saying(move |request| match request.method == method && request.target.contains(part) {
        true => answer.clone(),
        false => takes(request),
    })
}

fn asked(server: &Server) -> Vec<(String, String)> {
    server.requests().into_iter().map(|request| (request.method, request.target)).collect()
}

fn puts(server: &Server, part: &str) -> Vec<Request> {
    let is_one = |request: &Request| request.method == "PUT" && request.target.contains(part);
    server.requests().into_iter().filter(is_one).collect()
}

#[test]
fn a_file_and_its_name() {
    let server = Server::saying(takes);
    let looked = publish_with(&server, None, options(), How::Look).unwrap();
    assert_eq!(looked, Published { tag: "tool-1".to_owned(), standing: Standing::New, sent: BYTES.len() as u64 });
    assert!(asked(&server).iter().all(|(method, _)| method == "HEAD" || method == "GET"), "{:?}", asked(&server));
    assert_eq!(publish(&server).unwrap(), looked);
    let put = puts(&server, "/blobs/");
    assert_eq!(put[0].target, format!("/v2/{NAME}/blobs/{SESSION}&digest=sha256%3A{HEX}"));
    assert_eq!((put[0].body.as_slice(), put[0].header("content-type")), (BYTES, Some("application/octet-stream")));
    assert_eq!((put[1].body.as_slice(), put.len()), (&b"{}"[..], 2), "and the empty configuration");
    let manifests = puts(&server, "/manifests/");
    assert_eq!((manifests.len(), manifests[0].target.as_str()), (1, "/v2/team/packages/manifests/tool-1"));
    assert_eq!(manifests[0].header("content-type"), Some("application/vnd.oci.image.manifest.v1+json"));
    let last = server.requests().pop().unwrap();
    assert!(last.target.contains("/manifests/"), "the name comes last: {last:?}");
}

#[test]
fn what_is_there_is_not_sent() {
    let server = Server::saying(takes);
    publish(&server).unwrap();
    let manifest = String::from_utf8(puts(&server, "/manifests/").remove(0).body).unwrap();
    let there = |manifest: String| {
        Server::saying(move |request| match request.method.as_str() {
            "HEAD" => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BYTES.len()),
            "GET" => ok(&manifest),
            _ => panic!("nothing is sent: {request:?}"),
        })
    };
    let server = there(manifest.clone());
    let published = publish(&server).unwrap();
    assert_eq!((published.standing, published.sent, server.requests().len()), (Standing::Present, 0, 2));
    // An earlier one gives way, and what somebody else has put there does not.
    let earlier = manifest.replace(HEX, &HEX.replace('0', "1"));
    let looks = |manifest: String| publish_with(&there(manifest), None, options(), How::Look);
    assert_eq!(looks(earlier).unwrap().standing, Standing::Replaced);
    for other in ["{}".to_owned(), "no JSON".to_owned(), manifest.replace("\"tool\"", "\"tools\"")] {
        assert_eq!(refusal(looks(other)).kind, FetchErrorKind::Denied);
    }
    assert_eq!(looks(" ".repeat(MAX_ANSWER as usize + 1)).unwrap_err().kind, FetchErrorKind::Protocol);
}

#[test]
fn answers_that_are_not_what_was_sent() {
    let other = "Docker-Content-Digest: sha256:00\r\n";
    let size = BYTES.len();
    let stands = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
    let cases = [
        (but("PUT", HEX, reply("201 Created", other, "")), "another digest"),
        (but("PUT", "/manifests/", reply("201 Created", other, "")), "another digest"),
        (but("HEAD", HEX, stands(&format!("{other}Content-Length: {size}\r\n"))), "another digest"),
        (but("HEAD", HEX, stands("Content-Length: 21\r\n")), "has 21 bytes there, and 22 here"),
        (but("PUT", HEX, reply("200 OK", "", "")), "answered 200"),
        (but("PUT", HEX, reply("202 Accepted", "", "")), "answered 202"),
        (but("POST", "", reply("202 Accepted", "", "")), "says no place for the upload"),
        (but("POST", "", reply("202 Accepted", "Location: ftp://127.0.0.1/\r\n", "")), "says no place for the upload"),
        (but("POST", "", reply("202 Accepted", "Location: /a\r\nLocation: /b\r\n", "")), "not exactly one"),
    ];
    for (number, (server, part)) in cases.into_iter().enumerate() {
        let error = refusal(publish(&server));
        assert_eq!(error.kind, FetchErrorKind::Protocol, "{part}: {}", text(&error));
        assert!(text(&error).contains(part), "{part}: {}", text(&error));
        // The second one is about the name itself; else nothing is named that is not there.
        assert_eq!(puts(&server, "/manifests/").len(), usize::from(number == 1), "{part}");
    }
}

#[test]
fn registries_say_why_not() {
    let body = r#"{"errors":[{"code":"DENIED","message":"quota\u001b[31m exceeded","detail":1}]}"#;
    for (status, kind) in [
        ("403 Forbidden", FetchErrorKind::Denied),
        ("405 No", FetchErrorKind::Protocol),
        ("429 Later", FetchErrorKind::Unreachable),
        ("507 Full", FetchErrorKind::Unreachable),
    ] {
        let error = refusal(publish(&but("POST", "", reply(status, "", body))));
        assert_eq!(error.kind, kind, "{status}");
        assert!(text(&error).contains("DENIED: quota\\u{1b}[31m exceeded"), "{}", text(&error));
    }
    for body in ["", "{}", r#"{"errors":[]}"#, r#"{"errors":"x"}"#, "<html>"] {
        assert_eq!(refusal(publish(&but("PUT", HEX, reply("400 No", "", body)))).kind, FetchErrorKind::Protocol);
    }
}

#[test]
fn a_registry_that_knows_no_types_of_artifacts() {
    let server = Server::saying(|request| {
        let is_new = String::from_utf8_lossy(&request.body).contains("artifactType");
        if is_new { reply("400 No", "", "") } else { takes(request) }
    });
    assert_eq!(publish(&server).unwrap().standing, Standing::New);
    let manifests = puts(&server, "/manifests/");
    let last = String::from_utf8(manifests[1].body.clone()).unwrap();
    assert!(
        manifests.len() == 2 && last.contains(r#""config":{"mediaType":"application/vnd.packets.package.v1""#),
        "{last}"
    );
    // That form is known the next time.
    let again = Server::saying(move |request| if request.method == "GET" { ok(&last) } else { takes(request) });
    assert_eq!(publish_with(&again, None, options(), How::Look).unwrap().standing, Standing::Present);
    // Where both are refused, the first refusal is told.
    let server = but("PUT", "/manifests/", reply("400 No", "", ""));
    assert_eq!(refusal(publish(&server)).kind, FetchErrorKind::Protocol);
    assert_eq!(puts(&server, "/manifests/").len(), 2);
    let server = but("PUT", "/manifests/", reply("503 Later", "", ""));
    assert_eq!(refusal(publish(&server)).kind, FetchErrorKind::Unreachable);
    assert_eq!(puts(&server, "/manifests/").len(), 1, "that is no question of forms");
}

#[test]
fn a_token_to_write_is_another_one() {
    let tokens = Server::saying(|request| match request.login() {
        Some(BASIC) if request.target.ends_with("%3Apull%2Cpush") => ok(r#"{"token":"T0ken"}"#),
        Some(BASIC) => ok(r#"{"token":"T0ken-to-read"}"#),
        _ => reply("401 Unauthorized", "", ""),
    });
    let realm = tokens.url("/token");
    let server = Server::saying(move |request| match (request.login(), request.method.as_str()) {
        (Some("Bearer T0ken"), _) | (Some("Bearer T0ken-to-read"), "HEAD" | "GET") => takes(request),
        _ => wants_token(&realm),
    });
    publish_with(&server, Some(account(&server)), options(), How::Act).unwrap();
    assert_eq!(tokens.requests().len(), 1, "one token for all");
    publish_with(&server, Some(account(&server)), options(), How::Look).unwrap();
    assert!(tokens.requests()[1].target.ends_with("%3Apull"), "who only looks asks to read");
    // A token server that gives less than it was asked for.
    let less = Server::saying(|_| ok(r#"{"token":"T0ken-to-read"}"#));
    let realm = less.url("/token");
    let server = Server::saying(move |request| match (request.login(), request.method.as_str()) {
        (Some("Bearer T0ken-to-read"), "HEAD" | "GET") => takes(request),
        _ => wants_token(&realm),
    });
    assert_eq!(refusal(publish(&server)).kind, FetchErrorKind::Denied);
    assert!(puts(&server, "").is_empty());
}

/// A registry that wants [`BASIC`], and takes uploads at this address.
fn with_store(store: String) -> Server {
    Server::saying(move |request| match (request.login(), request.method.as_str()) {
        (Some(BASIC), "POST") => reply("202 Accepted", &format!("Location: {store}\r\n"), ""),
        (Some(BASIC), _) => takes(request),
        _ => reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", ""),
    })
}

#[test]
fn another_host_gets_the_bytes_and_no_login() {
    let store = Server::saying(|_| reply("201 Created", "", ""));
    let server = with_store(store.url("/store?signature=s"));
    publish_with(&server, Some(account(&server)), options(), How::Act).unwrap();
    let sent = store.requests();
    assert_eq!((sent.len(), sent[0].login(), sent[0].body.as_slice()), (2, None, BYTES));
    assert_eq!(sent[0].target, format!("/store?signature=s&digest=sha256%3A{HEX}"));
    // One that wants a login gets none either.
    let curious = Server::saying(|_| reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", ""));
    let server = with_store(curious.url("/"));
    let error = refusal(publish_with(&server, Some(account(&server)), options(), How::Act));
    assert_eq!(error.kind, FetchErrorKind::Denied);
    assert_eq!(curious.requests().iter().map(Request::login).collect::<Vec<_>>(), [None]);
    // The same host as the registry, by its whole address, sees the login.
    let server = Server::saying(move |request| match (request.login(), request.method.as_str()) {
        (Some(BASIC), "POST") => {
            let host = request.header("host").unwrap();
            reply("202 Accepted", &format!("Location: http://{host}/v2/{NAME}/blobs/{SESSION}\r\n"), "")
        }
        (Some(BASIC), _) => takes(request),
        _ => reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", ""),
    });
    publish_with(&server, Some(account(&server)), options(), How::Act).unwrap();
}

#[test]
fn what_is_sent_follows_no_redirect_to_another_host() {
    let other = Server::saying(|_| reply("201 Created", "", ""));
    let to = other.url("/");
    for answer in [redirect(&to), reply("302 Found", &format!("Location: {to}\r\n"), "")] {
        for method in ["POST", "PUT"] {
            let error = refusal(publish(&but(method, "", answer.clone())));
            assert_eq!(error.kind, FetchErrorKind::Protocol, "{method} {answer}");
        }
    }
    assert!(other.requests().is_empty(), "{:?}", other.requests());
    // On the same host it does, where the method stays.
    let server = Server::saying(|request| match request.target.contains("state=") {
        true => redirect(&request.target.replace("state=", "there=")),
        false => takes(request),
    });
    publish(&server).unwrap();
    assert_eq!(puts(&server, "there=")[0].body, BYTES);
    let server = but("PUT", "state=", reply("302 Found", "Location: /there\r\n", ""));
    assert_eq!(refusal(publish(&server)).kind, FetchErrorKind::Protocol);
    assert!(puts(&server, "/there").is_empty());
}

#[test]
fn n12_a_registry_that_takes_and_says_nothing() {
    let silent = Server::start(|request, stream| {
        if request.method == "PUT" {
            std::thread::sleep(std::time::Duration::from_secs(5));
            return false;
        }
        stream.write_all(takes(request).as_bytes()).is_ok()
    });
    let quick = Options { idle_timeout: std::time::Duration::from_millis(300), ..options() };
    let started = std::time::Instant::now();
    let error = refusal(publish_with(&silent, None, quick, How::Act));
    assert_eq!(error.kind, FetchErrorKind::Unreachable, "{}", text(&error));
    assert!(started.elapsed() < std::time::Duration::from_secs(4), "{:?}", started.elapsed());
}
