//! Fetch source: HTTP and HTTPS mirrors.
//!
//! One request a file: `GET`, HTTP/1.1, no encoding but identity, a `Range` where
//! it is to start later or to end sooner, with `If-Range` where the version is known that
//! it continues. Redirects are followed here and not by the
//! HTTP library, so that every hop is held to the same rules as the first
//! (`location`). What a reply must be like is in `reply`. Certificates are
//! checked against the system's store, and nothing switches that off. When and
//! where to try again is the host's decision.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and look at real trees"))]

mod client;
pub mod limits;
mod location;
mod part;
mod reply;
mod worker;

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use packets_plugin_api::fetch::{Artifact, Begun, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};
use packets_plugin_api::registry::{DuplicateName, FetchSettings, Plugin, Registry};
use reqwest::{Url, header};

use limits::{CONNECT_TIMEOUT, IDLE_TIMEOUT, MAX_REDIRECTS, REDIRECT_TIME};
use part::Part;
use worker::{Asked, Failure, Reply, Worker};

/// Registers the source `http`.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpPlugin;

impl Plugin for HttpPlugin {
    fn register(&self, registry: &mut Registry) -> Result<(), DuplicateName> {
        registry.add_fetch("http", |settings| Arc::new(HttpSource::new(settings)))
    }
}

/// How an [`HttpSource`] behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`IDLE_TIMEOUT`].
    pub idle_timeout: Duration,
    /// See [`REDIRECT_TIME`].
    pub redirect_time: Duration,
    /// Whether `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` are honoured.
    pub environment_proxies: bool,
}

impl Options {
    /// What a source is normally made with.
    pub fn new(settings: &FetchSettings) -> Self {
        Self {
            user_agent: settings.user_agent.clone(),
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            redirect_time: REDIRECT_TIME,
            environment_proxies: true,
        }
    }
}

/// The source itself. To make one costs nothing: a client, in a thread of its own, begins when it is
/// known that a file will be fetched, and the system's certificates are read (20 ms) there, when the
/// first one is for which they may be needed.
#[derive(Debug)]
pub struct HttpSource(Arc<Clients>);

#[derive(Debug)]
struct Clients {
    options: Options,
    plain: OnceLock<Result<Worker, String>>,
    secure: OnceLock<Result<Worker, String>>,
}

impl HttpSource {
    /// A source with the settings that every source gets.
    pub fn new(settings: &FetchSettings) -> Self {
        Self::with_options(Options::new(settings))
    }

    /// A source with other timeouts, or without proxies.
    pub fn with_options(options: Options) -> Self {
        Self(Arc::new(Clients { options, plain: OnceLock::new(), secure: OnceLock::new() }))
    }
}

impl Clients {
    /// The client for this URL, which may not stand yet.
    fn worker(&self, url: &Url) -> Result<&Worker, FetchError> {
        // The way to a proxy may be TLS where the URL is not.
        let begun = match url.scheme() == "http" && !(self.options.environment_proxies && client::has_proxies()) {
            true => self.plain.get_or_init(|| Worker::begin(&self.options, false)),
            false => self.secure.get_or_init(|| Worker::begin(&self.options, true)),
        };
        begun.as_ref().map_err(|problem| no_client(problem))
    }

    /// Sends one request.
    fn request(&self, url: &Url, condition: &Condition<'_>) -> Result<Asked, FetchError> {
        let mut headers = vec![(header::ACCEPT_ENCODING, "identity".to_owned())];
        match condition {
            Condition::From(part, version) => {
                headers.extend(part.header().map(|range| (header::RANGE, range)));
                let version = version.filter(|_| part.is_part());
                headers.extend(version.map(|version| (header::IF_RANGE, version.to_owned())));
            }
            Condition::Unless(version) => {
                headers.extend(version.map(|version| (header::IF_NONE_MATCH, version.to_owned())));
            }
        }
        Ok(self.worker(url)?.ask((url.clone(), headers)))
    }
}

/// The reply to a request, of any status.
fn reply_of(asked: Asked, url: &Url) -> Result<Reply, FetchError> {
    asked.reply().map_err(|failure| {
        let named = |kind| FetchError::new(kind, format!("cannot reach {}", location::shown(url)));
        match failure {
            Failure::Setup(problem) => no_client(&problem),
            Failure::Silence => named(FetchErrorKind::Unreachable).because(client::Silence),
            Failure::Request(error, without_roots) => {
                let refused = client::is_tls(&error);
                let is_final = refused || client::is_too_large(&error);
                let kind = if is_final { FetchErrorKind::Protocol } else { FetchErrorKind::Unreachable };
                match without_roots {
                    Some(problem) if refused => named(kind).because(problem),
                    // The URL stands in the message, without its password.
                    _ => named(kind).because(error.without_url()),
                }
            }
        }
    })
}

fn no_client(problem: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Unreachable, "cannot set up the HTTP client").because(problem)
}

