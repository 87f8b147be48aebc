//! Hooks that take too much.

use std::time::{Duration, Instant};

use packets_tests::{Package, TestEnvironment, v1};

fn environment_with(sandbox: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.put("etc/packets/config.toml", &format!("{}\n[Sandbox]\n{sandbox}\n", v1::CONFIG));
    environment
}

fn fails_soon(environment: &TestEnvironment, script: &str, within: Duration) {
    let started = Instant::now();
    let output = environment.refused(6, || environment.install(&Package::new("bad", "1").install(script)));
    assert!(started.elapsed() < within, "{:?}: {output}", started.elapsed());
}

#[test]
fn h09_loops_that_nothing_catches() {
    let environment = environment_with("cpu = \"200ms\"");
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local co = coroutine.wrap(function() while true do end end) while true do pcall(co) end",
        "setmetatable({}, { __gc = function() while true do end end }) collectgarbage()",
        "('\"'):rep(40):find(('.-\"'):rep(30) .. 'x')",
        "local t = {} for n = 1, 200000 do t[n] = n end while true do pcall(table.sort, t, function() return true end) end",
        "xpcall(function() while true do end end, function() while true do end end) while true do end",
    ] {
        fails_soon(&environment, script, Duration::from_secs(5));
    }
}

#[test]
fn h27_the_wall_clock_counts_too() {
    let environment = environment_with("cpu = \"20s\"\nwall = \"500ms\"");
    let script =
        "while true do local f = io.open(path_join(data_dir, 'x'), 'w') f:write(('x'):rep(60000)) f:close() end";
    fails_soon(&environment, script, Duration::from_secs(10));
}

#[test]
fn h10_memory_is_bounded_inside_and_outside() {
    let environment = environment_with("memory = \"32MiB\"");
    for script in [
        "local t = {} for n = 1, 1e9 do t[n] = ('x'):rep(1000) .. n end",
        "local s = 'x' while true do s = s .. s end",
        "string.format('%99999d', 1) local s = ('x'):rep(1 << 31)",
        "table.unpack({}, 1, 1e8)",
        "local t = {} while true do t = { t } end",
        "load(('('):rep(1000000))() error('too deep')",
    ] {
        let folder = Package::new("bad", "1").install(script).write(&environment.work());
        let before = environment.everything();
        let (output, cost) = environment.run_measured(&["install", folder.to_str().unwrap()]);
        assert_eq!(output.code, 6, "{script}: {output}");
        assert!(cost.memory < 128 << 20, "{script}: {cost:?}");
        before.assert_same(&environment.everything(), script);
    }
}

#[test]
fn h10_what_is_granted_is_used_and_measured() {
    let environment = environment_with("memory = \"256MiB\"");
    let script = "local s = ('x'):rep(100 << 20) print(#s)";
    let folder = Package::new("large", "1").install(script).write(&environment.work());
    let (output, cost) = environment.run_measured(&["install", folder.to_str().unwrap()]);
    output.ok();
    assert!((100 << 20..400 << 20).contains(&cost.memory), "{cost:?}");
}

#[test]
fn h11_deep_recursion_is_an_error() {
    let environment = environment_with("cpu = \"5s\"");
    for script in [
        "local function f() return (f()) end f()",
        "local t = {} t.__index = function(_, k) return setmetatable({}, t)[k] end return setmetatable({}, t).x",
        "local function nest() local co = coroutine.wrap(nest) co() end nest() error('end')",
        "('x'):gsub('.', function() return (('x'):rep(10):gsub('.', function(c) return c end)) end) local f f = function() ('x'):gsub('.', f) end f() error('end')",
    ] {
        fails_soon(&environment, script, Duration::from_secs(20));
    }
}

#[test]
fn h21_operations_files_and_bytes_are_counted() {
    let environment = environment_with("cpu = \"30s\"\nwall = \"60s\"");
    for script in [
        "for n = 1, 200000 do os.remove('/usr/share/doc/' .. n) end",
        "local all = {} for n = 1, 1000 do all[n] = assert(io.open(path_join(data_dir, 'name'))) end",
        "local f = assert(io.open(path_join(data_dir, 'x'), 'w')) local s = ('x'):rep(65536) for n = 1, 20000 do assert(f:write(s)) end",
    ] {
        fails_soon(&environment, script, Duration::from_secs(60));
    }
}

#[test]
fn h21_more_operations_can_be_granted() {
    let environment =
        environment_with("cpu = \"30s\"\nwall = \"60s\"\n[[Sandbox.grant]]\npackage = \"busy\"\noperations = 300000");
    environment
        .install(&Package::new("busy", "1").install("for n = 1, 150000 do os.remove('/usr/share/doc/' .. n) end"))
        .ok();
}
