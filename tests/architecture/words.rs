//! The project's text speaks about the project.

use super::{own_files, text_of};

#[test]
fn no_text_names_a_machine() {
    // What a path of somebody's machine, or a private registry, begins with.
    let forbidden = [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/Use", "rs/"),
        concat!("art", "ifactory"),
        concat!("127.0.0.1:31", "28"),
    ];
    for path in own_files() {
        if path.ends_with("guest.wasm") {
            continue;
        }
        let text = text_of(&path);
        for word in forbidden {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
    }
}

#[test]
fn locks_name_only_the_public_registry() {
    for path in ["Cargo.lock", "hook-runtime/guest/Cargo.lock"] {
        for line in text_of(path.as_ref()).lines().filter(|line| line.starts_with("source = ")) {
            assert_eq!(line, "source = \"registry+https://github.com/rust-lang/crates.io-index\"", "{path}");
        }
    }
}
