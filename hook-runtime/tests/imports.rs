//! What the guest can call: the one door, and WASI functions with nothing granted.

use packets_hook_runtime::engine;

/// Every import of the guest. A new one is a new way out: it needs a reason, and
/// an implementation in `wasi.rs` that grants nothing.
const IMPORTS: &[&str] = &[
    "packets call",
    "wasi_snapshot_preview1 clock_time_get",
    "wasi_snapshot_preview1 environ_get",
    "wasi_snapshot_preview1 environ_sizes_get",
    "wasi_snapshot_preview1 fd_close",
    "wasi_snapshot_preview1 fd_fdstat_get",
    "wasi_snapshot_preview1 fd_fdstat_set_flags",
    "wasi_snapshot_preview1 fd_prestat_dir_name",
    "wasi_snapshot_preview1 fd_prestat_get",
    "wasi_snapshot_preview1 fd_read",
    "wasi_snapshot_preview1 fd_renumber",
    "wasi_snapshot_preview1 fd_seek",
    "wasi_snapshot_preview1 fd_write",
    "wasi_snapshot_preview1 path_open",
    "wasi_snapshot_preview1 path_remove_directory",
    "wasi_snapshot_preview1 path_rename",
    "wasi_snapshot_preview1 path_unlink_file",
    "wasi_snapshot_preview1 proc_exit",
    "wasi_snapshot_preview1 random_get",
    "wasi_snapshot_preview1 sched_yield",
];

#[test]
fn h25_imports_are_the_known_ones_and_none_is_a_socket() {
    let mut imports = engine::imports().unwrap();
    imports.sort();
    assert_eq!(imports, IMPORTS);
}

#[test]
fn h29_the_guest_has_one_memory_and_the_known_exports() {
    let mut exports = engine::exports().unwrap();
    exports.sort();
    assert_eq!(exports, ["buffer", "check", "memory", "run"]);
}
