//! What of Lua there is, and what not.

use packets_tests::{Package, TestEnvironment};

fn runs(script: &str) {
    let environment = TestEnvironment::new();
    environment.install(&Package::new("tool", "1").install(script)).ok();
}

#[test]
fn h01_h03_h05_what_is_absent() {
    runs("for _, name in ipairs {
        'os.execute', 'os.exit', 'os.getenv', 'os.tmpname', 'os.setlocale', 'io.popen', 'io.tmpfile', 'io.lines', 'io.input',
        'io.output', 'io.stdin', 'io.stdout', 'io.stderr', 'require', 'package', 'debug', 'dofile', 'loadfile', 'string.dump' } do
        local found = _G
        for part in name:gmatch('[^.]+') do found = found[part] end
        assert(found == nil, name)
    end");
}

#[test]
fn what_is_there() {
    runs("assert(string.format('%5.2f', math.pi) == ' 3.14' and table.concat({ 1, 2 }, '-') == '1-2' and utf8.char(233) == 'é')
        local co = coroutine.wrap(function() coroutine.yield(1) end) assert(co() == 1)
        local done, why = pcall(error, 'caught') assert(not done and why == 'caught')
        assert(select('#', table.unpack({ 1, 2, 3 })) == 3 and tostring(nil) == 'nil' and tonumber('0x10') == 16)
        assert(os.difftime(os.time(), os.time()) == 0 and type(os.clock()) == 'number' and #os.date() > 0)
        assert(path_join('/a/', './b', '../c//d') == '/a/c/d')
        assert(io.type(io) == nil)
        assert(os.remove('/usr/bin/absent') == true)
        local done, why = os.copy(path_join(data_dir, 'absent'), '/usr/bin/x') assert(done == false and type(why) == 'string')");
}

#[test]
fn h04_no_bytecode() {
    runs(
        "assert(load('return 1')() == 1) assert(not load('\\27Lua')) assert(not pcall(load, 'return 1', 'x', 'b') or not load('return 1', 'x', 'b'))",
    );
    let environment = TestEnvironment::new();
    environment.install(&Package::new("tool", "1").install("\u{1b}Lua\u{54}\u{0}")).fails(6);
}

#[test]
fn h13_errors_of_all_kinds_are_told_and_harmless() {
    let environment = TestEnvironment::new();
    environment.prime();
    for script in [
        "error()",
        "error(nil)",
        "error({})",
        "error(setmetatable({}, { __tostring = function() error('again') end }))",
        "error('\\27[2J\\u{202e}')",
        "error('\\255\\254')",
        "error(('x'):rep(10000000))",
        "local function f() return f() + 1 end f()",
        "string.rep('x', -1):rep(1 << 40)",
        "local t = setmetatable({}, { __gc = function() error('gc') end }) t = nil collectgarbage() error('end')",
    ] {
        let output = environment.refused(6, || environment.install(&Package::new("bad", "1").install(script)));
        assert!(
            output.stderr.len() < 20_000 && !output.stderr.contains(['\u{1b}', '\u{202e}']),
            "{script}: {} bytes",
            output.stderr.len()
        );
    }
}

#[test]
fn h15_scripts_of_all_kinds() {
    for script in ["", "\n", "#!/usr/bin/lua\nprint('x')", "print('x')\r\nprint('y')\r\n", "-- only a comment"] {
        runs(script);
    }
    let environment = TestEnvironment::new();
    environment.prime();
    let large = format!("print('x')\n--{}", "x".repeat(2 << 20));
    let output = environment.install(&Package::new("large", "1").install(&large));
    assert!([5, 6].contains(&output.code), "{output}");
}

#[test]
fn h32_arguments_of_all_kinds() {
    let environment = TestEnvironment::new();
    environment.prime();
    let before = environment.everything();
    let script = "for _, call in ipairs { os.copy, os.symlink, os.rename, os.remove, os.mkdir, io.open, path_join } do
        for _, value in ipairs { 1, true, {}, print, 2^53, -1, 'x\\0y', ('x'):rep(1000000) } do
            pcall(call, value) pcall(call, value, value) pcall(call, value, value, value)
        end
        pcall(call)
    end
    pcall(os.mkdir, '/usr/bin/d', -1)
    local file = io.open(path_join(data_dir, 'name')) file:close()
    assert(not pcall(file.read, file) or file:read() == nil)";
    let output = environment.install(&Package::new("tool", "1").install(script));
    // A path that is none may count as a denial; nothing of it may crash or change anything.
    assert_eq!(output.code, 6, "{output}");
    assert!(output.stderr.len() < 40_000 && !output.stderr.contains('\0'), "{output}");
    before.assert_same(&environment.everything(), "odd arguments");
}
