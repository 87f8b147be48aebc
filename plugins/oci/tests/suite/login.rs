//! Registries that want to know who asks.

use packets_plugin_api::fetch::FetchErrorKind;
use packets_plugin_oci::limits::MAX_ANSWER;

use crate::support::{
    BASIC, NAME, Request, Server, account, get, ok, redirect, refusal, reply, source, text, wants_token, with,
};

/// A registry that gives its bytes for `Bearer T0ken`, and names this token server.
fn registry(realm: String) -> Server {
    Server::saying(move |request| match request.login() {
        Some("Bearer T0ken") => ok("bytes"),
        _ => wants_token(&realm),
    })
}

/// Says this to everybody who asks for a token.
fn giving(answer: impl Into<String>) -> Server {
    let answer = answer.into();
    Server::saying(move |_| ok(&answer))
}

const TOKEN: &str = r#"{"token":"T0ken","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}"#;

fn logins(requests: &[Request]) -> Vec<Option<&str>> {
    requests.iter().map(Request::login).collect()
}

#[test]
fn a_token_without_an_account() {
    for answer in [TOKEN, r#"{"access_token":"T0ken"}"#, r#"{"token":"","access_token":"T0ken","x":[1]}"#] {
        let tokens = giving(answer);
        let registry = registry(tokens.url("/token?a=1"));
        let source = source();
        assert_eq!(get(&source, &registry.blob(), 0).unwrap(), "bytes");
        assert_eq!(get(&source, &registry.blob(), 0).unwrap(), "bytes");
        let asked = tokens.requests();
        assert_eq!(asked.len(), 1, "a token is used again");
        let scope = NAME.replace('/', "%2F");
        assert_eq!(asked[0].target, format!("/token?a=1&service=s+p&scope=repository%3A{scope}%3Apull"));
        assert_eq!(asked[0].login(), None);
        assert_eq!(logins(&registry.requests()), [None, Some("Bearer T0ken"), Some("Bearer T0ken")]);
    }
}

#[test]
fn a_token_for_an_account() {
    let tokens = Server::saying(|request| match request.login() {
        Some(BASIC) => ok(TOKEN),
        _ => reply("401 Unauthorized", "", ""),
    });
    let registry = registry(tokens.url("/token"));
    assert_eq!(get(&with(account(&registry)), &registry.blob(), 0).unwrap(), "bytes");
    assert_eq!(logins(&tokens.requests()), [Some(BASIC)]);
    assert_eq!(logins(&registry.requests()), [None, Some("Bearer T0ken")], "the registry sees no password");
    // The same registry, for somebody without an account.
    let error = refusal(&source(), &registry.blob());
    assert_eq!(error.kind, FetchErrorKind::Denied, "{error}");
}

#[test]
fn a_token_that_has_expired_is_asked_for_anew() {
    let tokens = giving(TOKEN);
    let realm = tokens.url("/token");
    let count = std::sync::atomic::AtomicUsize::new(0);
    let registry = Server::saying(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        1 | 4 => ok("bytes"),
        _ => wants_token(&realm),
    });
    let source = source();
    assert_eq!(get(&source, &registry.blob(), 0).unwrap(), "bytes");
    // Two refusals: the token of before, and the next one too. Nobody asks for ever.
    assert_eq!(refusal(&source, &registry.blob()).kind, FetchErrorKind::Denied);
    assert_eq!(get(&source, &registry.blob(), 0).unwrap(), "bytes");
    assert_eq!((registry.requests().len(), tokens.requests().len()), (5, 2));
}

#[test]
fn the_password_is_shown_to_no_token_server_of_another_host() {
    let tokens = giving(TOKEN);
    // Another name of the same machine is another host.
    let realm = tokens.url("/token").replace("127.0.0.1", "localhost");
    let registry = registry(realm);
    let error = refusal(&with(account(&registry)), &registry.blob());
    assert_eq!(error.kind, FetchErrorKind::Denied);
    assert!(text(&error).contains("realm"), "{}", text(&error));
    assert_eq!((tokens.requests().len(), logins(&registry.requests())), (0, vec![None]));
}

#[test]
fn the_password_is_shown_to_no_other_registry() {
    let tokens = giving(TOKEN);
    let (own, other) = (registry(tokens.url("/")), registry(tokens.url("/")));
    let source = with(account(&own));
    assert_eq!(get(&source, &other.blob(), 0).unwrap(), "bytes");
    assert_eq!(logins(&tokens.requests()), [None]);
    let basic = Server::saying(|_| reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", ""));
    assert_eq!(refusal(&source, &basic.blob()).kind, FetchErrorKind::Denied);
    assert_eq!(logins(&basic.requests()), [None]);
}

#[test]
fn a_wrong_password_is_tried_once() {
    let registry = Server::saying(|_| reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", ""));
    assert_eq!(refusal(&with(account(&registry)), &registry.blob()).kind, FetchErrorKind::Denied);
    assert_eq!(logins(&registry.requests()), [None, Some(BASIC)]);
}

#[test]
fn logins_that_nobody_here_knows() {
    for headers in ["", "WWW-Authenticate: Negotiate\r\n", "WWW-Authenticate: Bearer realm=\"\r\n"] {
        let registry = Server::saying(move |_| reply("401 Unauthorized", headers, ""));
        let error = refusal(&with(account(&registry)), &registry.blob());
        assert_eq!(error.kind, FetchErrorKind::Denied, "{headers}");
        assert_eq!(registry.requests().len(), 1, "{headers}");
    }
}

#[test]
fn token_servers_that_give_none() {
    use FetchErrorKind::{Denied, Protocol, Unreachable};
    for (answer, kind) in [
        (ok(""), Protocol),
        (ok("{}"), Protocol),
        (ok(r#"{"token":"T0ken\r\nX-Header: 1"}"#), Protocol),
        (ok(r#"{"token":["T0ken"]}"#), Protocol),
        (ok("T0ken"), Protocol),
        (redirect("http://127.0.0.1:9/"), Protocol),
        (reply("401 Unauthorized", "", ""), Denied),
        (reply("403 Forbidden", "", ""), Denied),
        (reply("503 Later", "", ""), Unreachable),
    ] {
        let shown = answer.clone();
        let tokens = Server::saying(move |_| answer.clone());
        let registry = registry(tokens.url("/token"));
        let error = refusal(&with(account(&registry)), &registry.blob());
        assert_eq!(error.kind, kind, "{shown}: {}", text(&error));
        assert_eq!(tokens.requests().len(), 1, "{shown}");
    }
    for realm in ["ftp://127.0.0.1/", "token", "http://u:p@127.0.0.1/"] {
        let registry = registry(realm.to_owned());
        assert_eq!(refusal(&source(), &registry.blob()).kind, Protocol, "{realm}");
    }
}

#[test]
fn n16_answers_of_token_servers_up_to_a_bound() {
    let answer = |size: u64| {
        let size = usize::try_from(size).unwrap();
        format!("{TOKEN}{}", " ".repeat(size - TOKEN.len()))
    };
    let most = giving(answer(MAX_ANSWER));
    assert_eq!(get(&source(), &registry(most.url("/")).blob(), 0).unwrap(), "bytes");
    let more = giving(answer(MAX_ANSWER + 1));
    let error = refusal(&source(), &registry(more.url("/")).blob());
    assert!(text(&error).contains("more than 65536 bytes"), "{}", text(&error));
}
