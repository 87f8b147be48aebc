//! The plugin as a place to fetch from.

use std::ops::ControlFlow;

use packets_plugin_api::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};

use crate::client::{Client, Manifest};
use crate::place::{Blob, INDEX_TAG, NewestIndex, Repository};
use crate::publish::manifest;

/// The repository of the config, and all others that an index names.
#[derive(Debug)]
pub struct OciSource {
    client: Client,
    repository: Option<Repository>,
}

impl OciSource {
    /// A source that looks for every package in `repository`, where there is one.
    pub fn new(client: Client, repository: Option<Repository>) -> Self {
        Self { client, repository }
    }
}

impl OciSource {
    /// The blob that a location names, or that is the newest index.
    fn blob_at(&self, location: &str) -> Result<Blob, FetchError> {
        let bad = |problem| FetchError::new(FetchErrorKind::BadLocation, problem);
        let Ok(newest) = NewestIndex::parse(location) else { return Blob::parse(location).map_err(bad) };
        let repository = newest.repository.clone();
        match self.client.manifest(&repository, INDEX_TAG, false)? {
            Manifest::Absent => Err(FetchError::new(FetchErrorKind::NotFound, format!("there is no {newest}"))),
            Manifest::Is(bytes) => match manifest::index_of(&bytes) {
                Some(digest) => Ok(Blob { repository, digest }),
                None => Err(FetchError::new(FetchErrorKind::Protocol, format!("{newest} is no index of packages"))),
            },
        }
    }
}

impl FetchSource for OciSource {
    fn name(&self) -> &str {
        "oci"
    }

    fn claims(&self, location: &str) -> bool {
        Blob::parse(location).is_ok() || NewestIndex::parse(location).is_ok()
    }

    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        let own = self.repository.as_ref();
        let own = own.map(|repository| Blob { repository: repository.clone(), digest: want.digest }.to_string());
        let mirrors = want.mirrors.iter().filter(|mirror| Blob::parse(mirror).is_ok() && Some(*mirror) != own.as_ref());
        for location in own.iter().chain(mirrors) {
            if found(Candidate::at(location)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        let blob = self.blob_at(&from.location)?;
        // A digest has one version only, and an interrupted transfer of it can be continued anywhere.
        let version = format!("sha256:{}", blob.digest);
        if from.version.as_ref().is_some_and(|wanted| *wanted != version) {
            let message = format!("{blob} is not the version of which a part has come");
            return Err(FetchError::new(FetchErrorKind::NoSuchRange, message));
        }
        let (reader, size) = self.client.blob(&blob, offset)?;
        Ok(Opened { reader, size, version: Some(version), file: None })
    }
}
