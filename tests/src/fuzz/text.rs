//! Manifests, configs, versions, and the messages of hooks.

use std::cmp::Ordering;

use packets_host::config::Config;
use packets_host::error::ErrorKind;
use packets_host::manifest::Manifest;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::version::Version;
use packets_wire::{Outcome, Request, Response, Start, decode, encode};
use serde::{Deserialize, Serialize};

use crate::package::Package;

pub(super) fn manifest(bytes: &[u8]) {
    match Manifest::parse(bytes) {
        Ok((manifest, warnings)) => {
            let again = Manifest::parse(bytes).expect("the same bytes are a manifest twice");
            assert_eq!((manifest, warnings), again);
        }
        Err(error) => assert!(matches!(error.kind(), ErrorKind::Integrity | ErrorKind::Request), "{error}"),
    }
}

pub(super) fn manifests() -> Vec<Vec<u8>> {
    let full = "[Info]\nname = \"nginx\"\nversion = \"1.29.1\"\ndescription = \"d\"\n\
        dependencies = [\"pcre2\", \"zlib>=1.3 | zlib-ng\"]\nauthor = \"a\"\nfamily = \"f\"\nserial = 3\nalias = \"web\"\n\
        conflicts = [\"x<2\"]\nprovides = [\"httpd\"]\nlicense = \"MIT\"\nhomepage = \"h\"\narch = \"x86_64\"\n\
        installed_size = 12\n[Hooks]\ninstall = \"scripts/install.lua\"\nremove = \"remove.lua\"\n[Permissions]\n\
        write = [\"/etc/nginx\"]\nread = [\"/usr/share\"]\nreplace = [\"/usr/bin/x\"]\n";
    let made = Package::program("tool", "1").entries();
    let made = made.iter().find(|entry| entry.name == b"manifest.toml").map(|entry| entry.content.clone());
    [full.as_bytes().to_vec()].into_iter().chain(made).collect()
}

pub(super) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = Config::parse(text, "config.toml") {
        assert_eq!(error.kind(), ErrorKind::Request, "{error}");
        let whole = std::iter::once(error.message()).chain(error.causes().iter().map(String::as_str));
        assert!(whole.into_iter().any(|part| part.contains("config.toml")), "names no file: {error}");
    }
}

pub(super) fn configs() -> Vec<Vec<u8>> {
    let ours = "[Sync]\nurl = \"https://example.org/index.db\"\n[Fetch]\nsources = [\"cache\", \"http\"]\n[Sandbox]\n\
        allow = [\"${binDir}\", \"/usr/share/${name}\"]\nmemory = \"64MiB\"\ncpu = \"5s\"\nwall = \"30s\"\n\
        onDenied = \"warn\"\n[[Sandbox.grant]]\npackage = \"nginx\"\nfamily = \"f\"\nwrite = [\"/etc/nginx\"]\n\
        [History]\nkeep = 1\ndays = -1\n";
    vec![crate::v1::CONFIG.into(), ours.into()]
}

/// Three versions, or a requirement.
pub(super) fn version(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(requirement) = text.parse::<Requirement>() {
        let again: Requirement = requirement.to_string().parse().expect("it is read as it is written");
        assert_eq!(again, requirement);
    }
    let versions: Vec<Version> = text.split('\n').take(3).filter_map(|part| part.parse().ok()).collect();
    for one in &versions {
        assert_eq!(&one.to_string().parse::<Version>().expect("it is read as it is written"), one);
        assert_eq!(one.cmp(one), Ordering::Equal);
        for other in &versions {
            assert_eq!(one.cmp(other), other.cmp(one).reverse(), "{one} {other}");
            for third in &versions {
                let is_chain = one <= other && other <= third;
                assert!(!is_chain || one <= third, "{one} {other} {third}");
            }
        }
    }
}

pub(super) fn versions() -> Vec<Vec<u8>> {
    ["1.2.3\n1.2.3~rc1\n1:0-1", "zlib>=1.3 | zlib-ng=2", "1.10\n1.9\n1.09", "a+b.c-1\n0\n00"].map(Into::into).into()
}

fn message<'a, M: Deserialize<'a> + Serialize + PartialEq + std::fmt::Debug>(bytes: &'a [u8]) -> bool {
    let Some(message) = decode::<M>(bytes) else { return false };
    let written = encode(&message, Vec::new()).expect("what was read can be written");
    // What is written is read for as long as the caller's bytes live, so it is compared as bytes.
    assert!(written.len() <= bytes.len(), "{message:?} grows");
    true
}

/// What a guest that lies may send, and what it may be sent.
pub(super) fn wire(bytes: &[u8]) {
    message::<Request<'_>>(bytes);
    message::<Response<'_>>(bytes);
    message::<Outcome<'_>>(bytes);
    message::<Start<'_>>(bytes);
}

pub(super) fn messages() -> Vec<Vec<u8>> {
    use packets_wire::{Call, From};
    let seek = Request { line: 7, call: Call::Seek { file: 3, from: From::End, offset: i64::MIN } };
    let log = Request { line: 1, call: Call::Log { text: "hello" } };
    [seek, log].iter().filter_map(|request| encode(request, Vec::new())).collect()
}
