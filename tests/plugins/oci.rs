//! The plugin for OCI registries in its worker, against a registry as they are in use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use packets_tests::{Package, Registry, Reply, Server, hash, noise, workspace};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::Scene;

/// The plugin as cargo has built it for these tests, beside its `plugin.toml`.
fn library(scene: &Scene) -> PathBuf {
    let built = std::env::current_exe().unwrap().with_file_name("libpackets_plugin_oci.so");
    let folder = scene.environment.place().join("oci");
    fs::create_dir_all(&folder).unwrap();
    let library = folder.join("plugin.so");
    fs::copy(built, &library).unwrap();
    let sidecar = workspace().join("plugins/oci/plugin.toml");
    fs::copy(sidecar, folder.join("plugin.toml")).unwrap();
    library
}

/// A root with the plugin, whose tables of the config have these lines.
pub(super) fn scene(config: &str, secrets: &str) -> Scene {
    let scene = Scene::with(PathBuf::new());
    scene.add(&library(&scene)).ok();
    let more = format!("\n[Plugins.oci.config]\n{config}\n[Plugins.oci.secrets]\n{secrets}\n");
    fs::write(&scene.config, scene.config() + &more).unwrap();
    scene
}

/// The package `tool` in an index.
fn tool(scene: &Scene) -> (PathBuf, PathBuf) {
    indexed(scene, &Package::program("tool", "1"))
}

/// A package's file, and an index of it that lies where the file does not.
fn indexed(scene: &Scene, package: &Package) -> (PathBuf, PathBuf) {
    let repo = scene.environment.repo();
    let file = package.file(&repo);
    scene.environment.run_plain(&["index", repo.to_str().unwrap()]).ok();
    let elsewhere = scene.environment.place().join("index");
    fs::create_dir_all(&elsewhere).unwrap();
    let index = elsewhere.join("index.db");
    fs::copy(repo.join("index.db"), &index).unwrap();
    (file, index)
}

fn of(registry: &Registry) -> String {
    at(registry.port())
}

/// The lines of a config for the registry at this port.
pub(super) fn at(port: u16) -> String {
    format!("registry = \"localhost:{port}\"\nrepository = \"{}\"\nplain = true", Registry::REPOSITORY)
}

#[test]
fn a_package_is_found_by_its_hash_in_a_registry() {
    let Some(registry) = Registry::start() else { return };
    let scene = scene(&of(&registry), "");
    let (file, index) = tool(&scene);
    let arguments = ["--repo", index.to_str().unwrap(), "install", "tool"];
    let absent = scene.run(&arguments);
    assert!(absent.code != 0 && absent.stderr.contains("404"), "{absent}");
    registry.put_package(&file, "tool-1");
    let installed = scene.run(&arguments).ok();
    assert_eq!(scene.environment.launch("usr/bin/tool", &[]), "tool 1\n", "{installed}");
}

