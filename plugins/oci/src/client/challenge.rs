//! What a registry says that it wants to see (RFC 9110, section 11.6.1; RFC 6750).

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// A way to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token that another server gives.
    Bearer {
        /// That server's URL.
        realm: String,
        /// What it knows the registry as.
        service: Option<String>,
    },
    /// User and password.
    Basic,
}

/// The way to take: a token where there is one, user and password else.
pub(super) fn of(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let all: Vec<Challenge> = values.filter_map(parse).flatten().collect();
    let bearer = all.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    bearer.or_else(|| all.first()).cloned()
}

/// All challenges of a header that are known here; none where it is broken.
fn parse(text: &str) -> Option<Vec<Challenge>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let scheme = token(&mut rest)?;
        let mut pairs = Vec::new();
        while let Some(pair) = pair(&mut rest)? {
            pairs.push(pair);
        }
        let value = |wanted: &str| {
            let pair = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted));
            pair.map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            found.push(Challenge::Bearer { realm: value("realm")?, service: value("service") });
        } else if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        }
    }
    Some(found)
}

/// `key=value` and the comma behind it; nothing where the next challenge or the end is. None where it is broken.
fn pair(rest: &mut &str) -> Option<Option<(String, String)>> {
    let mut ahead = rest.trim_start_matches([' ', ',']);
    if ahead.is_empty() {
        *rest = ahead;
        return Some(None);
    }
    let here = ahead;
    let key = token(&mut ahead)?.to_owned();
    let Some(after) = ahead.trim_start().strip_prefix('=') else {
        *rest = here;
        return Some(None);
    };
    ahead = after.trim_start();
    let value = match ahead.strip_prefix('"') {
        Some(inside) => quoted(inside, &mut ahead)?,
        None => token(&mut ahead)?.to_owned(),
    };
    *rest = ahead;
    Some(Some((key, value)))
}

/// The token that the text begins with.
fn token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(c);
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let (token, after) = rest.split_at(end);
    *rest = after;
    (!token.is_empty()).then_some(token)
}

/// A quoted text, whose first mark is taken already.
fn quoted<'a>(inside: &'a str, rest: &mut &'a str) -> Option<String> {
    let mut text = String::new();
    let mut characters = inside.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => {
                *rest = &inside[at + 1..];
                return Some(text);
            }
            (_, '\\') => text.push(characters.next()?.1),
            (_, c) => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn challenges_as_registries_send_them() {
        for (text, expected) in [
            (
                r#"Bearer realm="https://a.example/token",service="r.example",scope="repository:a/b:pull,push""#,
                vec![bearer("https://a.example/token", Some("r.example"))],
            ),
            (r#"bearer Realm="https://a/t""#, vec![bearer("https://a/t", None)]),
            (r#"Bearer realm=https://a/t , service=x"#, vec![bearer("https://a/t", Some("x"))]),
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("Basic", vec![Challenge::Basic]),
            (
                r#"Basic realm="a, b", Bearer realm="https://a/\"t""#,
                vec![Challenge::Basic, bearer("https://a/\"t", None)],
            ),
            (r#"Negotiate, Basic realm="x""#, vec![Challenge::Basic]),
            ("Digest realm=\"x\", nonce=y", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for bad in ["Bearer", "Bearer service=\"x\"", "Bearer realm=\"x", "Bearer realm=", "=", "Basic \"x\""] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_is_taken_before_a_password() {
        let mut headers = HeaderMap::new();
        assert_eq!(of(&headers), None);
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"x\""));
        assert_eq!(of(&headers), Some(Challenge::Basic));
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"https://a/\""));
        assert_eq!(of(&headers), Some(bearer("https://a/", None)));
    }
}
