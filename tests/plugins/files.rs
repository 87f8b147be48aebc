//! The file of a plugin: whose it is, what it is, and that nothing of it runs before that is known.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use packets_tests::{Package, is_root, workspace};

use super::Scene;

/// What a run that would fetch says of the plugin.
fn refused(scene: &Scene, part: &str) {
    scene.environment.refused(4, || scene.install_from(&["bad://try"])).says(part);
}

fn with_bad() -> Option<Scene> {
    let scene = Scene::new()?;
    let library = scene.bad(&[]);
    scene.add(&library).ok();
    Some(scene)
}

#[test]
fn p01_files_and_folders_that_others_may_change_are_refused() {
    let Some(scene) = with_bad() else { return };
    let (dir, home) = (scene.dir(), scene.dir().join("bad"));
    for path in [home.join("plugin.so"), home.join("plugin.toml"), home, dir, scene.environment.place().to_owned()] {
        let was = fs::metadata(&path).unwrap().permissions();
        for mode in [0o777, 0o775, 0o757] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            refused(&scene, "others may write to");
        }
        if is_root() {
            fs::set_permissions(&path, was.clone()).unwrap();
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            refused(&scene, "belongs to another user");
            std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        }
        fs::set_permissions(&path, was).unwrap();
    }
    refused(&scene, "could:");
}

#[test]
fn p02_links_and_search_paths_lead_nowhere() {
    let Some(scene) = with_bad() else { return };
    let home = scene.dir().join("bad");
    let elsewhere = scene.environment.place().join("elsewhere");
    fs::rename(&home, &elsewhere).unwrap();
    symlink(&elsewhere, &home).unwrap();
    refused(&scene, "is no folder");
    fs::remove_file(&home).unwrap();
    fs::rename(&elsewhere, &home).unwrap();
    fs::rename(home.join("plugin.so"), home.join("other.so")).unwrap();
    symlink("other.so", home.join("plugin.so")).unwrap();
    refused(&scene, "not a regular file");
    for flag in ["-Wl,-rpath,$ORIGIN/../evil", "-Wl,-rpath,/tmp,--disable-new-dtags"] {
        let library = scene.bad(&[flag]);
        scene.add(&library).fails(5).says("RPATH");
    }
}

#[test]
fn p03_no_constructor_runs_before_the_library_is_approved() {
    let Some(scene) = Scene::new() else { return };
    let library = scene.bad(&["-DIN_CONSTRUCTOR=abort()"]);
    let before = scene.config();
    scene.add(&library).fails(4).says("SIGABRT");
    assert_eq!(scene.config(), before, "what does not load is not approved");
    let library = scene.bad(&[]);
    scene.add(&library).ok();
    let other = scene.bad(&["-DIN_CONSTRUCTOR=abort()"]);
    let approved = [scene.config(), format!("{:?}", fs::read(scene.dir().join("bad/plugin.so")).unwrap())];
    scene.add(&other).fails(4).says("SIGABRT");
    let after = [scene.config(), format!("{:?}", fs::read(scene.dir().join("bad/plugin.so")).unwrap())];
    assert!(approved == after, "one that does not load takes no other's place");
    let names: Vec<_> = fs::read_dir(scene.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["bad"], "nothing is left of a trial");
    fs::copy(&other, scene.dir().join("bad/plugin.so")).unwrap();
    refused(&scene, "its SHA-256 is");
    let list = scene.run(&["plugin", "list"]).ok();
    assert!(list.stdout.contains("not used: its SHA-256 is"), "{list}");
}

#[test]
fn p04_p05_p10_libraries_that_are_no_plugins() {
    let Some(scene) = Scene::new() else { return };
    for (flags, code, part) in [
        (&["-DNO_ENTRY"][..], 5, "it has no symbol packets_plugin_entry"),
        (&["-DNULL_ENTRY"], 4, "the plugin's table is missing"),
        (&["-DMAJOR=2"], 4, "version 2.0 of the plugin ABI, and this program has 1.0"),
        (&["-DMAJOR=0"], 4, "version 0.0"),
        (&["-DMAJOR=0x01000000"], 4, "version 16777216.0"),
        (&["-DMORE=8"], 4, "bytes instead of the"),
        (&["-DMORE=-8"], 4, "bytes instead of the"),
        (&["-DNAME=\"other\""], 4, "says that its name is \"other\""),
        (&["-DNAME=\"../../x\""], 4, "is not 1 to 32"),
        (&["-DIN_CONSTRUCTOR=for(;;)pause()"], 4, "too long"),
    ] {
        let before = scene.config();
        let library = scene.bad(flags);
        scene.add(&library).fails(code).says(part);
        assert_eq!(scene.config(), before, "{flags:?}");
    }
    let library = scene.bad(&[]);
    for (line, part) in [("http", "is built in"), ("cache", "is built in"), ("lan", "is built in")] {
        let text = format!("name = \"{line}\"\nkind = \"fetch\"\nabi = \"1.0\"\n");
        fs::write(library.with_file_name("plugin.toml"), text).unwrap();
        scene.add(&library).fails(1).says(part);
    }
}

