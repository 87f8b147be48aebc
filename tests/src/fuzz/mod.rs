//! What reads bytes from outside, each as a function of any bytes: it panics where a promise does
//! not hold. libFuzzer looks for such bytes (`tests/fuzz`); what it found is tried by every test run.

mod archive;
mod datagram;
mod index;
mod solver;
mod text;

/// A target of the fuzzer.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Tries these bytes.
    pub run: fn(&[u8]),
    /// Inputs to begin with, other than what lies in the folder of its finds.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 9] = [
    Target { name: "archive", run: archive::archive, seeds: archive::archives },
    Target { name: "package", run: archive::package, seeds: archive::packages },
    Target { name: "manifest", run: text::manifest, seeds: text::manifests },
    Target { name: "config", run: text::config, seeds: text::configs },
    Target { name: "version", run: text::version, seeds: text::versions },
    Target { name: "wire", run: text::wire, seeds: text::messages },
    Target { name: "datagram", run: datagram::datagram, seeds: datagram::seeds },
    Target { name: "index", run: index::index, seeds: index::seeds },
    Target { name: "solver", run: solver::solver, seeds: solver::seeds },
];

/// The target of this name.
pub fn target(name: &str) -> Target {
    let known = TARGETS.map(|target| target.name);
    TARGETS.into_iter().find(|target| target.name == name).unwrap_or_else(|| panic!("{name} is none of {known:?}"))
}
