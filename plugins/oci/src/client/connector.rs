//! What all requests have in common, and whose certificates are trusted.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use packets_plugin_api::fetch::{FetchError, FetchErrorKind};
use reqwest::Url;
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::redirect::Policy;

use super::{Options, redirect};

#[derive(Debug)]
pub(super) struct Connector {
    pub(super) client: Client,
    /// Why no certificate can be checked; then every TLS connection fails.
    without_roots: Option<String>,
}

impl Connector {
    /// One that reads no certificates, therefore cannot speak TLS with anybody, and asks no proxy.
    pub(super) fn plain(options: &Options) -> Result<Self, String> {
        let nobody = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client =
            builder(options).no_proxy().tls_backend_preconfigured(nobody).build().map_err(|error| error.to_string())?;
        Ok(Self { client, without_roots: None })
    }

    /// One that trusts the system's certificates; where there are none, nobody.
    pub(super) fn secure(options: &Options) -> Result<Self, String> {
        // The first provider of the process stays; a second one asks for nothing else.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match builder(options).build() {
            Ok(client) => Ok(Self { client, without_roots: None }),
            Err(error) => Ok(Self { without_roots: Some(error.to_string()), ..Self::plain(options)? }),
        }
    }

    /// Why a request got no reply.
    pub(super) fn failed(&self, url: &Url, error: reqwest::Error) -> FetchError {
        let refused = is_tls(&error);
        let kind = if refused { FetchErrorKind::Protocol } else { FetchErrorKind::Unreachable };
        let failure = FetchError::new(kind, format!("cannot reach {}", redirect::shown(url)));
        match &self.without_roots {
            Some(problem) if refused => failure.because(problem.as_str()),
            // A URL of a storage server has its own signature in it.
            _ => failure.because(error.without_url()),
        }
    }
}

/// Whether the environment names a proxy that plain HTTP may go through.
pub(super) fn has_proxies() -> bool {
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
        .timeout(options.idle_timeout);
    if options.environment_proxies { builder } else { builder.no_proxy() }
}

/// Whether it was TLS that refused: another try will not be better.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    // An io::Error stands for the error that it holds, whose own source it then gives as its.
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let next = held.map(|held| held as &(dyn StdError + 'static)).or_else(|| error.source());
    error.is::<rustls::Error>() || next.is_some_and(is_tls)
}
