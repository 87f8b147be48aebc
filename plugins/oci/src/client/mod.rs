//! A client of registries: requests, redirects that are followed here by the same rules for every hop, and tokens.

mod access;
mod challenge;
mod connector;
mod redirect;
mod reply;
mod upload;

use std::io::Read;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use packets_plugin_api::fetch::{FetchError, FetchErrorKind};
use reqwest::blocking::Response;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

pub use access::Account;
pub(crate) use upload::MANIFEST;
pub use upload::{Manifest, Taken};

use crate::limits::{CONNECT_TIMEOUT, IDLE_TIMEOUT, MAX_REDIRECTS, REDIRECT_TIME};
use crate::place::{Blob, Repository, is_this_machine};
use access::{Access, Scope};
use connector::Connector;
use upload::Body;

/// How a [`Client`] behaves.
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
    /// What a client is normally made with.
    pub fn new(user_agent: &str) -> Self {
        Self {
            user_agent: user_agent.to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            redirect_time: REDIRECT_TIME,
            environment_proxies: true,
        }
    }
}

/// Speaks to registries. To make one costs nothing: threads and certificates come with the first request.
#[derive(Debug)]
pub struct Client {
    options: Options,
    access: Access,
    plain: OnceLock<Result<Connector, String>>,
    secure: OnceLock<Result<Connector, String>>,
}

/// A request in the making.
#[derive(Debug)]
struct Request<'a> {
    method: Method,
    headers: HeaderMap,
    scope: Scope,
    body: Body<'a>,
}

impl Client {
    /// A client that has this account, where there is one.
    pub fn new(options: Options, account: Option<Account>) -> Self {
        Self { options, access: Access::new(account), plain: OnceLock::new(), secure: OnceLock::new() }
    }

    /// The bytes of a blob from `offset` on, and how many are announced.
    ///
    /// # Errors
    /// By kind, with the place.
    pub fn blob(&self, blob: &Blob, offset: u64) -> Result<(Box<dyn Read + Send>, Option<u64>), FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if offset > 0 {
            let range = HeaderValue::try_from(format!("bytes={offset}-"));
            headers.extend(range.ok().map(|range| (header::RANGE, range)));
        }
        let request = Request { method: Method::GET, headers, scope: Scope::Pull, body: Body::None };
        let path = format!("blobs/sha256:{}", blob.digest);
        let response = self.send(&request, &blob.repository, blob.repository.url(&path))?;
        reply::open(response, &blob.to_string(), offset)
    }

    /// The reply of whoever the registry sends us to, of any status that is no redirect.
    fn send(&self, request: &Request<'_>, repository: &Repository, mut url: Url) -> Result<Response, FetchError> {
        let started = Instant::now();
        // Once another host was asked, whatever it says is not the registry's word any more.
        let mut is_home = url.origin() == repository.registry().origin();
        let mut may_log_in = true;
        let mut redirects = 0;
        loop {
            let authorization = if is_home { self.access.known(repository, request.scope) } else { None };
            let response = self.once(request, &url, authorization)?;
            if is_home && may_log_in && response.status().as_u16() == 401 {
                may_log_in = false;
                self.log_in(&response, repository, request.scope)?;
                continue;
            }
            let Some(next) = redirect::of(&response, &url)? else { return Ok(response) };
            request.body.may_go(&response, &url, &next)?;
            redirects += 1;
            if redirects > MAX_REDIRECTS {
                let message = format!("{repository} is redirected more than {MAX_REDIRECTS} times");
                return Err(FetchError::new(FetchErrorKind::Protocol, message));
            }
            if started.elapsed() >= self.options.redirect_time {
                let message = format!("{repository} is redirected without an end");
                return Err(FetchError::new(FetchErrorKind::Unreachable, message));
            }
            is_home = is_home && next.origin() == repository.registry().origin();
            url = next;
        }
    }

    fn once(
        &self,
        request: &Request<'_>,
        url: &Url,
        authorization: Option<HeaderValue>,
    ) -> Result<Response, FetchError> {
        let connector = self.connector(url)?;
        let mut builder =
            connector.client.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        if let Some(authorization) = authorization {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        builder = request.body.put_into(builder, self.options.idle_timeout)?;
        builder.send().map_err(|error| connector.failed(url, error))
    }

    /// Has what the registry wants to see from now on, or says why not.
    fn log_in(&self, response: &Response, repository: &Repository, scope: Scope) -> Result<(), FetchError> {
        let challenge = challenge::of(response.headers());
        self.access.answer(challenge.as_ref(), repository, scope, &|url, account| {
            let connector = self.connector(url)?;
            let mut builder = connector.client.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
            if let Some(account) = account {
                builder = builder.header(header::AUTHORIZATION, account);
            }
            builder.send().map_err(|error| connector.failed(url, error))
        })
    }

    fn connector(&self, url: &Url) -> Result<&Connector, FetchError> {
        // What may be sent without TLS to this machine would leave it by a proxy; and the way to one may be TLS.
        let by_proxy = !is_this_machine(url) && self.options.environment_proxies && connector::has_proxies();
        let made = match url.scheme() == "http" && !by_proxy {
            true => self.plain.get_or_init(|| Connector::plain(&self.options)),
            false => self.secure.get_or_init(|| Connector::secure(&self.options)),
        };
        made.as_ref().map_err(|problem| {
            FetchError::new(FetchErrorKind::Unreachable, "cannot set up the HTTP client").because(problem.as_str())
        })
    }
}