/// What is asked of a place.
enum Condition<'a> {
    /// These bytes, of that version where one is known.
    From(Part, Option<&'a str>),
    /// All, unless it is still this version.
    Unless(Option<&'a str>),
}

impl Clients {
    /// Asks the place itself.
    fn ask(&self, from: &Candidate, condition: &Condition<'_>) -> Result<(Asked, Url), FetchError> {
        let url =
            location::parse(&from.location).map_err(|problem| FetchError::new(FetchErrorKind::BadLocation, problem))?;
        Ok((self.request(&url, condition)?, url))
    }

    /// The reply that is no redirect.
    fn follow(
        &self,
        (mut asked, mut url): (Asked, Url),
        from: &Candidate,
        condition: &Condition<'_>,
    ) -> Result<(Reply, Url), FetchError> {
        let started = Instant::now();
        for redirects in 0.. {
            let reply = reply_of(asked, &url)?;
            match reply::redirect(&reply, &url)? {
                Some(_) if started.elapsed() >= self.options.redirect_time => {
                    let message = format!("{} is redirected without an end", location::shown_text(&from.location));
                    return Err(FetchError::new(FetchErrorKind::Unreachable, message));
                }
                Some(_) if redirects == MAX_REDIRECTS => break,
                Some(next) => (asked, url) = (self.request(&next, condition)?, next),
                None => return Ok((reply, url)),
            }
        }
        let message = format!("{} is redirected more than {MAX_REDIRECTS} times", location::shown_text(&from.location));
        Err(FetchError::new(FetchErrorKind::Protocol, message))
    }

    /// What a place gives that was asked for this part.
    fn opened(&self, asked: (Asked, Url), from: &Candidate, part: Part) -> Result<Opened, FetchError> {
        let version = known_version(from);
        let (reply, url) = self.follow(asked, from, &Condition::From(part, version))?;
        reply::open(reply, &url, part, version)
    }

    fn open_at(&self, from: &Candidate, part: Part) -> Result<Opened, FetchError> {
        self.opened(self.ask(from, &Condition::From(part, known_version(from)))?, from, part)
    }
}

/// The version that a candidate names, where it is one of HTTP's.
fn known_version(from: &Candidate) -> Option<&str> {
    from.version.as_deref().filter(|version| reply::is_version(version.as_bytes()))
}

impl FetchSource for HttpSource {
    fn name(&self) -> &str {
        "http"
    }

    fn claims(&self, location: &str) -> bool {
        location::parse(location).is_ok()
    }

    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        for mirror in want.mirrors.iter().filter(|mirror| self.claims(mirror)) {
            if found(Candidate::at(mirror)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn finds_at_once(&self) -> bool {
        true
    }

    /// Lets the client begin while others have something to do: until it stands nothing can be asked.
    fn prepare(&self, wants: &[Artifact]) {
        let mut mirrors = wants.iter().flat_map(|want| &want.mirrors);
        if let Some(url) = mirrors.find_map(|mirror| location::parse(mirror).ok()) {
            // Who opens a file tells what is wrong with it.
            let _ = self.0.worker(&url);
        }
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        self.0.open_at(from, Part { offset, length: None })
    }

    fn begin(&self, from: &Candidate, offset: u64) -> Option<Begun> {
        let part = Part { offset, length: None };
        let asked = self.0.ask(from, &Condition::From(part, known_version(from))).ok()?;
        let (clients, from) = (self.0.clone(), from.clone());
        Some(Box::new(move || clients.opened(asked, &from, part)))
    }

    fn open_part(&self, from: &Candidate, offset: u64, length: u64) -> Result<Opened, FetchError> {
        self.0.open_at(from, Part { offset, length: Some(length).filter(|length| *length > 0) })
    }

    fn open_unless(&self, from: &Candidate) -> Result<Option<Opened>, FetchError> {
        let version = known_version(from);
        let condition = Condition::Unless(version);
        let (response, url) = self.0.follow(self.0.ask(from, &condition)?, from, &condition)?;
        if version.is_some() && reply::is_unchanged(&response) {
            return Ok(None);
        }
        let opened = reply::open(response, &url, Part::default(), None)?;
        // There are places that know no conditions.
        let is_known = version.is_some() && opened.version.as_deref() == version;
        Ok((!is_known).then_some(opened))
    }
}

#[cfg(test)]
mod tests {
    use packets_plugin_api::conformance::fetch::artifact;

    use super::*;

    #[test]
    fn the_client_that_will_be_needed_begins_before_a_file_is_opened() {
        let settings = FetchSettings { user_agent: "test".to_owned(), lan_port: 1333, memory: None };
        let begun = |mirrors: &[&str]| {
            let options = Options { environment_proxies: false, ..Options::new(&settings) };
            let source = HttpSource::with_options(options);
            source.prepare(&[artifact(mirrors)]);
            [source.0.plain.get().is_some(), source.0.secure.get().is_some()]
        };
        assert_eq!(begun(&["/srv/a", "ftp://mirror.example/a"]), [false, false], "nobody will be asked");
        assert_eq!(begun(&["/srv/a", "http://mirror.example/a"]), [true, false], "no certificates are read");
        assert_eq!(begun(&["https://mirror.example/a", "http://mirror.example/a"]), [false, true]);
    }
}
