//! Packages that are pushed to a registry as they are in use, and come back through the plugin.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use packets_tests::{Output, Package, Registry, Snapshot, hash, noise};
use serde_json::Value;

use super::Scene;
use super::oci;

/// The lines of a config for the registry at this port.
fn config(port: u16) -> String {
    oci::at(port).replace("localhost", "127.0.0.1")
}

/// Three packages, one of them with more than a megabyte.
fn lay_out(scene: &Scene) {
    let repo = scene.environment.repo();
    Package::program("tool", "1").file(&repo);
    Package::program("other", "1:2~rc1").file(&repo);
    Package::program("large", "1").bytes("noise", &noise(1_500_000)).file(&repo);
}

fn push(scene: &Scene, more: &[&str]) -> Output {
    let repo = scene.environment.repo();
    scene.run(&[&["push", repo.to_str().unwrap()], more].concat())
}

/// The states of all packages, and of the index at the end.
fn states(answer: &Value) -> Vec<&str> {
    let packages = answer["packages"].as_array().unwrap().iter();
    packages.chain([&answer["index"]]).map(|one| one["state"].as_str().unwrap()).collect()
}

/// Somebody else, who has the index alone.
fn installs(index: &Path, config: &str, secrets: &str) {
    let scene = oci::scene(config, secrets);
    let elsewhere = scene.environment.place().join("index.db");
    fs::copy(index, &elsewhere).unwrap();
    for (name, said) in [("tool", "tool 1\n"), ("large", "large 1\n"), ("other", "other 1:2~rc1\n")] {
        scene.run(&["--repo", elsewhere.to_str().unwrap(), "install", name]).ok();
        assert_eq!(scene.environment.launch(&format!("usr/bin/{name}"), &[]), said);
    }
}

#[test]
fn a_folder_is_pushed_and_others_install_from_it() {
    let Some(registry) = Registry::start() else { return };
    let scene = oci::scene(&config(registry.port()), "");
    lay_out(&scene);
    let before = Snapshot::of(&registry.blobs());
    let looked = push(&scene, &["--dry-run", "--json"]).ok().json();
    assert_eq!((&looked["pushed"], states(&looked)), (&Value::Bool(false), vec!["new"; 4]));
    assert_eq!(Snapshot::of(&registry.blobs()), before, "a dry run sends nothing");
    assert!(!scene.environment.repo().join("index.db").exists());

    let pushed = push(&scene, &["--json"]).ok().json();
    assert_eq!((&pushed["pushed"], states(&pushed), &pushed["sent"]), (&true.into(), vec!["new"; 4], &looked["sent"]));
    for package in pushed["packages"].as_array().unwrap() {
        let manifest = registry.manifest(package["tag"].as_str().unwrap()).unwrap();
        assert_eq!(manifest["artifactType"], "application/vnd.packets.package.v1");
        assert_eq!(manifest["layers"][0]["size"], package["size"]);
        assert_eq!(manifest["annotations"]["org.opencontainers.image.title"], package["name"]);
    }
    let after = Snapshot::of(&registry.blobs());
    let again = push(&scene, &["--json"]).ok().json();
    assert_eq!((states(&again), &again["sent"]), (vec!["present"; 4], &0.into()));
    assert_eq!(Snapshot::of(&registry.blobs()), after, "a second push sends nothing");
    let index = scene.environment.repo().join("index.db");
    assert_eq!(hash(&fs::read(&index).unwrap()), again["index"]["sha256"].as_str().unwrap());

    // By the configured registry, and by the index alone.
    installs(&index, &config(registry.port()), "");
    installs(&index, "", "");
}

#[test]
fn the_index_is_there_too() {
    let Some(registry) = Registry::start() else { return };
    let scene = oci::scene(&config(registry.port()), "");
    lay_out(&scene);
    for (output, compressed) in [("index.db", false), ("index.db.zst", true)] {
        let file = scene.environment.work().join(output);
        let pushed = push(&scene, &["-o", file.to_str().unwrap(), "--json"]).ok().json();
        assert_eq!(fs::read(&file).unwrap().starts_with(b"SQLite"), !compressed);
        let location = pushed["index"]["location"].as_str().unwrap();
        let client = oci::scene("", "");
        client.run(&["sync", location]).ok().says("3 packages");
        client.run(&["install", "tool"]).ok();
        assert_eq!(client.environment.launch("usr/bin/tool", &[]), "tool 1\n");
    }
}

