//! What a hook costs: `cargo bench -p packets-hook-runtime`.
//!
//! Cold is the first hook of a process, with the engine and the guest's code
//! still to be set up; warm is any later one. Medians, in microseconds.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a program that prints figures")]

use std::env;
use std::process::Command;
use std::time::Instant;

use packets_hook_runtime::{engine, limits};
use packets_plugin_api::conformance::view::{LogLines, MemoryView};
use packets_plugin_api::hook::{HookCall, HookKind, HookLimits, HookSource};
use packets_plugin_api::ident::TransactionId;

const EMPTY: &str = "";
const USUAL: &str = r#"
local tool = path_join(packets_bin_dir, "tool")
os.remove(tool)
local done, why = os.symlink(path_join(data_dir, "main"), tool)
if not done then print(why) end
"#;
const MESSAGES: &str = r#"for i = 1, 10000 do os.remove("/usr/bin/x") end"#;
const ERRORS: &str = "for i = 1, 100000 do pcall(error, i) end";
const LOOP: &str = "local x = 0 for i = 1, 10000000 do x = x + i % 7 end";

fn run(script: &str) -> f64 {
    let hook = HookSource { name: "install.lua".parse().unwrap(), text: script.as_bytes().to_vec() };
    let call = HookCall {
        package: "tool".parse().unwrap(),
        kind: HookKind::Install,
        transaction: TransactionId::from_bytes([7; 8]),
        time: 1_700_000_000,
        packages_dir: "/opt/packets".to_owned(),
        bin_dir: "/usr/bin".to_owned(),
        data_dir: "/opt/packets/tool/data".to_owned(),
    };
    let limits = HookLimits { memory: limits::MEMORY, cpu: limits::CPU, wall: limits::WALL };
    let mut view = MemoryView::new().allow("/usr/bin");
    let mut log = LogLines::default();
    let began = Instant::now();
    engine::run(&hook, &call, &limits, &mut view, &mut log).expect("the hook runs");
    began.elapsed().as_secs_f64() * 1e6
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn cold(script: &str) -> f64 {
    let program = env::current_exe().unwrap();
    let once = || {
        let output = Command::new(&program).env("PACKETS_BENCH_COLD", script).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    median((0..51).map(|_| once()).collect())
}

fn warm(script: &str, runs: usize) -> f64 {
    run(script);
    median((0..runs).map(|_| run(script)).collect())
}

fn main() {
    if let Ok(script) = env::var("PACKETS_BENCH_COLD") {
        println!("{}", run(&script));
        return;
    }
    if let Ok(script) = env::var("PACKETS_BENCH_WARM") {
        println!("{}", warm(&script, 20_000));
        return;
    }
    println!("empty hook, cold      {:10.0} us   (bar 1000)", cold(EMPTY));
    println!("empty hook, warm      {:10.0} us   (bar 100)", warm(EMPTY, 2001));
    println!("usual hook, cold      {:10.0} us", cold(USUAL));
    println!("usual hook, warm      {:10.0} us", warm(USUAL, 2001));
    println!("10,000 messages       {:10.0} us", warm(MESSAGES, 21));
    println!("100,000 caught errors {:10.0} us", warm(ERRORS, 11));
    println!("10,000,000 additions  {:10.0} us", warm(LOOP, 5));
}
