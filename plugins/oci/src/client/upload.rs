//! What changes a repository: blobs and manifests that are put there, and how bytes are sent.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use packets_plugin_api::fetch::{FetchError, FetchErrorKind};
use packets_plugin_api::ident::{Digest, escape};
use reqwest::blocking::{self, RequestBuilder, Response};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::access::Scope;
use super::{Client, Request, redirect, reply};
use crate::limits::{MAX_ANSWER, SLOWEST_UPLOAD};
use crate::place::{Blob, Repository};

/// The digest that a registry has found out by itself.
const DIGEST: &str = "docker-content-digest";
/// The media type of manifests.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The bytes of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body<'a> {
    /// It is one that has none.
    None,
    /// These.
    Bytes(&'a [u8]),
    /// So many of a file.
    File(&'a File, u64),
}

impl Body<'_> {
    /// The request with these bytes, and with the time that they may take.
    pub(super) fn put_into(&self, builder: RequestBuilder, idle: Duration) -> Result<RequestBuilder, FetchError> {
        match self {
            Self::None => Ok(builder),
            Self::Bytes(bytes) => Ok(builder.body(bytes.to_vec())),
            Self::File(file, size) => {
                let file = file.try_clone().map_err(|error| {
                    FetchError::new(FetchErrorKind::BadLocation, "cannot read what is uploaded").because(error)
                })?;
                let body = blocking::Body::sized(FromStart { file, at: 0 }, *size);
                Ok(builder.timeout(time_for(*size, idle)).body(body))
            }
        }
    }

    /// Whether what is sent may follow a redirect: bytes go nowhere but to the server that they were meant for.
    pub(super) fn may_go(&self, response: &Response, from: &Url, to: &Url) -> Result<(), FetchError> {
        let keeps_method = matches!(response.status().as_u16(), 307 | 308);
        if matches!(self, Self::None) || (keeps_method && from.origin() == to.origin()) {
            return Ok(());
        }
        let message = format!("{} redirects what is sent to {}", redirect::shown(from), redirect::shown(to));
        Err(FetchError::new(FetchErrorKind::Protocol, message))
    }
}

/// How long an upload of so many bytes may take.
fn time_for(size: u64, idle: Duration) -> Duration {
    idle + Duration::from_secs(size / SLOWEST_UPLOAD)
}

/// A file from its beginning, wherever its handle stands.
#[derive(Debug)]
struct FromStart {
    file: File,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let came = self.file.read_at(buffer, self.at)?;
        self.at += came as u64;
        Ok(came)
    }
}

/// What a tag stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// Nothing.
    Absent,
    /// The manifest with these bytes.
    Is(Vec<u8>),
}

/// What became of a manifest that was sent.
#[derive(Debug)]
pub enum Taken {
    /// It is there.
    Yes,
    /// The registry does not take one of this form; why, in its words.
    NotOfThisForm(FetchError),
}

impl Client {
    /// Whether a repository has a blob; `writes` where one will be put there.
    ///
    /// # Errors
    /// By kind, with the place; also when something of another size is there.
    pub fn has_blob(&self, blob: &Blob, size: u64, writes: bool) -> Result<bool, FetchError> {
        let request = Request { method: Method::HEAD, headers: identity(), scope: scope(writes), body: Body::None };
        let url = blob.repository.url(&format!("blobs/sha256:{}", blob.digest));
        let response = self.send(&request, &blob.repository, url)?;
        match response.status().as_u16() {
            404 => return Ok(false),
            200 => {}
            _ => return Err(complaint(response, &blob.to_string())),
        }
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length != size) {
            let problem = format!("{blob} has {} bytes there, and {size} here", length.unwrap_or_default());
            return Err(FetchError::new(FetchErrorKind::Protocol, problem));
        }
        same_digest(&response, &blob.digest, &blob.to_string())?;
        Ok(true)
    }

    /// Uploads a file as this blob, in one piece (distribution specification, "POST then PUT").
    ///
    /// # Errors
    /// By kind, with the place.
    pub fn put_blob(&self, blob: &Blob, file: &File, size: u64) -> Result<(), FetchError> {
        self.upload(blob, Body::File(file, size))
    }

    /// The same with bytes that are at hand.
    ///
    /// # Errors
    /// As there.
    pub fn put_bytes(&self, blob: &Blob, bytes: &[u8]) -> Result<(), FetchError> {
        self.upload(blob, Body::Bytes(bytes))
    }

    fn upload(&self, blob: &Blob, body: Body<'_>) -> Result<(), FetchError> {
        let place = format!("the upload of {blob}");
        let begin = Request { method: Method::POST, headers: identity(), scope: Scope::Push, body: Body::Bytes(&[]) };
        let from = blob.repository.url("blobs/uploads/");
        let response = self.send(&begin, &blob.repository, from.clone())?;
        if response.status().as_u16() != 202 {
            return Err(complaint(response, &place));
        }
        let url = session(&response, &from, blob).map_err(|problem| {
            FetchError::new(FetchErrorKind::Protocol, format!("{} says no place for the upload", blob.repository))
                .because(problem)
        })?;
        let mut headers = identity();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let request = Request { method: Method::PUT, headers, scope: Scope::Push, body };
        let response = self.send(&request, &blob.repository, url)?;
        accepted(response, &blob.digest, &place)
    }

    /// What a tag stands for; `writes` where one will be put there.
    ///
    /// # Errors
    /// By kind, with the place.
    pub fn manifest(&self, repository: &Repository, tag: &str, writes: bool) -> Result<Manifest, FetchError> {
        let place = format!("{repository}:{tag}");
        let mut headers = identity();
        headers.insert(header::ACCEPT, HeaderValue::from_static(MANIFEST));
        let request = Request { method: Method::GET, headers, scope: scope(writes), body: Body::None };
        let response = self.send(&request, repository, repository.url(&format!("manifests/{tag}")))?;
        match response.status().as_u16() {
            404 => return Ok(Manifest::Absent),
            200 => {}
            _ => return Err(complaint(response, &place)),
        }
        let mut bytes = Vec::new();
        response.take(MAX_ANSWER + 1).read_to_end(&mut bytes).map_err(|error| {
            FetchError::new(FetchErrorKind::Unreachable, format!("{place} broke off")).because(error)
        })?;
        if bytes.len() as u64 > MAX_ANSWER {
            let message = format!("the manifest {place} has more than {MAX_ANSWER} bytes");
            return Err(FetchError::new(FetchErrorKind::Protocol, message));
        }
        Ok(Manifest::Is(bytes))
    }

    /// Lets a tag stand for this manifest.
    ///
    /// # Errors
    /// By kind, with the place.
    pub fn put_manifest(
        &self,
        repository: &Repository,
        tag: &str,
        bytes: &[u8],
        digest: &Digest,
    ) -> Result<Taken, FetchError> {
        let mut headers = identity();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MANIFEST));
        let request = Request { method: Method::PUT, headers, scope: Scope::Push, body: Body::Bytes(bytes) };
        let response = self.send(&request, repository, repository.url(&format!("manifests/{tag}")))?;
        let place = format!("the manifest {repository}:{tag}");
        match response.status().as_u16() {
            400 | 415 | 422 => Ok(Taken::NotOfThisForm(complaint(response, &place))),
            _ => accepted(response, digest, &place).map(|()| Taken::Yes),
        }
    }
}

