//! The shape of the workspace, held by tests: where it is broken, they fail.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "it reads the workspace's own files")]

mod arrows;
mod files;
mod forgotten;
mod limits;
mod words;

use std::path::{Path, PathBuf};

/// All files of the workspace that are its own, as paths from its top: not what is built, and no dot folders but .ci.
fn own_files() -> Vec<PathBuf> {
    let top = packets_tests::workspace();
    let mut found = Vec::new();
    walk(&top, Path::new(""), &mut found);
    found.sort();
    found
}

fn walk(top: &Path, at: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(top.join(at)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = at.join(&name);
        if name == "target" || name.starts_with('.') && name != ".ci" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(top, &path, found);
        } else {
            found.push(path);
        }
    }
}

/// The Rust sources of these folders.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let is_source = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "rs") && folders.iter().any(|folder| path.starts_with(folder))
    };
    own_files().into_iter().filter(is_source).map(|path| (path.clone(), text_of(&path))).collect()
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(packets_tests::workspace().join(path)).unwrap()
}
