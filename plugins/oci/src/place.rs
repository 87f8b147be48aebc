//! Where a package is: `oci://HOST[:PORT]/REPOSITORY@sha256:HEX`, and `oci+http://` where there is no TLS. Where the newest
//! index is: `oci://HOST[:PORT]/REPOSITORY:index`.

use std::fmt;
use std::net::IpAddr;

use packets_plugin_api::ident::{Digest, escape};
use reqwest::Url;

use crate::limits::{MAX_LOCATION, MAX_NAME};

const SECURE: &str = "oci://";
const PLAIN: &str = "oci+http://";

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    registry: Url,
    name: String,
}

impl Repository {
    /// The repository `name` at `host`, which may have a port; `plain` without TLS.
    ///
    /// # Errors
    /// What is wrong with one of them, in a sentence.
    pub fn new(host: &str, name: &str, plain: bool) -> Result<Self, String> {
        if host.len() + name.len() > MAX_LOCATION {
            return Err(format!("the address of the repository is longer than {MAX_LOCATION} bytes"));
        }
        let shown = escape(host, 100);
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(may_stand) {
            return Err(format!("\"{shown}\" is no host of a registry"));
        }
        let scheme = if plain { "http" } else { "https" };
        let registry = Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|error| format!("\"{shown}\" is no host of a registry: {error}"))?;
        if registry.port() == Some(0) {
            return Err(format!("\"{shown}\" is no host of a registry: no server has the port 0"));
        }
        if !is_name(name) {
            return Err(format!(
                "\"{}\" is no name of a repository: a-z and 0-9, parted by '/' and single '.', '_', '__' or '-'",
                escape(name, 100)
            ));
        }
        Ok(Self { registry, name: name.to_owned() })
    }

    /// The root of the registry.
    pub fn registry(&self) -> &Url {
        &self.registry
    }

    /// The repository's name in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of something in the repository: `blobs/sha256:...`.
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.registry.clone();
        url.set_path(&format!("/v2/{}/{path}", self.name));
        url
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.registry.scheme() == "http" { PLAIN } else { SECURE };
        let host = self.registry.host_str().unwrap_or_default();
        match self.registry.port() {
            Some(port) => write!(f, "{scheme}{host}:{port}/{}", self.name),
            None => write!(f, "{scheme}{host}/{}", self.name),
        }
    }
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Where it is.
    pub repository: Repository,
    /// Which one it is.
    pub digest: Digest,
}

impl Blob {
    /// The blob at a location of an index, a config or a user.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn parse(location: &str) -> Result<Self, String> {
        let (repository, digest) = parted(location, "@sha256:")?;
        let digest = digest.parse().map_err(|error: packets_plugin_api::ident::ParseError| error.to_string())?;
        Ok(Self { repository, digest })
    }
}

/// The repository of a location, and what follows the last `sign`.
fn parted<'l>(location: &'l str, sign: &str) -> Result<(Repository, &'l str), String> {
    let wrong = || {
        let shown = escape(location, 100);
        format!("\"{shown}\" is neither oci://HOST/REPOSITORY@sha256:HEX nor oci://HOST/REPOSITORY:{INDEX_TAG}")
    };
    if location.len() > MAX_LOCATION {
        return Err(format!("the location is longer than {MAX_LOCATION} bytes"));
    }
    let (rest, plain) = match (location.strip_prefix(SECURE), location.strip_prefix(PLAIN)) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return Err(wrong()),
    };
    let (host, rest) = rest.split_once('/').ok_or_else(wrong)?;
    let (name, last) = rest.rsplit_once(sign).ok_or_else(wrong)?;
    Ok((Repository::new(host, name, plain)?, last))
}

/// The tag under which an index is pushed.
pub(crate) const INDEX_TAG: &str = "index";

/// The index of a repository, whichever that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestIndex {
    /// Where it is.
    pub repository: Repository,
}

impl NewestIndex {
    /// The index at a location of a config or a user.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn parse(location: &str) -> Result<Self, String> {
        match parted(location, ":")? {
            (repository, INDEX_TAG) => Ok(Self { repository }),
            (repository, tag) => {
                Err(format!("of {repository} only the tag {INDEX_TAG} is an index, and not \"{}\"", escape(tag, 100)))
            }
        }
    }
}

