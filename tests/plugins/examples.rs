//! The examples, as their README builds them: added, checked, and used by the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use packets_tests::{Reply, Snapshot, noise, skip, workspace};

use super::Scene;

/// A package comes through the plugin, and the plugin keeps its promises.
fn works(scene: &Scene, name: &str, library: &Path, source: &Path) {
    fs::copy(source.join("plugin.toml"), library.with_file_name("plugin.toml")).unwrap();
    let added = scene.add(library).ok();
    assert!(added.stdout.contains("approved"), "{added}");
    assert!(scene.config().starts_with("# A comment that stays."), "{}", scene.config());
    let list = scene.run(&["plugin", "list"]).ok();
    assert!(list.stdout.starts_with(&format!("{name}  used  Files of web servers")), "{list}");
    let server = scene.server();
    let at = |path: &str| server.url(path).replace("http://", &format!("{name}://"));
    let installed = scene.install_from(&[at("").as_str()]).ok();
    assert_eq!(scene.environment.launch("usr/bin/tool", &[]), "tool 1\n", "{installed}");
    assert_eq!(server.asked(), ["/tool-1.pkt.tar.zst"], "it came through the plugin");
    let history = scene.run(&["history"]).ok();
    assert!(history.stdout.contains(&format!("from {name}")), "{history}");

    let file = scene.environment.work().join("file");
    fs::write(&file, noise(3_000_001)).unwrap();
    server.set("/file", Reply::Bytes(noise(3_000_001)));
    let arguments = ["plugin", "check", name, "--location", &at("/file"), "--file", file.to_str().unwrap()];
    let checked = scene.run(&arguments).ok();
    assert!(checked.stdout.contains("the right 3000001 bytes, from any offset"), "{checked}");
    let mut other = noise(3_000_001);
    other[2_000_000] ^= 1;
    server.set("/file", Reply::Bytes(other));
    scene.run(&arguments).fails(1).says("other bytes came");
    server.set("/file", Reply::Cut(noise(3_000_001), 1_000_000));
    scene.run(&arguments).fails(1).says("broke off");

    let removed = scene.run(&["plugin", "remove", name]).ok();
    assert!(removed.stdout.contains("removed") && !scene.config().contains(name), "{removed}");
    assert!(!scene.dir().join(name).exists());
    assert_eq!(scene.run(&["plugin", "list"]).ok().stdout, "");
}

/// Builds a crate as its README says; its library in a folder of the scene. None where there is no cargo.
pub(super) fn built_by_cargo(scene: &Scene, source: &Path, flags: &[&str]) -> Option<PathBuf> {
    if std::env::var_os("PACKETS_WORKSPACE").is_some() {
        skip("a copy of the workspace has no cargo");
        return None;
    }
    // The libraries of all have the same name.
    let target = workspace().join("target/examples").join(source.file_name().unwrap());
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--release", "--offline", "--target-dir"]).arg(&target).args(flags);
    let output = command.current_dir(source).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let library = scene.environment.place().join("build/plugin.so");
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    fs::copy(target.join("release/libplugin.so"), &library).unwrap();
    Some(library)
}

#[test]
fn the_example_in_c() {
    let Some(scene) = Scene::new() else { return };
    let example = workspace().join("plugin-api/examples/c");
    let library = scene.compile(&example.join("plugin.c"), "plain-c", &["-Werror"]);
    works(&scene, "plain-c", &library, &example);
}

#[test]
fn the_example_in_rust() {
    let Some(scene) = Scene::new() else { return };
    let example = workspace().join("plugin-api/examples/rust");
    let Some(library) = built_by_cargo(&scene, &example, &["--locked"]) else { return };
    works(&scene, "plain-rust", &library, &example);
}

#[test]
fn a_new_plugin_in_rust() {
    let Some(scene) = Scene::new() else { return };
    let sdk = workspace().join("plugin-api");
    let new = begun(&scene, "my-source", &["--sdk", sdk.to_str().unwrap()]);
    let Some(library) = built_by_cargo(&scene, &new, &[]) else { return };
    works(&scene, "my-source", &library, &new);
}

/// The folder of a plugin that was begun.
fn begun(scene: &Scene, name: &str, more: &[&str]) -> PathBuf {
    let arguments = [&["plugin", "new", name], more].concat();
    let looked = scene.environment.run(&[&arguments[..], &["--dry-run", "--json"]].concat()).ok().json();
    let folder = scene.environment.work().join(name);
    assert!(!folder.exists() && looked["made"] == false, "{looked}");
    let made = scene.environment.run(&[&arguments[..], &["--json"]].concat()).ok().json();
    for file in made["files"].as_array().unwrap() {
        assert!(folder.join(file.as_str().unwrap()).is_file(), "{file}");
    }
    folder
}

#[test]
fn a_new_plugin_in_c_needs_nothing_but_its_folder() {
    let Some(scene) = Scene::new() else { return };
    let new = begun(&scene, "my-source-2", &["--c"]);
    // The line of its README.
    let readme = fs::read_to_string(new.join("README.md")).unwrap();
    let line = readme.lines().find(|line| line.starts_with("cc ")).unwrap();
    let output = Command::new("sh").args(["-c", &format!("{line} -Wall -Wextra -Werror")]).current_dir(&new).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let library = scene.environment.place().join("build/plugin.so");
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    fs::copy(new.join("plugin.so"), &library).unwrap();
    works(&scene, "my-source-2", &library, &new);
}

#[test]
fn plugins_that_cannot_be_begun() {
    let scene = Scene::with(PathBuf::new());
    let new = |more: &[&str]| scene.environment.run(&[&["plugin", "new"], more].concat());
    let before = Snapshot::of(&scene.environment.work());
    for name in ["http", "lan", "cache", "file"] {
        new(&[name, "--c"]).fails(1).says("is built in");
    }
    for name in ["../x", "", "X", "9", "a.b"] {
        new(&[name]).fails(1).says("no plugin can have the name");
    }
    new(&["x", "--sdk", "nowhere"]).fails(1).says("there is no such file or folder");
    assert_eq!(Snapshot::of(&scene.environment.work()), before);
    new(&["x"]).ok();
    let before = fs::read(scene.environment.work().join("x/Cargo.toml")).unwrap();
    new(&["x", "--c"]).fails(1).says("there is a x here already");
    assert_eq!(fs::read(scene.environment.work().join("x/Cargo.toml")).unwrap(), before);
}
