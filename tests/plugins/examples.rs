//! The examples, as their README builds them: added, checked, and used by the program.

use std::fs;
use std::path::Path;
use std::process::Command;

use packets_tests::{Reply, noise, skip, workspace};

use super::Scene;

/// A package comes through the plugin, and the plugin keeps its promises.
fn works(scene: &Scene, name: &str, library: &Path) {
    let example = workspace().join("plugin-api/examples").join(if name == "plain-c" { "c" } else { "rust" });
    fs::copy(example.join("plugin.toml"), library.with_file_name("plugin.toml")).unwrap();
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

#[test]
fn the_example_in_c() {
    let Some(scene) = Scene::new() else { return };
    let source = workspace().join("plugin-api/examples/c/plugin.c");
    let library = scene.compile(&source, "plain-c", &["-Werror"]);
    works(&scene, "plain-c", &library);
}

#[test]
fn the_example_in_rust() {
    let Some(scene) = Scene::new() else { return };
    if std::env::var_os("PACKETS_WORKSPACE").is_some() {
        return skip("a copy of the workspace has no cargo");
    }
    let example = workspace().join("plugin-api/examples/rust");
    let target = workspace().join("target/examples-rust");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--release", "--locked", "--offline", "--target-dir"]).arg(&target);
    let output = command.current_dir(example).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let library = scene.environment.place().join("build/plugin.so");
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    fs::copy(target.join("release/libplugin.so"), &library).unwrap();
    works(&scene, "plain-rust", &library);
}
