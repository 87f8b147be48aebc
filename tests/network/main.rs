//! Networks and servers, good and bad: real ones, and one that does what it is told.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod at_once;
mod hostile;
mod mirrors;
mod resume;
mod servers;

use std::fs;
use std::path::PathBuf;

use packets_tests::{Package, TestEnvironment, noise};

/// The name of the file of [`large`].
const LARGE: &str = "large-1.pkt.tar.zst";

/// A package of so many bytes and a few more, in the test's repository, indexed at these
/// addresses; its file.
fn large(environment: &TestEnvironment, size: usize, addresses: &[&str]) -> PathBuf {
    let file = Package::program("large", "1").bytes("noise", &noise(size)).file(&environment.repo());
    index(environment, addresses);
    file
}

fn index(environment: &TestEnvironment, addresses: &[&str]) {
    let repo = environment.repo();
    let mut arguments = vec!["index", repo.to_str().unwrap()];
    for address in addresses {
        arguments.extend(["--url", address]);
    }
    environment.run_plain(&arguments).ok();
}

/// What stands in the cache.
fn cached(environment: &TestEnvironment) -> Vec<String> {
    let names = fs::read_dir(environment.at("var/cache/packets")).into_iter().flatten().flatten();
    let mut names: Vec<String> = names.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
