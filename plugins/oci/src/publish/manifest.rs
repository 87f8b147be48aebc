//! The manifests of what is published: the same file and name always give the same bytes.

use packets_plugin_api::ident::Digest;
use packets_plugin_api::publish::{Publication, PublicationKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::client::MANIFEST;

/// The bytes of a configuration that says nothing.
pub(super) const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const PACKAGE: &str = "application/vnd.packets.package.v1";
const PACKAGE_FILE: &str = "application/vnd.packets.package.v1.tar+zstd";
const INDEX: &str = "application/vnd.packets.index.v1";
const INDEX_FILE: &str = "application/vnd.packets.index.v1.sqlite3";

/// How a manifest says what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// By `artifactType` (image specification 1.1).
    Artifact,
    /// By the type of its configuration, for registries that are older than that.
    Configuration,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    artifact_type: String,
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    annotations: Annotations,
}

/// Of those that the image specification knows beforehand, the two that matter.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Annotations {
    #[serde(rename = "org.opencontainers.image.title", default, skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(rename = "org.opencontainers.image.version", default, skip_serializing_if = "String::is_empty")]
    version: String,
}

impl Annotations {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn of(what: &Publication<'_>) -> Self {
        Self { title: what.name.to_owned(), version: what.version.unwrap_or_default().to_owned() }
    }
}

impl Form {
    /// The newest first.
    pub(super) const ALL: [Self; 2] = [Self::Artifact, Self::Configuration];

    /// The bytes of a manifest.
    pub(super) fn write(self, what: &Publication<'_>) -> Vec<u8> {
        let (kind, file) = types(what.kind);
        let (artifact_type, config) = match self {
            Self::Artifact => (kind, EMPTY_TYPE),
            Self::Configuration => ("", kind),
        };
        let descriptor = |media_type: &str, digest: Digest, size: u64, title: &str| Descriptor {
            media_type: media_type.to_owned(),
            digest: format!("sha256:{digest}"),
            size,
            annotations: Annotations { title: title.to_owned(), version: String::new() },
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: artifact_type.to_owned(),
            config: descriptor(config, digest(EMPTY), EMPTY.len() as u64, ""),
            layers: vec![descriptor(file, what.digest, what.size, what.file_name)],
            annotations: Annotations::of(what),
        };
        // Texts and numbers can always be written.
        serde_json::to_vec(&manifest).unwrap_or_default()
    }
}

fn types(kind: PublicationKind) -> (&'static str, &'static str) {
    match kind {
        PublicationKind::Package => (PACKAGE, PACKAGE_FILE),
        PublicationKind::Index => (INDEX, INDEX_FILE),
    }
}

/// Whether these bytes are a manifest of the same name, whatever file it is of.
pub(super) fn is_earlier(bytes: &[u8], what: &Publication<'_>) -> bool {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else { return false };
    let kind = types(what.kind).0;
    let is_kind = manifest.artifact_type == kind || manifest.config.media_type == kind;
    is_kind && manifest.annotations == Annotations::of(what)
}

/// The file of the index that these bytes are a manifest of.
pub(crate) fn index_of(bytes: &[u8]) -> Option<Digest> {
    let manifest = serde_json::from_slice::<Manifest>(bytes).ok()?;
    let is_index = manifest.artifact_type == INDEX || manifest.config.media_type == INDEX;
    let [file] = manifest.layers.as_slice() else { return None };
    file.digest.strip_prefix("sha256:").filter(|_| is_index)?.parse().ok()
}

/// The SHA-256 of bytes that are at hand.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_says_what_it_is_in_both_forms() {
        let file = tempfile::tempfile().unwrap();
        let what = Publication {
            kind: PublicationKind::Package,
            name: "tool",
            version: Some("1"),
            file_name: "tool-1.pkt.tar.zst",
            digest: Digest::from_bytes([0; 32]),
            size: 7,
            file: &file,
        };
        let zeros = "0".repeat(64);
        let common = format!(
            r#""layers":[{{"mediaType":"application/vnd.packets.package.v1.tar+zstd","digest":"sha256:{zeros}","size":7,"annotations":{{"org.opencontainers.image.title":"tool-1.pkt.tar.zst"}}}}],"annotations":{{"org.opencontainers.image.title":"tool","org.opencontainers.image.version":"1"}}}}"#
        );
        // The empty descriptor's digest stands in the image specification.
        let empty = r#""digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;
        let head = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#;
        let text = |form: Form| String::from_utf8(form.write(&what)).unwrap();
        assert_eq!(
            text(Form::Artifact),
            format!(
                r#"{head}"artifactType":"application/vnd.packets.package.v1","config":{{"mediaType":"application/vnd.oci.empty.v1+json",{empty},{common}"#
            )
        );
        assert_eq!(
            text(Form::Configuration),
            format!(r#"{head}"config":{{"mediaType":"application/vnd.packets.package.v1",{empty},{common}"#)
        );
        for form in Form::ALL {
            let other = Publication { digest: Digest::from_bytes([1; 32]), ..what };
            assert!(is_earlier(&form.write(&other), &what), "{form:?}");
            for other in [
                Publication { name: "tools", ..what },
                Publication { version: Some("2"), ..what },
                Publication { kind: PublicationKind::Index, ..what },
            ] {
                assert!(!is_earlier(&form.write(&other), &what), "{other:?}");
            }
        }
        for bytes in [&b""[..], b"{}", b"[]", b"\xff", br#"{"schemaVersion":2,"config":{}}"#] {
            assert!(!is_earlier(bytes, &what));
            assert_eq!(index_of(bytes), None);
        }
        for form in Form::ALL {
            let index = Publication { kind: PublicationKind::Index, ..what };
            assert_eq!(index_of(&form.write(&index)), Some(what.digest), "{form:?}");
            assert_eq!(index_of(&form.write(&what)), None, "a package is no index");
        }
    }
}
