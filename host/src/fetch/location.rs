//! Locations: from an index's text to something that a source understands, and for messages.

use packets_plugin_api::ident::escape;
use url::Url;

use super::limits::MAX_MIRROR;
use crate::error::{Error, Result};

/// Characters of a location in a message.
const MAX_SHOWN: usize = 300;

/// What a mirror of the index at `index` means, absolute.
///
/// `index` is an absolute path or a URL, and is itself the index's file: `/repo/index.db`
/// or, for a folder, `/repo/`. A mirror with a scheme stays as it is; beside an index of this
/// machine so does an absolute path. Everything else is a relative reference (RFC 3986) to
/// `index`, percent-escaped, and comes back as a URL.
///
/// # Errors
/// Control characters (N14), a text that is no reference, and, in an index from the network,
/// a file of this machine: there it could only name one that the index's author does not know.
pub fn resolve_mirror(index: &str, mirror: &str) -> Result<String> {
    let failed = |problem: String| {
        Error::integrity(format!("the index {} has the mirror \"{}\"", shown(index), escape(mirror, MAX_SHOWN)))
            .caused_by(problem)
    };
    if mirror.is_empty() || mirror.len() > MAX_MIRROR || mirror.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(failed(format!("a mirror has 1 to {MAX_MIRROR} bytes without spaces and control characters")));
    }
    let base = match index.starts_with('/') {
        true => file_url(index).ok_or_else(|| "the index's path is no URL".to_owned()),
        false => Url::parse(index).map_err(|error| format!("the index's location is no URL: {error}")),
    };
    let is_local = base.as_ref().is_ok_and(|base| base.scheme() == "file");
    match Url::parse(mirror) {
        Ok(url) if url.scheme() == "file" && !is_local => {
            Err(failed("an index from the network cannot name files of this machine".to_owned()))
        }
        Ok(_) => Ok(mirror.to_owned()),
        Err(url::ParseError::RelativeUrlWithoutBase) if is_local && mirror.starts_with('/') => Ok(mirror.to_owned()),
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            base.map_err(failed)?.join(mirror).map(String::from).map_err(|error| failed(error.to_string()))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The URL of an absolute path, a `/` at its end kept.
fn file_url(path: &str) -> Option<Url> {
    match path.ends_with('/') {
        true => Url::from_directory_path(path).ok(),
        false => Url::from_file_path(path).ok(),
    }
}

/// A location for messages: escaped, cut, and without its password.
pub fn shown(location: &str) -> String {
    match Url::parse(location) {
        Ok(mut url) if url.password().is_some() => {
            // Cannot fail: what has a password has a host.
            let _ = url.set_password(None);
            escape(url.as_str(), MAX_SHOWN)
        }
        _ => escape(location, MAX_SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_mirrors_stand_beside_the_index() {
        for (index, mirror, absolute) in [
            ("https://a.example/repo/index.db", "x.tar.zst", "https://a.example/repo/x.tar.zst"),
            ("https://a.example/repo/index.db?v=1", "pool/x", "https://a.example/repo/pool/x"),
            ("https://a.example/repo/index.db", "../x", "https://a.example/x"),
            ("https://a.example/repo/index.db", "/x", "https://a.example/x"),
            ("https://a.example/repo/index.db", "//b.example/x", "https://b.example/x"),
            ("https://a.example/repo/index.db", "http://b.example/x", "http://b.example/x"),
            ("https://a.example/repo/index.db", "ftp://b.example/x", "ftp://b.example/x"),
            ("/srv/my repo/index.db", "x%20y.tar.zst", "file:///srv/my%20repo/x%20y.tar.zst"),
            ("/srv/repo/", "x", "file:///srv/repo/x"),
            ("/srv/repo/index.db", "/elsewhere/x", "/elsewhere/x"),
            ("/srv/repo/index.db", "file:///elsewhere/x", "file:///elsewhere/x"),
            ("file:///srv/repo/index.db", "libstdc++-1.2.tar.zst", "file:///srv/repo/libstdc++-1.2.tar.zst"),
            ("/srv/100%/index.db", "x", "file:///srv/100%25/x"),
        ] {
            assert_eq!(resolve_mirror(index, mirror).unwrap(), absolute, "{mirror} beside {index}");
        }
    }

    #[test]
    fn hostile_mirrors_are_refused() {
        for mirror in ["", "a b", "a\nb", "http://a/\r\nx", "\u{1b}[2J", "http://", &"x".repeat(MAX_MIRROR + 1)] {
            for index in ["https://a.example/index.db", "/srv/index.db"] {
                assert!(resolve_mirror(index, mirror).is_err(), "N14 {mirror:?}");
            }
        }
        assert!(resolve_mirror("https://a/index.db", &"x".repeat(MAX_MIRROR)).is_ok());
        for mirror in ["file:///etc/shadow", "FILE:///etc/shadow", "file:/etc/shadow", "file:etc/shadow"] {
            assert!(resolve_mirror("https://a.example/index.db", mirror).is_err(), "{mirror}");
        }
        assert!(resolve_mirror("relative/index.db", "x").is_err());
        // Of an index that was synced without its place being remembered.
        assert_eq!(resolve_mirror("", "https://a.example/x").unwrap(), "https://a.example/x");
        for mirror in ["x", "/x", "file:///x"] {
            assert!(resolve_mirror("", mirror).is_err(), "{mirror}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("https://user:secret@a.example/x"), "https://user@a.example/x");
        assert_eq!(shown("/srv/\u{1b}x"), "/srv/\\u{1b}x");
        let error = resolve_mirror("https://user:secret@a.example/x", "a b").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
