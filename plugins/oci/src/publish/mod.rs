//! Publishing: each file is a blob, and a manifest of its own under a tag of its own, so that a registry keeps it and
//! other programs know what it is (image specification 1.1, "Guidelines for Artifact Usage").

pub(crate) mod manifest;
mod tag;

use std::sync::Arc;

use packets_plugin_api::fetch::{FetchError, FetchErrorKind};
use packets_plugin_api::ident::Digest;
use packets_plugin_api::native::Settings;
use packets_plugin_api::publish::{How, Publication, Published, Publisher, Standing};
use packets_plugin_api::registry::{DuplicateName, Plugin, Registry};

use crate::client::{Client, Manifest, Taken};
use crate::place::{Blob, Repository};
use crate::settings;
use manifest::{EMPTY, Form};

/// What is compiled in: the way to publish. To fetch, the plugin is loaded from its file.
#[derive(Debug)]
pub struct OciPublish;

impl Plugin for OciPublish {
    fn register(&self, registry: &mut Registry) -> Result<(), DuplicateName> {
        registry.add_publish("oci", make)
    }
}

fn make(settings: &Settings) -> Result<Arc<dyn Publisher>, String> {
    let (client, repository) = settings::parts(settings)?;
    let repository = repository.ok_or("its config names no registry and repository")?;
    Ok(Arc::new(OciPublisher { client, repository }))
}

/// One repository, to which everything goes.
#[derive(Debug)]
pub struct OciPublisher {
    client: Client,
    repository: Repository,
}

impl OciPublisher {
    /// One that publishes to `repository`.
    pub fn new(client: Client, repository: Repository) -> Self {
        Self { client, repository }
    }

    fn blob(&self, digest: Digest) -> Blob {
        Blob { repository: self.repository.clone(), digest }
    }

    /// What the tag stands for, against what it is going to stand for.
    fn standing(&self, tag: &str, what: &Publication<'_>, writes: bool) -> Result<Standing, FetchError> {
        let bytes = match self.client.manifest(&self.repository, tag, writes)? {
            Manifest::Absent => return Ok(Standing::New),
            Manifest::Is(bytes) => bytes,
        };
        if Form::ALL.iter().any(|form| form.write(what) == bytes) {
            return Ok(Standing::Present);
        }
        if manifest::is_earlier(&bytes, what) {
            return Ok(Standing::Replaced);
        }
        let message = format!("{}:{tag} is something else, which stays as it is", self.repository);
        Err(FetchError::new(FetchErrorKind::Denied, message).because("it is no earlier publication of the same name"))
    }

    /// The manifest, as the newest rules want it; where the registry knows only older ones, by those.
    fn name_it(&self, tag: &str, what: &Publication<'_>) -> Result<(), FetchError> {
        let mut refused = None;
        for form in Form::ALL {
            let bytes = form.write(what);
            match self.client.put_manifest(&self.repository, tag, &bytes, &manifest::digest(&bytes))? {
                Taken::Yes => return Ok(()),
                Taken::NotOfThisForm(error) => refused = refused.or(Some(error)),
            }
        }
        refused.map_or(Ok(()), Err)
    }
}

impl Publisher for OciPublisher {
    fn place(&self) -> String {
        self.repository.to_string()
    }

    fn location(&self, digest: &Digest) -> String {
        self.blob(*digest).to_string()
    }

    fn publish(&self, what: &Publication<'_>, how: How) -> Result<Published, FetchError> {
        let (tag, writes) = (tag::of(what), how == How::Act);
        let blob = self.blob(what.digest);
        let has_blob = self.client.has_blob(&blob, what.size, writes)?;
        let standing = self.standing(&tag, what, writes)?;
        if writes && !has_blob {
            self.client.put_blob(&blob, what.file, what.size)?;
        }
        if writes && standing != Standing::Present {
            let empty = self.blob(manifest::digest(EMPTY));
            if !self.client.has_blob(&empty, EMPTY.len() as u64, true)? {
                self.client.put_bytes(&empty, EMPTY)?;
            }
            self.name_it(&tag, what)?;
        }
        Ok(Published { tag, standing, sent: if has_blob { 0 } else { what.size } })
    }
}
