//! Which URLs are asked, of mirrors and of redirects alike.

use packets_plugin_api::ident::escape;
use reqwest::Url;

use crate::limits::{MAX_ESCAPES, MAX_URL};

/// Characters of a URL in a message.
const MAX_SHOWN: usize = 300;

/// The URL in a text that comes from an index, a config or a user.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    check_text(text)?;
    // The url crate forgives `http:host` and `http:/host`; then two programs would read one text in two ways.
    let slashes = text.split_once(':').is_some_and(|(_, rest)| rest.starts_with("//") && !rest.starts_with("///"));
    let url = Url::parse(text).map_err(|error| format!("\"{}\" is not a URL: {error}", shown_text(text)))?;
    if !slashes {
        return Err(format!("\"{}\" is not a URL with a host", shown_text(text)));
    }
    check_url(url)
}

/// Where a redirect leads. The password of the first URL is for its server
/// alone, and that of the redirect is none that the user gave.
pub(crate) fn redirected(from: &Url, location: &[u8]) -> Result<Url, String> {
    let text = std::str::from_utf8(location).map_err(|_| "the redirect is not a text".to_owned())?;
    check_text(text)?;
    let next = from.join(text).map_err(|error| format!("the redirect is not a URL: {error}"))?;
    let mut next = check_url(next)?;
    if from.scheme() == "https" && next.scheme() != "https" {
        return Err(format!("the redirect leads from https to {}", shown(&next)));
    }
    let same_server = from.origin() == next.origin();
    let (user, password) = if same_server { (from.username(), from.password()) } else { ("", None) };
    // Cannot fail: the URL has a host.
    let _ = next.set_username(user);
    let _ = next.set_password(password);
    Ok(next)
}

/// No control characters, escaped or not: they would end lines where a text is
/// put into a protocol, a log or a terminal (N14).
fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_URL {
        return Err(format!("the URL is longer than {MAX_URL} bytes"));
    }
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..MAX_ESCAPES {
        if bytes.iter().any(u8::is_ascii_control) {
            return Err(format!("\"{}\" has a control character", shown_text(text)));
        }
        let decoded = unescape(&bytes);
        if decoded.len() == bytes.len() {
            return Ok(());
        }
        bytes = decoded;
    }
    Err(format!("\"{}\" is escaped again and again", shown_text(text)))
}

/// Every good percent escape replaced by its byte; it shortens the text by two for each.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|&b| char::from(b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or(b'%'));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn check_url(mut url: Url) -> Result<Url, String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{} is neither http nor https", shown(&url)));
    }
    if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        return Err(format!("{} names no server", shown(&url)));
    }
    url.set_fragment(None);
    Ok(url)
}

/// A URL for messages: escaped, cut, without its password.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // Cannot fail: what has a password has a host.
        let _ = url.set_password(None);
    }
    escape(url.as_str(), MAX_SHOWN)
}

/// A text for messages that may not be a URL at all.
pub(crate) fn shown_text(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => shown(&url),
        // Whatever stands before an @ may be a password.
        _ => escape(text.rsplit_once('@').map_or(text, |(_, rest)| rest), MAX_SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_with_a_server_only() {
        for good in [
            "http://a/",
            "https://a.example:8443/x%20y?q=1#f",
            "HTTP://[::1]:1/",
            "http://u:p@a/x",
            "http://é.example/",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        assert_eq!(parse("http://a/x#fragment").unwrap().as_str(), "http://a/x");
        for bad in [
            "",
            "http",
            "http:",
            "http:/a",
            "http:a",
            "http:///a",
            "http://",
            "http://:80/",
            "http://a:0/",
            "http://a:99999/",
            "ftp://a/",
            "file:///etc/passwd",
            "data:,x",
            "javascript:0",
            "//a/x",
            "/x",
            "x",
            "http://a b/",
        ] {
            assert!(parse(bad).is_err(), "N13 {bad}");
        }
        let fits = format!("http://a/{}", "x".repeat(MAX_URL - 9));
        assert!(parse(&fits).is_ok());
        assert!(parse(&format!("{fits}x")).is_err());
    }

    #[test]
    fn n14_control_characters_are_refused_under_any_escape() {
        for bad in [
            "http://a/x\r\nHost: b",
            "http://a/\n",
            "\thttp://a/",
            "http://a/\u{1b}[2J",
            "http://a/%0a201%20URI%20Done",
            "http://a/%0D%0A",
            "http://a/%250a",
            "http://a/%25250a",
            "http://a/%00",
            "http://a/%7f",
            "http://a/?q=%0a",
            "http://a/%2525252525250a",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
            assert!(redirected(&Url::parse("http://a/").unwrap(), bad.as_bytes()).is_err(), "{bad:?}");
        }
        let escaped = |times: usize| format!("http://a/%{}41", "25".repeat(times - 1));
        assert!(parse(&escaped(MAX_ESCAPES - 1)).is_ok() && parse(&escaped(MAX_ESCAPES)).is_err());
        for good in ["http://a/100%", "http://a/%25", "http://a/%2525", "http://a/%zz", "http://a/%2B"] {
            assert!(parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn n13_redirects_keep_to_http_and_never_leave_https() {
        let plain = Url::parse("http://a/b/c").unwrap();
        let secure = Url::parse("https://a/b/c").unwrap();
        assert_eq!(redirected(&plain, b"d").unwrap().as_str(), "http://a/b/d");
        assert_eq!(redirected(&plain, b"https://b/").unwrap().as_str(), "https://b/");
        assert_eq!(redirected(&secure, b"//b/x").unwrap().as_str(), "https://b/x");
        for bad in ["http://a/b/c", "http://b/", "file:///etc/passwd", "ftp://a/", "data:,x"] {
            assert!(redirected(&secure, bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(redirected(&plain, b"file:///etc/passwd").is_err());
        assert!(redirected(&plain, b"/\xff").is_err());
    }

    #[test]
    fn passwords_stay_with_their_server_and_out_of_messages() {
        let from = Url::parse("http://user:secret@a/x").unwrap();
        assert_eq!(redirected(&from, b"/y").unwrap().as_str(), "http://user:secret@a/y");
        assert_eq!(redirected(&from, b"http://b/y").unwrap().as_str(), "http://b/y");
        assert_eq!(redirected(&from, b"http://x:y@b/y").unwrap().as_str(), "http://b/y");
        assert_eq!(shown(&from), "http://user@a/x");
        for bad in [
            "http://user:secret@a/%0a",
            "ftp://user:secret@a/",
            "http://user:secret@",
            "user:secret@a",
            "http:/user:secret@a",
        ] {
            let message = parse(bad).unwrap_err();
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
