//! Where a reply sends us.

use packets_plugin_api::fetch::{FetchError, FetchErrorKind};
use packets_plugin_api::ident::escape;
use reqwest::blocking::Response;
use reqwest::{Url, header};

/// The place to ask next, if the reply is a redirect.
pub(super) fn of(response: &Response, url: &Url) -> Result<Option<Url>, FetchError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let failed = |problem: String| {
        let message = format!("{} answered with a redirect that is not followed", shown(url));
        FetchError::new(FetchErrorKind::Protocol, message).because(problem)
    };
    let mut targets = response.headers().get_all(header::LOCATION).iter();
    let (Some(target), None) = (targets.next(), targets.next()) else {
        return Err(failed("it names not exactly one place".to_owned()));
    };
    follow(url, target.as_bytes()).map(Some).map_err(failed)
}

/// The URL that a reply of `from` leads to, of HTTP alone, and never from TLS to none.
pub(super) fn follow(from: &Url, target: &[u8]) -> Result<Url, String> {
    let text = std::str::from_utf8(target).map_err(|_| "it is not a text".to_owned())?;
    if text.contains(char::is_control) {
        return Err("it has a control character".to_owned());
    }
    let next = from.join(text).map_err(|error| format!("it is not a URL: {error}"))?;
    let is_http = matches!(next.scheme(), "http" | "https") && next.has_host() && next.port() != Some(0);
    if !is_http || (from.scheme() == "https" && next.scheme() != "https") {
        return Err(format!("it leads from {} to {}", from.scheme(), shown(&next)));
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err("it has a user or a password in it".to_owned());
    }
    Ok(next)
}

/// A URL for messages: escaped, cut, without its query, which may be a signature.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Cannot fail where there is a host, and elsewhere there is none to take away.
    let _ = url.set_password(None);
    escape(url.as_str(), 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n13_redirects_keep_to_http_and_never_leave_tls() {
        let plain = Url::parse("http://a/v2/b").unwrap();
        let secure = Url::parse("https://a/v2/b").unwrap();
        assert_eq!(follow(&plain, b"c").unwrap().as_str(), "http://a/v2/c");
        assert_eq!(follow(&plain, b"https://b/x?sig=1").unwrap().as_str(), "https://b/x?sig=1");
        assert_eq!(follow(&secure, b"//b/x").unwrap().as_str(), "https://b/x");
        for bad in ["http://a/v2/b", "http://b/", "file:///etc/passwd", "ftp://a/", "data:,x"] {
            assert!(follow(&secure, bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in [&b"file:///etc/passwd"[..], b"/\xff", b"/x\ny", b"http://u:p@b/", b"http://u@b/", b"http://b:0/"] {
            assert!(follow(&plain, bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn signatures_stay_out_of_messages() {
        let url = Url::parse("https://u:secret@store/x?signature=secret#secret").unwrap();
        assert_eq!(shown(&url), "https://u@store/x");
    }
}
