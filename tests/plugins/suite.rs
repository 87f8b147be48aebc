//! All promises of a source, held against plugins in their workers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use packets_host::config::Config;
use packets_host::plugin;
use packets_plugin_api::conformance::fetch::{Served, fetch_source_suite};
use packets_plugin_api::fetch::FetchSource;
use packets_tests::{Registry, Reply, Server, program, workspace};

use super::{Scene, examples, oci};

/// A plugin that was added, as the program has it; its worker is the program.
fn source(scene: &Scene, name: &str) -> Arc<dyn FetchSource> {
    let config = Config::parse(&scene.config(), "config.toml").unwrap();
    plugin::source(&config.plugins, name, &program()).unwrap()
}

/// Where something is, as the plugin calls it, and as it is asked of the server.
type Place<'a> = &'a dyn Fn(&Server, usize) -> (String, String);

fn keeps_its_promises(source: &dyn FetchSource, place: Place<'_>) {
    let (server, next) = (Server::start(), AtomicUsize::new(0));
    let has_been_silent = AtomicUsize::new(0);
    fetch_source_suite(source, &|served| {
        let (location, path) = place(&server, next.fetch_add(1, Ordering::SeqCst));
        let reply = match served {
            Served::Whole(bytes) => Reply::Bytes(bytes.to_vec()),
            Served::Truncated(bytes, come) => Reply::Cut(bytes.to_vec(), come),
            // Whoever waits half a minute for each has the suite wait for minutes: once it is seen.
            Served::Silent(bytes, come) if come == bytes.len() / 2 => {
                has_been_silent.fetch_add(1, Ordering::SeqCst);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
                Reply::Silent([head.as_bytes(), &bytes[..come]].concat())
            }
            Served::Silent(..) => return None,
            Served::Absent => Reply::Status(404),
        };
        server.set(&path, reply);
        Some(location)
    });
    assert_eq!(has_been_silent.into_inner(), 1);
}

/// Files of a web server, as the examples name them.
fn files(name: &str) -> impl Fn(&Server, usize) -> (String, String) {
    let scheme = format!("{name}://");
    move |server, number| {
        let path = format!("/{number}");
        (server.url(&path).replace("http://", &scheme), path)
    }
}

fn added(scene: &Scene, library: &Path, sidecar: &Path) {
    let beside = library.with_file_name("plugin.toml");
    fs::copy(sidecar.join("plugin.toml"), beside).unwrap();
    scene.add(library).ok();
}

#[test]
fn the_example_in_c_behind_its_worker() {
    let Some(scene) = Scene::new() else { return };
    let example = workspace().join("plugin-api/examples/c");
    added(&scene, &scene.compile(&example.join("plugin.c"), "plain-c", &[]), &example);
    keeps_its_promises(&*source(&scene, "plain-c"), &files("plain-c"));
}

#[test]
fn the_example_in_rust_behind_its_worker() {
    let scene = Scene::with(PathBuf::new());
    let example = workspace().join("plugin-api/examples/rust");
    let Some(library) = examples::built_by_cargo(&scene, &example, &["--locked"]) else { return };
    added(&scene, &library, &example);
    keeps_its_promises(&*source(&scene, "plain-rust"), &files("plain-rust"));
}

#[test]
fn registries_behind_their_worker() {
    let scene = oci::scene("", "");
    keeps_its_promises(&*source(&scene, "oci"), &|server, number| {
        let path = format!("/v2/{}/blobs/sha256:{number:064x}", Registry::REPOSITORY);
        let address = server.url("").replace("http://", "oci+http://");
        (format!("{address}/{}@sha256:{number:064x}", Registry::REPOSITORY), path)
    });
}
