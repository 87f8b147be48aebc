//! One target of the fuzzer: `PACKETS_TARGET` names it. Its seeds go into the folder
//! `PACKETS_SEEDS`, where that is named.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use packets_tests::fuzz::{Target, target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let target = target(&std::env::var("PACKETS_TARGET").unwrap_or_default());
    if let Some(folder) = std::env::var_os("PACKETS_SEEDS").map(PathBuf::from) {
        for (at, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{at}")), seed).unwrap();
        }
    }
    target
});

fuzz_target!(
    init: {
        LazyLock::force(&TARGET);
    },
    |bytes: &[u8]| (TARGET.run)(bytes)
);