#[test]
fn the_newest_index_has_an_address_that_stays() {
    let Some(registry) = Registry::start() else { return };
    let scene = oci::scene(&config(registry.port()), "");
    let repo = scene.environment.repo();
    let address = format!("oci+http://127.0.0.1:{}/{}:index", registry.port(), Registry::REPOSITORY);
    let client = oci::scene("", "");
    client.run(&["sync", &address]).fails(4).says("there is no oci+http://");

    let package = Package::program("tool", "1").file(&repo);
    registry.put_package(&package, "index");
    client.run(&["sync", &address]).fails(4).says("is no index of packages");
    push(&scene, &[]).fails(4).says("is something else, which stays as it is");

    let registry = Registry::start().unwrap();
    let scene = oci::scene(&config(registry.port()), "");
    let address = format!("oci+http://127.0.0.1:{}/{}:index", registry.port(), Registry::REPOSITORY);
    Package::program("tool", "1").file(&scene.environment.repo());
    push(&scene, &[]).ok();
    client.run(&["sync", &address]).ok().says("1 package");
    client.run(&["install", "tool"]).ok();
    client.run(&["sync", &address]).ok().says("has not changed");

    Package::program("more", "1").file(&scene.environment.repo());
    push(&scene, &[]).ok();
    client.run(&["sync", &address]).ok();
    client.run(&["install", "more"]).ok();
    assert_eq!(client.environment.launch("usr/bin/more", &[]), "more 1\n");
}

#[test]
fn a_package_that_has_changed_takes_its_place_and_no_others() {
    let Some(registry) = Registry::start() else { return };
    let scene = oci::scene(&config(registry.port()), "");
    let repo = scene.environment.repo();
    Package::program("tool", "1").file(&repo);
    push(&scene, &[]).ok();
    let first = registry.manifest("tool-1").unwrap();
    Package::program("tool", "1").data("more", "x").file(&repo);
    let looked = push(&scene, &["--dry-run", "--json"]).ok().json();
    assert_eq!(states(&looked), ["replaced", "replaced"]);
    assert_eq!(registry.manifest("tool-1").unwrap(), first);
    assert_eq!(states(&push(&scene, &["--json"]).ok().json()), ["replaced", "replaced"]);
    let second = registry.manifest("tool-1").unwrap();
    assert_ne!(second, first);
    fs::remove_file(repo.join("tool-1.pkt.tar.zst")).unwrap();
    // A tag that two packages have in common stays the first one's.
    let other = oci::scene(&config(registry.port()), "");
    Package::program("tool", "1-2").file(&repo);
    push(&scene, &[]).ok();
    let first = registry.manifest("tool-1-2").unwrap();
    Package::program("tool-1", "2").file(&other.environment.repo());
    push(&other, &[]).fails(4).says("tool-1-2 is something else, which stays as it is");
    assert_eq!(registry.manifest("tool-1-2").unwrap(), first);
}

#[test]
fn a_tag_that_is_somebody_elses_stays() {
    let Some(registry) = Registry::start() else { return };
    let scene = oci::scene(&config(registry.port()), "");
    let repo = scene.environment.repo();
    // Put there by hand, without the names that a push gives.
    let file = Package::program("tool", "1").data("x", "y").file(&scene.environment.work());
    registry.put_package(&file, "tool-1");
    let before = registry.manifest("tool-1").unwrap();
    Package::program("tool", "1").file(&repo);
    for more in [&["--dry-run"][..], &[]] {
        push(&scene, more).fails(4).says("tool-1 is something else, which stays as it is");
    }
    assert_eq!(registry.manifest("tool-1").unwrap(), before);
    assert!(!repo.join("index.db").exists());
}

