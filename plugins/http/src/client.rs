//! The HTTP client: what all requests have in common, and whose certificates are trusted.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

use crate::Options;
use crate::limits::{IDLE_CONNECTIONS, MAX_HEADERS};

#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) client: Client,
    /// Why no certificate can be checked; then every TLS connection fails.
    pub(crate) without_roots: Option<String>,
}

impl Connector {
    /// One that reads no certificates, and therefore cannot speak TLS with anybody.
    pub(crate) fn plain(options: &Options) -> Result<Self, String> {
        let nobody = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = builder(options).tls_backend_preconfigured(nobody).build().map_err(|error| chain(&error))?;
        Ok(Self { client, without_roots: None })
    }

    /// One that trusts the system's certificates; where there are none, nobody.
    pub(crate) fn secure(options: &Options) -> Result<Self, String> {
        // The first provider of the process stays; a second one asks for nothing else.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match builder(options).build() {
            Ok(client) => Ok(Self { client, without_roots: None }),
            Err(error) => Ok(Self { without_roots: Some(chain(&error)), ..Self::plain(options)? }),
        }
    }
}

/// Whether the environment names a proxy that plain HTTP may go through.
pub(crate) fn has_proxies() -> bool {
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].iter().any(|name| std::env::var_os(name).is_some())
}

fn builder(options: &Options) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(options.user_agent.as_str())
        .http1_only()
        .http1_max_headers(MAX_HEADERS)
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS);
    if options.environment_proxies { builder } else { builder.no_proxy() }
}

/// Nothing came for as long as the source waits.
#[derive(Debug)]
pub(crate) struct Silence;

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation timed out")
    }
}

impl StdError for Silence {}

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
pub(crate) fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    stands_behind(error, |error| error.is::<rustls::Error>())
}

/// Whether the head of the reply broke the bounds: it will do so again (N17). A head that is broken in another
/// way may be what is left of the reply before it (N19), and is asked for once more.
pub(crate) fn is_too_large(error: &(dyn StdError + 'static)) -> bool {
    stands_behind(error, |error| error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large))
}

fn stands_behind(error: &(dyn StdError + 'static), is_it: impl Fn(&(dyn StdError + 'static)) -> bool + Copy) -> bool {
    // An io::Error stands for the error that it holds, whose own source it then gives as its.
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let next = held.map(|held| held as &(dyn StdError + 'static)).or_else(|| error.source());
    is_it(error) || next.is_some_and(|next| stands_behind(next, is_it))
}
