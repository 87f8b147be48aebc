//! Who gets the password, and what a registry gets to see.
//!
//! The password goes to the registry that it was configured for, and to one token server: on the same
//! host, or the one that the config names as `realm`. A token goes to the registry that asked for it. Nothing
//! of it goes anywhere else, whatever a reply says.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use packets_plugin_api::fetch::{FetchError, FetchErrorKind};
use packets_plugin_api::ident::escape;
use reqwest::Url;
use reqwest::blocking::Response;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::challenge::Challenge;
use super::{redirect, reply};
use crate::limits::{MAX_ANSWER, MAX_TOKENS};
use crate::place::{Repository, is_this_machine};

/// A user of one registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    registry: Url,
    realm: Option<Url>,
    user: String,
    password: String,
}

impl Account {
    /// One for the registry at this root.
    pub fn new(registry: &Url, user: &str, password: &str) -> Self {
        Self { registry: registry.clone(), realm: None, user: user.to_owned(), password: password.to_owned() }
    }

    /// The same, with a token server on another host, which may see the password.
    ///
    /// # Errors
    /// It is no URL of a server with TLS.
    pub fn with_realm(self, realm: &str) -> Result<Self, String> {
        let wrong = |problem: &str| format!("its realm \"{}\" {problem}", escape(realm, 100));
        let url = Url::parse(realm).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_this_machine(&url)) {
            return Err(wrong("has no TLS"));
        }
        Ok(Self { realm: Some(url), ..self })
    }

    fn is_for(&self, repository: &Repository) -> bool {
        self.registry.origin() == repository.registry().origin()
    }

    /// Whether this token server may see the password.
    fn trusts(&self, realm: &Url) -> bool {
        let is_same_host = realm.host() == self.registry.host();
        let is_named = self.realm.as_ref().is_some_and(|named| named.origin() == realm.origin());
        let is_covered = realm.scheme() == "https" || is_this_machine(realm);
        (is_same_host || is_named) && is_covered
    }

    /// `Authorization: Basic ...` (RFC 7617).
    fn header(&self) -> Result<HeaderValue, FetchError> {
        let text = format!("Basic {}", base64(format!("{}:{}", self.user, self.password).as_bytes()));
        secret(&text).ok_or_else(|| FetchError::new(FetchErrorKind::BadLocation, "the password cannot be sent"))
    }
}

/// Never the password.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// To read.
    Pull,
    /// To read and to write.
    Push,
}

impl Scope {
    fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// Asks a token server, with this `Authorization`.
type Ask<'a> = &'a dyn Fn(&Url, Option<HeaderValue>) -> Result<Response, FetchError>;

/// The account, and what registries wanted to see, until they want something else.
#[derive(Debug)]
pub(super) struct Access {
    account: Option<Account>,
    known: Mutex<HashMap<(String, Scope), HeaderValue>>,
}

impl Access {
    pub(super) fn new(account: Option<Account>) -> Self {
        Self { account, known: Mutex::default() }
    }

    /// What this repository wanted to see the last time, for as much as that.
    pub(super) fn known(&self, repository: &Repository, scope: Scope) -> Option<HeaderValue> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&(repository.to_string(), scope)).cloned()
    }

    fn keep(&self, repository: &Repository, scope: Scope, header: HeaderValue) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (repository.to_string(), scope);
        if known.len() >= MAX_TOKENS && !known.contains_key(&name) {
            known.clear();
        }
        known.insert(name, header);
    }

    /// Finds what answers the challenge.
    pub(super) fn answer(
        &self,
        challenge: Option<&Challenge>,
        repository: &Repository,
        scope: Scope,
        ask: Ask<'_>,
    ) -> Result<(), FetchError> {
        let denied = |problem: &str| {
            FetchError::new(FetchErrorKind::Denied, format!("{repository} refused")).because(problem.to_owned())
        };
        let account = self.account.as_ref().filter(|account| account.is_for(repository));
        let header = match challenge {
            None => return Err(denied("it wants a login, of no kind that is known here")),
            Some(Challenge::Basic) => account.ok_or_else(|| denied("it wants a user and a password"))?.header()?,
            Some(Challenge::Bearer { realm, service }) => {
                let url = token_url(realm, service.as_deref(), repository, scope)
                    .map_err(|problem| FetchError::new(FetchErrorKind::Protocol, problem))?;
                if account.is_some_and(|account| !account.trusts(&url)) {
                    let server = redirect::shown(&url);
                    return Err(denied(&format!(
                        "it wants {server} to see the password, and the config's realm does not"
                    )));
                }
                token(ask(&url, account.map(Account::header).transpose()?)?, &url)?
            }
        };
        self.keep(repository, scope, header);
        Ok(())
    }
}

