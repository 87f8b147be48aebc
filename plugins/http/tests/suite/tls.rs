//! Certificates and proxies: each test runs its client in a process with an environment of its own.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use crate::support::{Server, Stream, at, get, is_child, ok, run_in_child, source, text};
use packets_plugin_api::fetch::{FetchErrorKind, FetchSource};
use packets_plugin_api::registry::FetchSettings;
use packets_plugin_http::HttpSource;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// A new one, its certificate written to `file`.
    fn new(file: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self(Issuer::new(params, key))
    }

    /// A server for `host`, whose certificate ends in `until`.
    fn server(&self, host: &str, until: i32, redirect: Option<String>) -> Server {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        serve(certificate, key, redirect)
    }
}

fn serve(certificate: rcgen::Certificate, key: KeyPair, redirect: Option<String>) -> Server {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let answer = move |_: &crate::support::Request, stream: &mut dyn Stream| match &redirect {
        Some(to) => {
            let reply = format!("HTTP/1.1 302 X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(reply.as_bytes()).is_ok()
        }
        None => stream.write_all(&ok(b"secure")).is_ok(),
    };
    Server::start_with(answer, move |stream: TcpStream| {
        let connection = ServerConnection::new(config.clone()).ok()?;
        Some(Box::new(StreamOwned::new(connection, stream)))
    })
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}

#[test]
fn n21_certificates_are_checked_against_the_systems_store() {
    if is_child() {
        let good = get(&source(), &variable("GOOD"), 0).unwrap_or_else(|error| panic!("{}", text(&error)));
        assert_eq!(good.unwrap(), b"secure");
        for name in ["EXPIRED", "WRONG_HOST", "SELF_SIGNED", "OTHER_AUTHORITY"] {
            let error = source().open(&at(variable(name)), 0).unwrap_err();
            assert_eq!(error.kind, FetchErrorKind::Protocol, "{name} {}", text(&error));
            assert!(text(&error).contains("certificate"), "{name} {}", text(&error));
        }
        // N13: down from https, though that server would answer.
        let error = source().open(&at(variable("DOWN")), 0).unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Protocol);
        assert!(text(&error).contains("leads from https"), "{}", text(&error));
        assert_eq!(get(&source(), &variable("UP"), 0).unwrap().unwrap(), b"secure");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let roots = home.path().join("roots.pem");
    let authority = Authority::new(&roots);
    let other = Authority::new(&home.path().join("other.pem"));
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let plain = Server::saying(ok(b"plain"));

    let good = authority.server("127.0.0.1", 2090, None);
    let secure = |server: &Server| server.url("/x").replace("http:", "https:");
    let up_to = secure(&good);
    let up = Server::saying(format!("HTTP/1.1 302 X\r\nLocation: {up_to}\r\nContent-Length: 0\r\n\r\n"));
    let expired = authority.server("127.0.0.1", 2001, None);
    let wrong_host = authority.server("other.example", 2090, None);
    let other_authority = other.server("127.0.0.1", 2090, None);
    let self_signed = serve(own, key, None);
    let down = authority.server("127.0.0.1", 2090, Some(plain.url("/")));
    run_in_child(&[
        ("SSL_CERT_FILE", roots.to_str().unwrap()),
        ("GOOD", &secure(&good)),
        ("EXPIRED", &secure(&expired)),
        ("WRONG_HOST", &secure(&wrong_host)),
        ("OTHER_AUTHORITY", &secure(&other_authority)),
        ("SELF_SIGNED", &secure(&self_signed)),
        ("DOWN", &secure(&down)),
        ("UP", &up.url("/")),
    ]);
    assert_eq!(plain.requests().len(), 0);
}

#[test]
fn n21_without_any_certificates_http_works_and_https_does_not() {
    if is_child() {
        let source = source();
        assert_eq!(get(&source, &variable("PLAIN"), 0).unwrap().unwrap(), b"plain");
        let error = source.open(&at(variable("SECURE")), 0).unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Protocol);
        assert!(text(&error).contains("No CA certificates"), "{}", text(&error));
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new(&home.path().join("roots.pem"));
    let secure = authority.server("127.0.0.1", 2090, None);
    let plain = Server::saying(ok(b"plain"));
    let empty = home.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    run_in_child(&[
        ("SSL_CERT_FILE", empty.to_str().unwrap()),
        ("PLAIN", &plain.url("/")),
        ("SECURE", &secure.url("/").replace("http:", "https:")),
    ]);
}

#[test]
fn n20_proxies_of_the_environment_are_used() {
    if is_child() {
        let settings = FetchSettings { user_agent: "packets-test/1".to_owned(), ..FetchSettings::default() };
        let came = get(&HttpSource::new(&settings), "http://mirror.invalid/x", 0);
        assert_eq!(came.unwrap().unwrap(), b"by proxy");
        // One for peers of the LAN, which no proxy can reach.
        assert_eq!(get(&source(), &variable("DIRECT"), 0).unwrap().unwrap(), b"direct");
        let error = source().open(&at("http://mirror.invalid/x"), 0).unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Unreachable);
        return;
    }
    let proxy = Server::saying(ok(b"by proxy"));
    let direct = Server::saying(ok(b"direct"));
    run_in_child(&[("http_proxy", &proxy.url("")), ("DIRECT", &direct.url("/"))]);
    let targets: Vec<_> = proxy.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["http://mirror.invalid/x"]);
}