impl fmt::Display for NewestIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{INDEX_TAG}", self.repository)
    }
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@sha256:{}", self.repository, self.digest)
    }
}

/// Whether a repository may have this name (distribution specification, "Pulling manifests").
fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let separators = part.split(|c: char| c.is_ascii() && is_letter(c as u8)).filter(|text| !text.is_empty());
        let mut ends = part.bytes().next().into_iter().chain(part.bytes().next_back());
        !part.is_empty()
            && ends.all(is_letter)
            && separators.into_iter().all(|text| matches!(text, "." | "_" | "__") || text.bytes().all(|b| b == b'-'))
    };
    name.len() <= MAX_NAME && name.split('/').all(is_part)
}

/// Whether a URL leads to this very machine, whatever the resolver says.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn locations_are_read_strictly_and_written_as_they_were() {
        for good in ["oci://r.example/a", "oci+http://127.0.0.1:5000/team/x-y_z.1__2", "oci://[::1]:5000/a--b/c"] {
            let location = format!("{good}@sha256:{HEX}");
            let blob = Blob::parse(&location).unwrap();
            assert_eq!(blob.to_string(), location);
            assert!(blob.repository.url("blobs/x").as_str().contains("/v2/"), "{blob}");
        }
        for bad in [
            "oci:/a/b",
            "oci://a",
            "oci:///a",
            "http://a/b",
            "oci://a/",
            "oci://a/B",
            "oci://a/b/",
            "oci://a//b",
            "oci://a/../b",
            "oci://a/-b",
            "oci://a/b.",
            "oci://a/b..c",
            "oci://a/b___c",
            "oci://a/b%2fc",
            "oci://a/b?c",
            "oci://a/b\n",
            "oci://u:p@a/b",
            "oci://a:0/b",
            "oci://a:65536/b",
            "oci://a b/c",
            "oci://ä/b",
            "oci+https://a/b",
        ] {
            assert!(Blob::parse(&format!("{bad}@sha256:{HEX}")).is_err(), "{bad}");
        }
        for bad in ["", "@sha256:", "@sha512:00", ":tag", "@sha256:00"] {
            assert!(Blob::parse(&format!("oci://a/b{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_newest_index_is_the_one_tag_that_is_read() {
        for good in ["oci://r.example/a:index", "oci+http://127.0.0.1:5000/team/x:index", "oci://[::1]:5000/a:index"] {
            assert_eq!(NewestIndex::parse(good).unwrap().to_string(), good);
        }
        for bad in
            ["oci://a/b", "oci://a/b:", "oci://a/b:latest", "oci://a:index", "oci://a:5000/b", "http://a/b:index"]
        {
            assert!(NewestIndex::parse(bad).is_err(), "{bad}");
        }
        let blob = format!("oci://a/b@sha256:{HEX}");
        assert!(NewestIndex::parse(&blob).is_err() && Blob::parse("oci://a/b:index").is_err());
    }

    #[test]
    fn names_and_hosts_up_to_a_bound() {
        assert!(is_name(&"x".repeat(MAX_NAME)) && !is_name(&"x".repeat(MAX_NAME + 1)));
        let long = |host: usize| Repository::new(&"1".repeat(host), "a", false).unwrap_err();
        assert!(long(MAX_LOCATION).contains("longer than"), "{}", long(MAX_LOCATION));
        assert!(!long(MAX_LOCATION - 1).contains("longer than"), "{}", long(MAX_LOCATION - 1));
        let blob = |size: usize| format!("oci://a/{}@sha256:{HEX}", "x".repeat(size));
        let spare = MAX_LOCATION - blob(0).len();
        assert!(!Blob::parse(&blob(spare)).unwrap_err().contains("the location is longer"));
        assert!(Blob::parse(&blob(spare + 1)).unwrap_err().contains("the location is longer"));
    }

    #[test]
    fn this_machine_is_known_by_its_number_alone() {
        let is = |host: &str| is_this_machine(&Url::parse(&format!("http://{host}/")).unwrap());
        assert!(is("127.0.0.1:5000") && is("127.1.2.3") && is("[::1]"));
        assert!(!is("localhost") && !is("10.0.0.1") && !is("127.0.0.1.example"));
    }
}
