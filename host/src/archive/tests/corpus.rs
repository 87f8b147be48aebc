//! The inputs of the catalogue, where the machine has them.

use std::path::PathBuf;

use super::builder::compress;
use super::refused_package;

fn corpus() -> Option<PathBuf> {
    let given = std::env::var_os("PACKETS_CORPUS").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    given.into_iter().chain([beside]).find(|folder| folder.is_dir())
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn the_corpus_is_refused() {
    let Some(folder) = corpus() else {
        eprintln!("skipped: the corpus is not present (PACKETS_CORPUS names its folder)");
        return;
    };
    let cases = [
        ("special.tar", "A36-A38"),
        ("tarmageddon.tar", "A45"),
        ("inverse.tar", "A46"),
        ("after_eof.tar", "A54"),
        ("rle_1GiB.zst", "A58"),
        ("win_max.zst", "A60"),
        ("win_256M.zst", "A60"),
        ("win_128M.zst", "A60"),
        ("fcs_2e60.zst", "A61"),
        ("dictid.zst", "A62"),
        ("skip_then.zst", "A62"),
        ("skip_trunc.zst", "A62"),
        ("concat.zst", "A63"),
        ("trailing_junk.zst", "A63"),
        ("reserved_block.zst", "A64"),
        ("reserved_bit.zst", "A64"),
        ("bad_checksum.zst", "A64"),
    ];
    for (name, case) in cases {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let package = if name.ends_with(".tar") { compress(&bytes) } else { bytes };
        refused_package(&format!("{case} {name}"), &package);
    }
}