#[test]
fn p06_what_is_built_against_rust_itself_is_refused() {
    let Some(scene) = Scene::new() else { return };
    let marker = scene.environment.place().join("it ran");
    let library = scene.bad(&[&format!("-DIN_CONSTRUCTOR=creat(\"{}\", 0600)", marker.display())]);
    let sidecar = library.with_file_name("plugin.toml");
    let before = scene.config();
    // Rust has no stable ABI: neither a compiler, nor features, nor a crate's version can vouch for one.
    for (lines, part) in [
        ("abi = \"rust-1.95\"", "expected one like \"1.0\""),
        ("abi = \"packets-plugin-api 2.0.0\"", "expected one like \"1.0\""),
        ("abi = \"1.0\"\nrustc = \"1.95.0\"", "unknown field `rustc`"),
        ("abi = \"1.0\"\nfeatures = [\"conformance\"]", "unknown field `features`"),
        ("abi = \"1.0\"\ncrate = \"2.0.0\"", "unknown field `crate`"),
    ] {
        fs::write(&sidecar, format!("name = \"bad\"\nkind = \"fetch\"\n{lines}\n")).unwrap();
        scene.add(&library).fails(1).says(part);
        assert_eq!((scene.config(), scene.dir().join("bad").exists(), marker.exists()), (before.clone(), false, false));
    }
}

#[test]
fn p06_what_crosses_has_the_layout_of_c() {
    let text = fs::read_to_string(workspace().join("plugin-api/src/native/abi.rs")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let tables: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("pub struct ")).collect();
    assert_eq!(tables.len(), 11);
    for at in tables {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("///"));
        assert!(above.into_iter().any(|line| *line == "#[repr(C)]"), "{}", lines[at]);
    }
    for line in lines.iter().filter(|line| line.starts_with("pub type ")) {
        assert!(line.contains("unsafe extern \"C\" fn("), "{line}");
    }
}

#[test]
fn p11_a_library_as_large_as_may_be() {
    let Some(scene) = Scene::new() else { return };
    let library = scene.bad(&[]);
    let most: u64 = 64 << 20;
    let grow = |size| fs::OpenOptions::new().write(true).open(&library).unwrap().set_len(size).unwrap();
    grow(most + 1);
    scene.add(&library).fails(5).says("67108865 bytes, more than 67108864");
    grow(most);
    scene.add(&library).ok();
    scene.run(&["plugin", "check", "bad"]).ok();
}

#[test]
fn p11_files_that_are_no_libraries() {
    let Some(scene) = Scene::new() else { return };
    let library = scene.bad(&[]);
    let good = fs::read(&library).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, part) in [
        (Vec::new(), "not a shared library"),
        (b"#!/bin/sh\n".to_vec(), "not a shared library"),
        (b"\x7fELF".to_vec(), "not a shared library"),
        (good[..good.len() / 2].to_vec(), "cut off"),
        (good[..64].to_vec(), "broken shared library"),
        (changed(4, 1), "64-bit"),
        (changed(5, 2), "another machine"),
        (changed(16, 2), "a program or an object file"),
        (changed(18, 8), "another machine"),
    ] {
        fs::write(&library, bytes).unwrap();
        scene.add(&library).fails(5).says(part);
    }
    let file = fs::File::create(&library).unwrap();
    file.set_len(4 << 30).unwrap();
    scene.add(&library).fails(5).says("more than 67108864");
    fs::remove_file(&library).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &library, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    scene.add(&library).fails(1).says("neither a regular file nor a folder");
    scene.run(&["plugin", "add", "/dev/zero"]).fails(1);
}

#[test]
fn p12_a_package_cannot_put_a_plugin_into_their_folder() {
    let Some(scene) = Scene::new() else { return };
    let environment = &scene.environment;
    let package = Package::new("evil", "1").install(
        "os.mkdir('/usr/lib/packets/plugins/evil', 493)\nio.open('/usr/lib/packets/plugins/evil/plugin.so', 'w')",
    );
    let folder = package.permission("write = [\"/usr/lib/packets/plugins\"]").write(&environment.work());
    let arguments = ["install", folder.to_str().unwrap(), "--grant", "evil=/usr/lib/packets/plugins"];
    let output = environment.run(&arguments);
    assert_ne!(output.code, 0, "{output}");
    assert!(!environment.exists("usr/lib/packets/plugins/evil"));
}

#[test]
fn the_config_of_another_root_names_no_code() {
    let Some(scene) = Scene::new() else { return };
    let library = scene.bad(&[]);
    let output = scene.environment.run(&["plugin", "add", library.to_str().unwrap()]);
    output.fails(1).says("never names code");
    let more = format!(
        "[Plugins]\ndir = {:?}\n[Plugins.bad]\nsha256 = \"{}\"\n",
        scene.dir().to_str().unwrap(),
        "0".repeat(64)
    );
    scene.environment.put("etc/packets/config.toml", &format!("[Fetch]\nsources = [\"cache\", \"bad\"]\n{more}"));
    let folder = Package::new("x", "1").write(&scene.environment.work());
    scene.environment.run(&["install", folder.to_str().unwrap()]).fails(1).says("there is no such source");
}