#[test]
fn a_registry_with_accounts() {
    let home = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::with_accounts() else { return };
    let secret = home.path().join("password");
    let write = |text: &str| {
        fs::write(&secret, text).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let config = of(&registry).replace("localhost", "127.0.0.1");
    let scene =
        scene(&format!("{config}\nuser = \"{}\"", Registry::USER), &format!("password = {{ file = {secret:?} }}"));
    let (file, index) = tool(&scene);
    registry.put_package(&file, "tool-1");
    let arguments = ["--repo", index.to_str().unwrap(), "install", "tool"];
    write("wrong words\n");
    let denied = scene.run(&arguments);
    assert!(denied.code != 0 && denied.stderr.contains("401"), "{denied}");
    assert!(!denied.stderr.contains("wrong words"), "{denied}");
    write(&format!("{}\n", Registry::PASSWORD));
    let installed = scene.run(&arguments).ok();
    assert_eq!(scene.environment.launch("usr/bin/tool", &[]), "tool 1\n");
    for output in [&installed, &scene.run(&["config", "show"]).ok()] {
        let text = format!("{output}");
        assert!(!text.contains(Registry::PASSWORD), "{text}");
    }
}

#[test]
fn the_plugin_keeps_its_promises_with_a_registry() {
    let Some(registry) = Registry::start() else { return };
    let scene = scene("", "");
    let bytes = noise(3_000_001);
    let digest = registry.put_blob(&bytes);
    let file = scene.environment.work().join("file");
    fs::write(&file, &bytes).unwrap();
    let location = format!("oci+http://localhost:{}/{}@sha256:{digest}", registry.port(), Registry::REPOSITORY);
    let arguments = ["plugin", "check", "oci", "--location", &location, "--file", file.to_str().unwrap()];
    let checked = scene.run(&arguments).ok();
    assert!(checked.stdout.contains("the right 3000001 bytes, from any offset"), "{checked}");
    let other = location.replace(&digest, &"0".repeat(64));
    scene.run(&["plugin", "check", "oci", "--location", &other, "--file", file.to_str().unwrap()]).fails(1).says("404");
}

#[test]
fn a_config_that_makes_no_sense_is_told_of() {
    let scene = scene("registry = \"r.example\"\nrepository = \"Team\"", "");
    scene.run(&["plugin", "check", "oci"]).fails(4).says("\"Team\" is no name of a repository");
}

#[test]
fn a_registry_with_tls() {
    let Some(registry) = Registry::start() else { return };
    let home = tempfile::tempdir().unwrap();
    // The worker is another user.
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let [authority, certificate, key] = ["authority", "certificate", "key"].map(|name| home.path().join(name));
    certify(&authority, &certificate, &key);
    let secure = registry.with_tls(&certificate, &key).unwrap();
    let scene =
        scene(&format!("registry = \"localhost:{}\"\nrepository = \"{}\"", secure.port(), Registry::REPOSITORY), "");
    let (file, index) = tool(&scene);
    registry.put_package(&file, "tool-1");
    let mut command = scene.environment.command();
    command.arg("--root").arg(scene.environment.root()).arg("--config").arg(&scene.config);
    command.args(["--yes", "--repo", index.to_str().unwrap(), "install", "tool"]);
    // Of an authority that this machine does not know.
    let strange = command.output().unwrap();
    let said = String::from_utf8_lossy(&strange.stderr);
    assert!(!strange.status.success() && said.contains("certificate"), "{said}");
    assert!(!scene.environment.exists("usr/bin/tool"));
    let known = command.env("SSL_CERT_FILE", &authority).output().unwrap();
    assert!(known.status.success(), "{}", String::from_utf8_lossy(&known.stderr));
    assert_eq!(scene.environment.launch("usr/bin/tool", &[]), "tool 1\n");
}

/// Writes a certificate for `localhost`, its key, and the certificate of the authority behind it.
fn certify(authority: &Path, certificate: &Path, key: &Path) {
    let issuer = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(authority, params.self_signed(&issuer).unwrap().pem()).unwrap();
    let own = KeyPair::generate().unwrap();
    let signed = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let signed = signed.signed_by(&own, &Issuer::new(params, issuer)).unwrap();
    fs::write(certificate, signed.pem()).unwrap();
    fs::write(key, own.serialize_pem()).unwrap();
}

/// A root whose registry is this server, with a package of more than a megabyte; the path of its blob, its bytes.
fn scripted(server: &Server) -> (Scene, PathBuf, String, Vec<u8>) {
    let address = server.url("").replace("http://", "");
    let config = format!("registry = \"{address}\"\nrepository = \"{}\"\nplain = true", Registry::REPOSITORY);
    let scene = scene(&config, "");
    let package = Package::program("tool", "1").bytes("noise", &noise(1_500_000));
    let (file, index) = indexed(&scene, &package);
    let bytes = fs::read(file).unwrap();
    (scene, index, format!("/v2/{}/blobs/sha256:{}", Registry::REPOSITORY, hash(&bytes)), bytes)
}

#[test]
fn a_transfer_that_breaks_off_is_continued() {
    let server = Server::start();
    let (scene, index, path, bytes) = scripted(&server);
    server.set(&path, Reply::Each(vec![Reply::Cut(bytes.clone(), 1_000_000), Reply::Bytes(bytes)]));
    scene.run(&["--repo", index.to_str().unwrap(), "install", "tool"]).ok();
    assert_eq!(scene.environment.launch("usr/bin/tool", &[]), "tool 1\n");
    let ranges: Vec<_> = server.requests().into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [None, Some("bytes=1000000-".to_owned())]);
}

#[test]
fn a_registry_with_other_bytes_installs_nothing() {
    let server = Server::start();
    let (scene, index, path, mut bytes) = scripted(&server);
    bytes[700_000] ^= 1;
    server.set(&path, Reply::Bytes(bytes));
    let before = scene.environment.system();
    let output = scene.run(&["--repo", index.to_str().unwrap(), "install", "tool"]);
    assert_eq!(output.code, 5, "{output}");
    assert_eq!(scene.environment.system(), before);
}

/// Installs `tool`, with a proxy for everything that is not TLS.
fn install_by_proxy(scene: &Scene, index: &Path, proxy: &Server) -> std::process::Output {
    let mut command = scene.environment.command();
    command.arg("--root").arg(scene.environment.root()).arg("--config").arg(&scene.config);
    command.args(["--yes", "--repo", index.to_str().unwrap(), "install", "tool"]);
    command.env("http_proxy", proxy.url("")).output().unwrap()
}

#[test]
fn a_registry_behind_a_proxy() {
    let proxy = Server::start();
    let config = format!("registry = \"registry.invalid\"\nrepository = \"{}\"\nplain = true", Registry::REPOSITORY);
    let scene = scene(&config, "");
    let (file, index) = tool(&scene);
    let bytes = fs::read(file).unwrap();
    let url = format!("http://registry.invalid/v2/{}/blobs/sha256:{}", Registry::REPOSITORY, hash(&bytes));
    proxy.set(&url, Reply::Bytes(bytes));
    let output = install_by_proxy(&scene, &index, &proxy);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(proxy.asked(), [url]);
}

#[test]
fn what_is_for_this_machine_goes_to_no_proxy() {
    let (server, proxy) = (Server::start(), Server::start());
    let (scene, index, path, bytes) = scripted(&server);
    server.set(&path, Reply::Bytes(bytes));
    let output = install_by_proxy(&scene, &index, &proxy);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((server.asked(), proxy.asked()), (vec![path], vec![]));
}
