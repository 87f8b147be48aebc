//! A registry with packages in it, put there by requests that are written out here.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::bytes::hash;
use crate::real_server::RealServer;

/// How a registry with accounts knows [`Registry::PASSWORD`]: its bcrypt.
const HASHED: &str = "$2b$05$abcdefghijklmnopqrstuu1DXodogeSB3B7JNulSv.pdUxyJA088W";

/// Docker's registry; it is ended when this is dropped.
#[derive(Debug)]
pub struct Registry {
    server: RealServer,
    authorization: &'static str,
    home: TempDir,
}

impl Registry {
    /// The repository that everything is put into.
    pub const REPOSITORY: &str = "team/packages";
    /// The user of a registry with accounts.
    pub const USER: &str = "reader";
    /// Their password.
    pub const PASSWORD: &str = "hush hush";

    /// None where the machine has no such program.
    pub fn start() -> Option<Self> {
        Self::with(tempfile::tempdir().unwrap(), "", "")
    }

    /// One that only [`Registry::USER`] may read.
    pub fn with_accounts() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let accounts = home.path().join("accounts");
        fs::write(&accounts, format!("{}:{HASHED}\n", Self::USER)).unwrap();
        let lines = format!("auth: {{htpasswd: {{realm: packages, path: {accounts:?}}}}}");
        // The user and the password in base64.
        Self::with(home, &lines, "Authorization: Basic cmVhZGVyOmh1c2ggaHVzaA==\r\n")
    }

    fn with(home: TempDir, lines: &str, authorization: &'static str) -> Option<Self> {
        fs::create_dir(home.path().join("blobs")).unwrap();
        let server = RealServer::registry(&home.path().join("blobs"), lines, "")?;
        Some(Self { server, authorization, home })
    }

    /// A second one with the same packages, and with TLS.
    pub fn with_tls(&self, certificate: &Path, key: &Path) -> Option<RealServer> {
        let http = format!("  tls: {{certificate: {certificate:?}, key: {key:?}}}");
        RealServer::registry(&self.home.path().join("blobs"), "", &http)
    }

    /// The folder of everything that it holds.
    pub fn blobs(&self) -> PathBuf {
        self.home.path().join("blobs")
    }

    /// A second one with the same files, which takes none.
    pub fn read_only(&self) -> Option<RealServer> {
        RealServer::registry_with(&self.blobs(), ", maintenance: {readonly: {enabled: true}}", "", "")
    }

    /// The manifest of a tag; none where there is none.
    pub fn manifest(&self, tag: &str) -> Option<serde_json::Value> {
        let (status, _, body) = self.ask("GET", &format!("/v2/{}/manifests/{tag}", Self::REPOSITORY), "", b"");
        (status == 200).then(|| serde_json::from_slice(&body).unwrap())
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The status, the head and the body of the reply to one request.
    fn ask(&self, method: &str, target: &str, kind: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        let (size, login) = (body.len(), self.authorization);
        let head = format!(
            "{method} {target} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nContent-Type: {kind}\r\nAccept: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: {size}\r\n{login}\r\n",
            self.port()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let end = reply.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(reply[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, reply[end + 4..].to_vec())
    }

    /// Uploads a blob (distribution specification, "POST then PUT"); its SHA-256.
    pub fn put_blob(&self, bytes: &[u8]) -> String {
        let (status, head, _) = self.ask("POST", &format!("/v2/{}/blobs/uploads/", Self::REPOSITORY), "", b"");
        assert_eq!(status, 202, "{head}");
        let location = head.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
        let target = &location[location.find("/v2/").unwrap()..];
        let digest = hash(bytes);
        let target = format!("{target}&digest=sha256:{digest}");
        let (status, head, _) = self.ask("PUT", &target, "application/octet-stream", bytes);
        assert_eq!(status, 201, "{head}");
        digest
    }

    /// Uploads a package, with a manifest that keeps it from being collected as garbage.
    pub fn put_package(&self, file: &Path, tag: &str) -> String {
        let bytes = fs::read(file).unwrap();
        let (digest, empty) = (self.put_blob(&bytes), self.put_blob(b"{}"));
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "artifactType":"application/vnd.packets.package.v1",
            "config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:{empty}","size":2}},
            "layers":[{{"mediaType":"application/vnd.packets.package.v1.tar+zstd","digest":"sha256:{digest}","size":{}}}]}}"#,
            bytes.len()
        );
        let target = format!("/v2/{}/manifests/{tag}", Self::REPOSITORY);
        let (status, head, body) =
            self.ask("PUT", &target, "application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
        assert_eq!(status, 201, "{head}\n{}", String::from_utf8_lossy(&body));
        digest
    }
}
