//! Runs scripts in the real sandbox on a view that is only memory.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::time::Duration;

use packets_hook_runtime::{engine, limits};
use packets_plugin_api::conformance::view::{LogLines, MemoryView};
use packets_plugin_api::hook::{HookCall, HookError, HookKind, HookLimits, HookSource, HookUsage};
use packets_plugin_api::ident::TransactionId;

/// The transaction's time in all tests: 2023-11-14 22:13:20 UTC.
pub(crate) const TIME: u64 = 1_700_000_000;

/// What a script did.
pub(crate) struct Ran {
    pub(crate) result: Result<HookUsage, HookError>,
    pub(crate) view: MemoryView,
    pub(crate) log: Vec<String>,
}

impl Ran {
    /// The log of a script that must have come to its end.
    #[track_caller]
    pub(crate) fn log(self) -> Vec<String> {
        self.result.expect("the script comes to its end");
        self.log
    }

    /// The error of a script that must have failed.
    #[track_caller]
    pub(crate) fn error(self) -> HookError {
        self.result.expect_err("the script fails")
    }
}

pub(crate) fn limits() -> HookLimits {
    HookLimits { memory: limits::MEMORY, cpu: limits::CPU, wall: limits::WALL }
}

/// Limits with less time, so that tests of them are quick.
pub(crate) fn short(cpu: Duration) -> HookLimits {
    HookLimits { cpu, ..limits() }
}

pub(crate) fn source(script: &[u8]) -> HookSource {
    HookSource { name: "install.lua".parse().unwrap(), text: script.to_vec() }
}

pub(crate) fn call(transaction: u8) -> HookCall {
    HookCall {
        package: "tool".parse().unwrap(),
        kind: HookKind::Install,
        transaction: TransactionId::from_bytes([transaction; 8]),
        time: TIME,
        packages_dir: "/opt/packets".to_owned(),
        bin_dir: "/usr/bin".to_owned(),
        data_dir: "/opt/packets/tool/data".to_owned(),
    }
}

/// A system with a package's folder and a folder for programs.
pub(crate) fn view() -> MemoryView {
    MemoryView::new()
        .allow("/usr/bin")
        .allow("/opt/packets/tool/data")
        .with_file("/opt/packets/tool/data/main", b"#!/bin/sh\n", 0o755)
        .with_file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
}

pub(crate) fn run_with(script: &[u8], limits: &HookLimits, view: MemoryView, transaction: u8) -> Ran {
    let mut view = view;
    let mut log = LogLines::default();
    let result = engine::run(&source(script), &call(transaction), limits, &mut view, &mut log);
    Ran { result, view, log: log.0 }
}

pub(crate) fn run(script: &str) -> Ran {
    run_with(script.as_bytes(), &limits(), view(), 7)
}

/// The log of a script that comes to its end.
#[track_caller]
pub(crate) fn log(script: &str) -> Vec<String> {
    run(script).log()
}

/// The error of a script that fails.
#[track_caller]
pub(crate) fn error(script: &str) -> HookError {
    run(script).error()
}

/// The most memory that this process has had, in bytes.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