/// Where the token is: for this one repository, and for what is going to be done, whatever the registry proposes.
fn token_url(realm: &str, service: Option<&str>, repository: &Repository, scope: Scope) -> Result<Url, String> {
    let wrong =
        |problem: &str| format!("{repository} names the token server \"{}\", which {problem}", escape(realm, 100));
    let mut url = Url::parse(realm).map_err(|error| wrong(&format!("is no URL: {error}")))?;
    let has_tls = url.scheme() == "https" || (url.scheme() == "http" && repository.registry().scheme() == "http");
    if !has_tls || !url.has_host() {
        return Err(wrong("has no TLS"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has a user in it"));
    }
    url.set_fragment(None);
    let mut query = url.query_pairs_mut();
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    query.append_pair("scope", &format!("repository:{}:{}", repository.name(), scope.actions()));
    drop(query);
    Ok(url)
}

/// The answer of a token server (distribution's specification of tokens; OAuth2 calls it otherwise).
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

fn token(response: Response, url: &Url) -> Result<HeaderValue, FetchError> {
    reply::check(&response, &redirect::shown(url))?;
    let wrong = |problem: String| {
        FetchError::new(FetchErrorKind::Protocol, format!("{} gives no token", redirect::shown(url))).because(problem)
    };
    let mut text = Vec::new();
    response.take(MAX_ANSWER + 1).read_to_end(&mut text).map_err(|error| {
        FetchError::new(FetchErrorKind::Unreachable, format!("{} broke off", redirect::shown(url))).because(error)
    })?;
    if text.len() as u64 > MAX_ANSWER {
        return Err(wrong(format!("its answer has more than {MAX_ANSWER} bytes")));
    }
    // The text of such an error may have a part of the token in it.
    let answer: Answer =
        serde_json::from_slice(&text).map_err(|_| wrong("its answer is not what it should be".into()))?;
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let header = is_token.then(|| secret(&format!("Bearer {token}"))).flatten();
    header.ok_or_else(|| wrong("its token is empty, or no token".into()))
}

/// A header that is not printed.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(host: &str, plain: bool) -> Repository {
        Repository::new(host, "team/packages", plain).unwrap()
    }

    #[test]
    fn base64_as_its_rfc_has_it() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("ÿ~?", "w79+Pw==")];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn who_may_see_the_password() {
        let registry = repository("r.example:8443", false);
        let account = Account::new(registry.registry(), "reader", "hush");
        let trusts = |account: &Account, realm: &str| account.trusts(&Url::parse(realm).unwrap());
        assert!(account.is_for(&registry) && !account.is_for(&repository("r.example", false)));
        assert!(!account.is_for(&repository("r.example:8443", true)), "without TLS it is another one");
        assert!(trusts(&account, "https://r.example/token"));
        assert!(!trusts(&account, "http://r.example:8443/token"), "without TLS");
        assert!(!trusts(&account, "https://auth.example/token"), "another host");
        assert!(!trusts(&account, "https://r.example.evil/token"), "another host");
        let account = account.with_realm("https://auth.example/token").unwrap();
        assert!(
            trusts(&account, "https://auth.example/token?x=1") && !trusts(&account, "https://auth.example:1/token")
        );
        assert!(!format!("{account:?}").contains("hush"));
    }

    #[test]
    fn a_token_is_asked_for_by_the_rules() {
        let secure = repository("r.example", false);
        let url = token_url("https://a/token?x=1#y", Some("a b&c"), &secure, Scope::Pull).unwrap();
        assert_eq!(url.as_str(), "https://a/token?x=1&service=a+b%26c&scope=repository%3Ateam%2Fpackages%3Apull");
        let url = token_url("https://a/token", None, &secure, Scope::Push).unwrap();
        assert_eq!(url.as_str(), "https://a/token?scope=repository%3Ateam%2Fpackages%3Apull%2Cpush");
        for bad in ["http://a/token", "file:///etc/passwd", "https://u:p@a/", "token", ""] {
            assert!(token_url(bad, None, &secure, Scope::Pull).is_err(), "{bad}");
        }
        let plain = repository("r.example", true);
        let asks = |realm: &str| token_url(realm, None, &plain, Scope::Push);
        assert!(asks("http://a/token").is_ok() && asks("ftp://a/").is_err());
    }

    #[test]
    fn tokens_are_kept_of_so_many_repositories() {
        let access = Access::new(None);
        let of = |number: usize| Repository::new("r.example", &format!("x{number}"), false).unwrap();
        let value = HeaderValue::from_static("x");
        for number in 0..MAX_TOKENS {
            access.keep(&of(number), Scope::Pull, value.clone());
        }
        access.keep(&of(0), Scope::Pull, value.clone());
        let knows = |number: usize| access.known(&of(number), Scope::Pull).is_some();
        assert!((0..MAX_TOKENS).all(knows));
        assert!(access.known(&of(0), Scope::Push).is_none(), "one to read is none to write");
        access.keep(&of(MAX_TOKENS), Scope::Pull, value);
        assert!(!knows(0) && knows(MAX_TOKENS));
    }
}
