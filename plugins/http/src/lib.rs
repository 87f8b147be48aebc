//! Fetch source: HTTP and HTTPS mirrors.
//!
//! One request a file: `GET`, HTTP/1.1, no encoding but identity, a `Range` where
//! the transfer is to start later. Redirects are followed here and not by the
//! HTTP library, so that every hop is held to the same rules as the first
//! (`location`). What a reply must be like is in `reply`. Certificates are
//! checked against the system's store, and nothing switches that off.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and look at real trees"))]

mod location;
mod reply;

use std::error::Error as StdError;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use packets_plugin_api::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};
use packets_plugin_api::registry::{DuplicateName, FetchSettings, Plugin, Registry};
use reqwest::blocking::{Client, ClientBuilder, Response};
use reqwest::redirect::Policy;
use reqwest::{Url, header};

/// Redirects followed for one file (N13).
pub const MAX_REDIRECTS: usize = 5;
/// How long a connection may take to stand, TLS included (N12).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a reply's head, and each next piece of its body, may take to come (N12).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections to one server that are kept for the next file.
const IDLE_CONNECTIONS: usize = 4;

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
            environment_proxies: true,
        }
    }
}

/// The source itself. To make one costs nothing: a client, with its thread, is made when
/// the first file is opened, and the system's certificates are read (20 ms) when the first
/// one is opened for which they may be needed.
#[derive(Debug)]
pub struct HttpSource {
    options: Options,
    plain: OnceLock<Result<Connector, String>>,
    secure: OnceLock<Result<Connector, String>>,
}

#[derive(Debug)]
struct Connector {
    client: Client,
    /// Why no certificate can be checked; then every TLS connection fails.
    without_roots: Option<String>,
}

impl HttpSource {
    /// A source with the settings that every source gets.
    pub fn new(settings: &FetchSettings) -> Self {
        Self::with_options(Options::new(settings))
    }

    /// A source with other timeouts, or without proxies.
    pub fn with_options(options: Options) -> Self {
        Self { options, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    fn connector(&self, url: &Url) -> Result<&Connector, FetchError> {
        // The way to a proxy may be TLS where the URL is not.
        let made = match url.scheme() == "http" && !(self.options.environment_proxies && has_proxies()) {
            true => self.plain.get_or_init(|| Connector::plain(&self.options)),
            false => self.secure.get_or_init(|| Connector::secure(&self.options)),
        };
        made.as_ref().map_err(|problem| {
            FetchError::new(FetchErrorKind::Unreachable, "cannot set up the HTTP client").because(problem.as_str())
        })
    }

    /// One request, answered by a reply of any status.
    fn request(&self, url: &Url, offset: u64) -> Result<Response, FetchError> {
        let connector = self.connector(url)?;
        let mut request = connector.client.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        if offset > 0 {
            request = request.header(header::RANGE, format!("bytes={offset}-"));
        }
        request.send().map_err(|error| {
            let refused = is_tls(&error);
            let kind = if refused { FetchErrorKind::Protocol } else { FetchErrorKind::Unreachable };
            let message = format!("cannot reach {}", location::shown(url));
            match &connector.without_roots {
                Some(problem) if refused => FetchError::new(kind, message).because(problem.as_str()),
                // The URL stands in the message, without its password.
                _ => FetchError::new(kind, message).because(error.without_url()),
            }
        })
    }
}

impl Connector {
    /// One that reads no certificates, and therefore cannot speak TLS with anybody.
    fn plain(options: &Options) -> Result<Self, String> {
        let nobody = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = builder(options).tls_backend_preconfigured(nobody).build().map_err(|error| chain(&error))?;
        Ok(Self { client, without_roots: None })
    }

    /// One that trusts the system's certificates; where there are none, nobody.
    fn secure(options: &Options) -> Result<Self, String> {
        // The first provider of the process stays; a second one asks for nothing else.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match builder(options).build() {
            Ok(client) => Ok(Self { client, without_roots: None }),
            Err(error) => Ok(Self { without_roots: Some(chain(&error)), ..Self::plain(options)? }),
        }
    }
}

/// Whether the environment names a proxy that plain HTTP may go through.
fn has_proxies() -> bool {
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].iter().any(|name| std::env::var_os(name).is_some())
}

fn builder(options: &Options) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(options.user_agent.as_str())
        .http1_only()
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        // The blocking client counts this anew for the reply's head and for each read of its body.
        .timeout(options.idle_timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS);
    if options.environment_proxies { builder } else { builder.no_proxy() }
}

/// The error and all that stands behind it, in one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Whether it was TLS that refused: another try will not be better.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    // An io::Error stands for the error that it holds, whose own source it then gives as its.
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let next = held.map(|held| held as &(dyn StdError + 'static)).or_else(|| error.source());
    error.is::<rustls::Error>() || next.is_some_and(is_tls)
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
            if found(Candidate { location: mirror.clone(), size: None }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        let mut url =
            location::parse(&from.location).map_err(|problem| FetchError::new(FetchErrorKind::BadLocation, problem))?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.request(&url, offset)?;
            match reply::redirect(&response, &url)? {
                Some(next) => url = next,
                None => return reply::open(response, &url, offset),
            }
        }
        let message = format!("{} is redirected more than {MAX_REDIRECTS} times", location::shown_text(&from.location));
        Err(FetchError::new(FetchErrorKind::Protocol, message))
    }
}