#[test]
fn who_may_push() {
    let home = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::with_accounts() else { return };
    let secret = home.path().join("password");
    let write = |text: &str| {
        fs::write(&secret, text).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let account = format!("{}\nuser = \"{}\"", config(registry.port()), Registry::USER);
    let password = format!("password = {{ file = {secret:?} }}");
    let before = Snapshot::of(&registry.blobs());
    let nobody = oci::scene(&config(registry.port()), "");
    lay_out(&nobody);
    push(&nobody, &[]).fails(4).says("it wants a user and a password").says("another push goes on from there");
    let scene = oci::scene(&account, &password);
    lay_out(&scene);
    write("wrong words\n");
    let denied = push(&scene, &[]).fails(4).says("401");
    assert!(!format!("{denied}").contains("wrong words"), "{denied}");
    assert_eq!(Snapshot::of(&registry.blobs()), before);
    assert!(!scene.environment.repo().join("index.db").exists());
    write(&format!("{}\n", Registry::PASSWORD));
    let pushed = push(&scene, &["--verbose"]).ok();
    assert!(!format!("{pushed}").contains(Registry::PASSWORD), "{pushed}");
    installs(&scene.environment.repo().join("index.db"), &account, &password);
}

#[test]
fn a_registry_that_takes_nothing() {
    let Some(registry) = Registry::start() else { return };
    let Some(closed) = registry.read_only() else { return };
    let scene = oci::scene(&config(closed.port()), "");
    lay_out(&scene);
    let before = Snapshot::of(&registry.blobs());
    push(&scene, &[]).fails(4).says("405");
    assert_eq!(Snapshot::of(&registry.blobs()), before);
}

/// Passes on what comes to the registry at this port, as many bytes as that; then it is gone.
fn dying(to: u16, bytes: i64) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let left = Arc::new(AtomicI64::new(bytes));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if left.load(Ordering::SeqCst) <= 0 {
                return;
            }
            let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
            let left = left.clone();
            std::thread::spawn(move || pass(client, server, &left));
        }
    });
    port
}

fn pass(mut client: TcpStream, mut server: TcpStream, left: &AtomicI64) {
    let mut buffer = [0; 16 << 10];
    while let Ok(came @ 1..) = client.read(&mut buffer) {
        if left.fetch_sub(came as i64, Ordering::SeqCst) <= came as i64 || server.write_all(&buffer[..came]).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

#[test]
fn a_registry_that_dies_in_the_middle() {
    let Some(registry) = Registry::start() else { return };
    let scene = oci::scene(&config(dying(registry.port(), 700_000)), "");
    lay_out(&scene);
    let broken = push(&scene, &[]).fails(4);
    assert!(broken.stderr.contains("cannot push large 1 to"), "{broken}");
    assert!(!scene.environment.repo().join("index.db").exists(), "{broken}");
    assert_eq!(registry.manifest("large-1"), None, "nothing is named that is not there whole");
    let left: Vec<_> =
        fs::read_dir(scene.environment.repo()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    // What was there before the end is not sent again.
    let before = broken.stderr.lines().filter(|line| line.contains("is there now as")).count();
    let again = oci::scene(&config(registry.port()), "");
    lay_out(&again);
    let answer = push(&again, &["--json"]).ok().json();
    let present = states(&answer).into_iter().filter(|state| *state == "present").count();
    assert_eq!(present, before, "{answer}");
    installs(&again.environment.repo().join("index.db"), "", "");
}

#[test]
fn pushes_that_make_no_sense() {
    let scene = Scene::with(std::path::PathBuf::new());
    lay_out(&scene);
    push(&scene, &[]).fails(1).says("names no registry").says("[Plugins.oci.config]");
    scene.write_config("[Plugins.oci.config]\nplain = true\n");
    push(&scene, &[]).fails(1).says("names no registry and repository");
    scene.write_config("[Plugins.oci.config]\nregistry = \"127.0.0.1:1\"\nrepository = \"a/b\"\nplain = true\n");
    push(&scene, &[]).fails(4).says("cannot reach http://127.0.0.1:1/");
    scene.run(&["push", "nowhere"]).fails(1).says("there is no such file or folder");
    fs::write(scene.environment.repo().join("bad.pkt.tar.zst"), "nothing").unwrap();
    push(&scene, &[]).fails(5).says("bad.pkt.tar.zst");
}

/// What the help of the command shows.
#[test]
fn the_examples_of_its_help() {
    let Some(registry) = Registry::start() else { return };
    let scene = oci::scene(&config(registry.port()), "");
    Package::program("tool", "1").file(&scene.environment.work().join("repo"));
    let help = scene.environment.run_plain(&["push", "--help"]).ok().stdout;
    let examples: Vec<&str> = help.lines().skip_while(|line| *line != "Examples:").skip(1).map(str::trim).collect();
    assert_eq!(examples.len(), 3, "{help}");
    for example in examples {
        let arguments: Vec<&str> = example.split(' ').skip(1).collect();
        let output = scene.run(&arguments).ok();
        if example.contains("--json") {
            output.json();
        }
    }
}