fn scope(writes: bool) -> Scope {
    if writes { Scope::Push } else { Scope::Pull }
}

fn identity() -> HeaderMap {
    HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))])
}

/// Where the bytes of an upload go. It may be another server; that one sees no login.
fn session(response: &Response, from: &Url, blob: &Blob) -> Result<Url, String> {
    let mut targets = response.headers().get_all(header::LOCATION).iter();
    let (Some(target), None) = (targets.next(), targets.next()) else {
        return Err("it names not exactly one".to_owned());
    };
    let mut url = redirect::follow(from, target.as_bytes())?;
    url.set_fragment(None);
    url.query_pairs_mut().append_pair("digest", &format!("sha256:{}", blob.digest));
    Ok(url)
}

/// Whether what was sent is there now, and as what it was sent.
fn accepted(response: Response, digest: &Digest, place: &str) -> Result<(), FetchError> {
    match response.status().as_u16() {
        201 => same_digest(&response, digest, place),
        _ => Err(complaint(response, place)),
    }
}

/// The digest that the registry names must be ours; some name none.
fn same_digest(response: &Response, digest: &Digest, place: &str) -> Result<(), FetchError> {
    let ours = format!("sha256:{digest}");
    for said in response.headers().get_all(DIGEST) {
        // What it has found by another algorithm says nothing here.
        if said.as_bytes().starts_with(b"sha256:") && said.as_bytes() != ours.as_bytes() {
            let said = escape(&String::from_utf8_lossy(said.as_bytes()), 100);
            let message = format!("{place} was answered with another digest");
            return Err(FetchError::new(FetchErrorKind::Protocol, message).because(format!("{said}, and not {ours}")));
        }
    }
    Ok(())
}

/// Errors as registries tell them (distribution specification, "Error Codes").
#[derive(Deserialize)]
struct Complaint {
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Why a registry did not do it, with its own words where it has any.
fn complaint(response: Response, place: &str) -> FetchError {
    let error = reply::refused(&response, place);
    let mut text = Vec::new();
    if response.take(MAX_ANSWER).read_to_end(&mut text).is_err() {
        return error;
    }
    let Ok(Complaint { errors }) = serde_json::from_slice(&text) else { return error };
    match errors.first() {
        Some(Reason { code, message }) => error.because(format!("{}: {}", escape(code, 40), escape(message, 200))),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n12_the_time_of_an_upload_grows_with_its_size() {
        let idle = Duration::from_secs(30);
        assert_eq!(time_for(SLOWEST_UPLOAD - 1, idle), idle);
        assert_eq!(time_for(SLOWEST_UPLOAD, idle), Duration::from_secs(31));
        assert_eq!(time_for(u64::MAX, idle).as_secs(), 30 + u64::MAX / SLOWEST_UPLOAD);
    }

    #[test]
    fn a_file_is_sent_from_its_beginning() {
        use std::io::{Seek, Write};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let place = file.stream_position().unwrap();
        let mut text = String::new();
        FromStart { file: file.try_clone().unwrap(), at: 0 }.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), file.stream_position().unwrap()), ("0123456789", place));
    }
}
