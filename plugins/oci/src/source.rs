//! The plugin as a place to fetch from.

use std::ops::ControlFlow;

use packets_plugin_api::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};

use crate::client::Client;
use crate::place::{Blob, Repository};

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

impl FetchSource for OciSource {
    fn name(&self) -> &str {
        "oci"
    }

    fn claims(&self, location: &str) -> bool {
        Blob::parse(location).is_ok()
    }

    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        let own = self.repository.as_ref();
        let own = own.map(|repository| Blob { repository: repository.clone(), digest: want.digest }.to_string());
        let mirrors = want.mirrors.iter().filter(|mirror| self.claims(mirror) && Some(*mirror) != own.as_ref());
        for location in own.iter().chain(mirrors) {
            if found(Candidate::at(location)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        let blob =
            Blob::parse(&from.location).map_err(|problem| FetchError::new(FetchErrorKind::BadLocation, problem))?;
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
