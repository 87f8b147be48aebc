//! Every function and global that a script finds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests fail by panicking")]

mod support;

use packets_plugin_api::conformance::view::Node;
use packets_plugin_api::hook::HookErrorKind;
use support::{error, log, run, run_with};

#[test]
fn the_usual_hook_links_its_program() {
    let ran = run(r#"
        local tool = path_join(packets_bin_dir, "tool")
        os.remove(tool)
        local done, why = os.symlink(path_join(data_dir, "main"), tool)
        if not done then print(why) end
    "#);
    assert_eq!(ran.view.nodes()["/usr/bin/tool"], Node::Symlink("/opt/packets/tool/data/main".to_owned()));
    assert_eq!(ran.log(), [""; 0]);
}

#[test]
fn globals_tell_where_the_hook_is() {
    assert_eq!(
        log("print(script, packets_package_dir, packets_bin_dir, data_dir, _VERSION)"),
        ["install.lua\t/opt/packets\t/usr/bin\t/opt/packets/tool/data\tLua 5.4"]
    );
}

#[test]
fn os_calls_give_true_and_nil() {
    let ran = run(r#"
        local function show(...) print(select('#', ...), ...) end
        show(os.mkdir("/usr/bin/a/b", 448))
        show(os.mkdir("/usr/bin/default"))
        show(os.copy(data_dir .. "/main", "/usr/bin/a/main"))
        show(os.symlink("main", "/usr/bin/a/link"))
        show(os.rename("/usr/bin/a/main", "/usr/bin/a/moved"))
        show(os.remove("/usr/bin/a/link"))
        show(os.remove("/usr/bin/nothing"))
    "#);
    assert_eq!(ran.view.nodes()["/usr/bin/a/b"], Node::Folder(0o700));
    assert_eq!(ran.view.nodes()["/usr/bin/default"], Node::Folder(0o755));
    assert_eq!(ran.view.file("/usr/bin/a/moved"), Some(&b"#!/bin/sh\n"[..]));
    assert_eq!(ran.log(), ["2\ttrue\tnil"; 7]);
}

#[test]
fn os_calls_give_false_and_a_message() {
    let lines = log(r#"
        print(os.rename("/usr/bin/none", "/usr/bin/other"))
        print(os.copy("/etc/passwd", "/usr/bin/passwd"))
        print(os.symlink("x", "/etc/link"))
        print(os.remove("/etc/passwd"))
        print(os.mkdir("/etc/new", 493))
        print(os.mkdir("/usr/bin/new", -1))
        print(os.mkdir("/usr/bin/new", 2^40))
        print(os.remove("/usr/bin/\xff"))
    "#);
    let denied = "false\t[packets] unsafe filepath: ";
    assert_eq!(
        lines,
        [
            "false\t/usr/bin/none: No such file or directory".to_owned(),
            format!("{denied}/etc/passwd"),
            format!("{denied}/etc/link"),
            format!("{denied}/etc/passwd"),
            format!("{denied}/etc/new"),
            "false\t/usr/bin/new: the mode -1 is not one of 0 to 07777".to_owned(),
            "false\t/usr/bin/new: the mode 1099511627776 is not one of 0 to 07777".to_owned(),
            "false\t/usr/bin/\u{fffd}: the path is not UTF-8".to_owned(),
        ]
    );
}

#[test]
fn denials_carry_the_line() {
    let ran = run(
        "os.remove('/usr/bin/x')\n\nlocal f = function()\n  os.remove('/etc/passwd')\nend\nf()\npcall(io.open, '/etc/shadow')\nload('os.remove([[/etc/x]])')()\n",
    );
    let lines: Vec<(u32, &str)> = ran.view.denials().iter().map(|denial| (denial.line, &*denial.path)).collect();
    assert_eq!(lines[0], (4, "/etc/passwd"));
    assert_eq!(lines[1].1, "/etc/shadow");
    assert_eq!(lines[2], (8, "/etc/x"));
}

#[test]
fn path_join_is_filepath_join() {
    // The cases of Go's own test of filepath.Join, and some of Clean.
    let cases: &[(&str, &str)] = &[
        ("", ""),
        (r#""""#, ""),
        (r#""/""#, "/"),
        (r#""a""#, "a"),
        (r#""a","b""#, "a/b"),
        (r#""a","""#, "a"),
        (r#""","b""#, "b"),
        (r#""/","a""#, "/a"),
        (r#""/","a/b""#, "/a/b"),
        (r#""/","""#, "/"),
        (r#""/a","b""#, "/a/b"),
        (r#""a/","b""#, "a/b"),
        (r#""a/","""#, "a"),
        (r#""","""#, ""),
        (r#""/","a","b""#, "/a/b"),
        (r#""//","a""#, "/a"),
        (r#""abc//def//ghi""#, "abc/def/ghi"),
        (r#""abc/./def""#, "abc/def"),
        (r#""abc/def/ghi/../jkl""#, "abc/def/jkl"),
        (r#""abc/def/../../..""#, ".."),
        (r#""/abc/def/../../..""#, "/"),
        (r#""abc/../../././../def""#, "../../def"),
        (r#""/..""#, "/"),
        (r#""abc/..""#, "."),
        (r#""a","../../b","c""#, "../b/c"),
        (r#""a",1,2.5"#, "a/1/2.5"),
    ];
    for (arguments, joined) in cases {
        assert_eq!(log(&format!("print(path_join({arguments}))")), [*joined], "path_join({arguments})");
    }
    assert_eq!(
        error("path_join('a', nil, 'b')").message,
        "install.lua:1: bad argument #2 to 'path_join' (string expected, got no value)"
    );
}

#[test]
fn print_shows_values_and_escapes_what_acts_on_terminals() {
    let lines = log(r#"
        print()
        print(1, 1.0, true, nil, "x")
        print(setmetatable({}, { __tostring = function() return "mine" end }))
        print("a\nb\27[31m\u{202e}\r")
        print("\xff")
    "#);
    assert_eq!(lines, ["", "1\t1.0\ttrue\tnil\tx", "mine", r"a\nb\u{1b}[31m\u{202e}\r", "\u{fffd}"]);
    assert_eq!(error("print(setmetatable({}, {__tostring = function() return {} end}))").kind, HookErrorKind::Script);
}

#[test]
fn files_are_written_and_read() {
    let ran = run(r#"
        local path = "/usr/bin/file"
        local f = assert(io.open(path, "w"))
        print(io.type(f), io.type(1), tostring(f):match("^file %(0x"))
        print(f:write("one\n", 2, "\n", 1.5, " ", 2^53, "\n") == f)
        print(f:close(), io.type(f), tostring(f))
        f = io.open(path)
        print(f:read())
        print(f:read("n", "L"))
        print(f:read("*n", "n"))
        print(f:read("a"), f:read("a"), f:read("l"), f:read(0))
        print(f:seek("set", 1), f:read(2), f:seek(), f:seek("end"), f:read(1))
        f:seek("set")
        print(f:read(0), f:read(100))
        io.close(f)
        for line in io.open(path):lines() do print("<" .. line .. ">") end
        for a, b in io.open(path):lines(1, "L") do print(a, #b) break end
    "#);
    assert_eq!(ran.view.file("/usr/bin/file"), Some(&b"one\n2\n1.5 9.007199254741e+15\n"[..]));
    assert_eq!(
        ran.log(),
        [
            "file\tnil\tfile (0x",
            "true",
            "true\tclosed file\tfile (closed)",
            "one",
            r"2	\n",
            "1.5\t9.007199254741e+15",
            r"\n		nil	nil",
            "1\tne\t3\t29\tnil",
            r"	one\n2\n1.5 9.007199254741e+15\n",
            "<one>",
            "<2>",
            "<1.5 9.007199254741e+15>",
            "o\t3",
        ]
    );
}

#[test]
fn numerals_are_read_as_lua_reads_them() {
    let cases: &[(&str, &str)] = &[
        ("  -12 rest", "-12"),
        ("0x1F,", "31"),
        ("0x.8p1", "1.0"),
        ("+3.25e-2x", "0.0325"),
        ("0xep1", "28.0"),
        (".5", "0.5"),
        ("5.", "5.0"),
        ("9223372036854775808", "9.2233720368548e+18"),
        ("abc", "nil"),
        ("-", "nil"),
        ("0x", "nil"),
        ("1e", "nil"),
        ("", "nil"),
        ("nan", "nil"),
    ];
    for (text, number) in cases {
        let script = format!(
            "local f = io.open('/usr/bin/n', 'w') f:write({text:?}) f:close() print(io.open('/usr/bin/n'):read('n'))"
        );
        assert_eq!(log(&script), [*number], "{text:?}");
    }
    // What is no part of the numeral stays for the next read; 200 characters are too many.
    let script = r#"
        local f = io.open("/usr/bin/n", "w+")
        f:write("12 13,14x", ("1"):rep(300))
        f:seek("set")
        print(f:read("n", "n", 1, "n", 1))
        print(f:read("n"))
    "#;
    assert_eq!(log(script), ["12\t13\t,\t14\tx", "nil"]);
}

#[test]
fn update_and_append_keep_one_place() {
    let ran = run(r#"
        local f = io.open("/usr/bin/file", "w+")
        f:write("hello world")
        f:seek("set", 0)
        print(f:read(5))
        f:write("_")
        print(f:read("a"))
        f:close()
        local g = io.open("/usr/bin/file", "a")
        g:write("!") g:flush()
        print(g:seek())
        g:close()
        local h = io.open("/usr/bin/file", "r+b")
        h:write("H") h:close()
        print(io.open("/usr/bin/file", "rb"):read("a"))
    "#);
    assert_eq!(ran.log(), ["hello", "world", "12", "Hello_world!"]);
}

#[test]
fn large_files_pass_in_parts() {
    let ran = run(r#"
        local f = io.open("/usr/bin/big", "w")
        local block = ("0123456789abcdef"):rep(16384)
        for i = 1, 8 do f:write(block) end
        f:close()
        local n = 0
        f = io.open("/usr/bin/big")
        while true do
          local part = f:read(100000)
          if not part then break end
          n = n + #part
        end
        print(n, f:seek("set", 1000001), f:read(4))
    "#);
    assert!(ran.view.calls() < 100, "{} calls", ran.view.calls());
    assert_eq!(ran.log(), ["2097152\t1000001\t1234"]);
}

#[test]
fn buffers_are_written_out_when_asked_closed_collected_and_at_the_end() {
    let ran = run(r#"
        kept = io.open("/usr/bin/kept", "w") kept:write("kept")
        local function see(path) return #io.open(path):read("a") end
        local f = io.open("/usr/bin/f", "w")
        print(f:setvbuf("full", 10), f:write("abc\n") and see("/usr/bin/f"), f:flush(), see("/usr/bin/f"))
        print(f:setvbuf("line"), f:write("de") and see("/usr/bin/f"), f:write("\n") and see("/usr/bin/f"))
        print(f:setvbuf("no"), f:write("x") and see("/usr/bin/f"))
        do local c <close> = io.open("/usr/bin/c", "w") c:write("closed") end
        print(see("/usr/bin/c"))
        io.open("/usr/bin/g", "w"):write("lost")
        collectgarbage() collectgarbage()
        print(see("/usr/bin/g"))
    "#);
    assert_eq!(ran.view.file("/usr/bin/kept"), Some(&b"kept"[..]));
    assert_eq!(ran.view.open_files(), 0);
    assert_eq!(ran.log(), ["true\t0\ttrue\t4", "true\t4\t7", "true\t8", "6", "4"]);
}

#[test]
fn file_errors_are_luas() {
    let lines = log(r#"
        local function try(...) print(select(2, pcall(...))) end
        local f = io.open("/usr/bin/f", "w")
        print(f:read("a"))
        print(f:seek("set", -1))
        local r = io.open("/usr/bin/f")
        print(r:write("x"), (select(2, r:write("x"))))
        try(io.open, "/usr/bin/f", "rx")
        try(io.open, "/usr/bin/f", "")
        try(io.open, "/usr/bin/f", "r+w")
        try(io.open)
        try(io.open, {})
        try(f.read, f, "x")
        try(f.read, f, {})
        try(f.read, f, 1.5)
        try(f.read, 42)
        try(f.seek, f, "x")
        try(f.seek, f, "set", 1.5)
        try(f.setvbuf, f, "x")
        try(f.write, f, {})
        f:close()
        try(f.read, f)
        try(f.close, f)
        try(f.lines, f)
        local iterate = r:lines()
        r:close()
        try(iterate)
        try(io.close)
        print(io.open("/usr/bin/none"))
        print(io.open("/usr/bin/none/x", "w"))
        print(io.open("/etc/passwd"))
    "#);
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_start_matches("install.lua:2: ")).collect();
    assert_eq!(
        lines,
        [
            "nil\tBad file descriptor",
            "nil\tInvalid argument",
            "nil\tBad file descriptor",
            "bad argument #2 to 'open' (invalid mode)",
            "bad argument #2 to 'open' (invalid mode)",
            "bad argument #2 to 'open' (invalid mode)",
            "bad argument #1 to 'open' (string expected, got no value)",
            "bad argument #1 to 'open' (string expected, got table)",
            "bad argument #1 to 'read' (invalid format)",
            "bad argument #1 to 'read' (string expected, got table)",
            "bad argument #1 to 'read' (number has no integer representation)",
            "bad argument #1 to 'read' (FILE* expected, got number)",
            "bad argument #1 to 'seek' (invalid option 'x')",
            "bad argument #2 to 'seek' (number has no integer representation)",
            "bad argument #1 to 'setvbuf' (invalid option 'x')",
            "bad argument #1 to 'write' (string expected, got table)",
            "attempt to use a closed file",
            "attempt to use a closed file",
            "attempt to use a closed file",
            "file is already closed",
            "bad argument #1 to 'close' (FILE* expected, got no value)",
            "nil\t/usr/bin/none: No such file or directory",
            "nil\t/usr/bin/none/x: No such file or directory",
            "nil\t[packets] unsafe filepath: /etc/passwd",
        ]
    );
}

#[test]
fn time_is_the_transactions() {
    let lines = log(r#"
        print(os.time(), os.date("!%Y-%m-%d %H:%M:%S"), os.difftime(5, 3))
        print(os.time({ year = 2000, month = 1, day = 1, hour = 12 }), os.date("!*t", 0).year)
        local a, b = os.clock(), os.clock()
        print(a < b, b < 1)
        while os.clock() < 2 do end
    "#);
    assert_eq!(lines, ["1700000000\t2023-11-14 22:13:20\t2.0", "946728000\t1970", "true\ttrue"]);
    for format in ["%", "%E", "%Ez", "%k%", "%9", r"\0%\0", "%5Y"] {
        let ran = run(&format!("print(pcall(os.date, '{format}'))"));
        assert!(ran.log()[0].starts_with("false") || format == r"\0%\0", "{format}");
    }
}

#[test]
fn the_rest_of_lua_is_there() {
    let lines = log(r#"
        print(string.format("%5.2f|%q", 3.14159, "x"), ("abc"):upper(), #table.pack(1, 2, 3))
        print(table.concat({ 1, 2, 3 }, ","), math.floor(2.5), math.maxinteger, utf8.len("äö"))
        print(coroutine.wrap(function(x) local y = coroutine.yield(x + 1) return y * 2 end)(1))
        print(select(2, pcall(error, "x")), select('#', table.unpack({}, 1, 3)))
        print(xpcall(function() error({ code = 5 }) end, function(e) return e.code end))
        print(load("return 1 + 1")(), load(function() return nil end), (load("x =", "=part")))
        print(select(2, load("x =", "=part")))
        print(load("return x", "=env", "t", { x = 9 })(), collectgarbage("count") > 0, collectgarbage("step"))
        goto done
        print("never")
        ::done::
        print(string.pack("<i4", 7):byte(1, -1))
        print(next({}), rawlen({ 1 }), rawequal(1, 1), type(os.time))
    "#);
    assert_eq!(lines[0], "3.14|\"x\"\tABC\t3".replace("3.14", " 3.14"));
    assert_eq!(lines[1], "1,2,3\t2\t9223372036854775807\t2");
    assert_eq!(lines[2], "2");
    assert_eq!(lines[3], "x\t3");
    assert_eq!(lines[4], "false\t5");
    assert!(lines[5].starts_with("2\tfunction: "), "{}", lines[5]);
    assert_eq!(lines[6], "part:1: unexpected symbol near <eof>");
    assert!(lines[7].starts_with("9\ttrue\t"), "{}", lines[7]);
    assert_eq!(lines[8], "7\t0\t0\t0");
    assert_eq!(lines[9], "nil\t1\ttrue\tfunction");
}

#[test]
fn errors_name_script_and_line() {
    assert_eq!(error("local x\n\nerror('message')").message, "install.lua:3: message");
    assert_eq!(error("\nlocal x = nil + 1").message, "install.lua:2: attempt to perform arithmetic on a nil value");
    assert_eq!(
        error("os.remove()").message,
        "install.lua:1: bad argument #1 to 'remove' (string expected, got no value)"
    );
    assert_eq!(error("x = = 1").message, "install.lua:1: unexpected symbol near '='");
    assert_eq!(error("x = = 1").kind, HookErrorKind::Syntax);
    assert_eq!(error("error('message', 0)").message, "message");
}

#[test]
fn h15_scripts_with_marks_and_other_line_ends_run() {
    let run = |script: &[u8]| run_with(script, &support::limits(), support::view(), 7);
    assert_eq!(run(b"\xef\xbb\xbfprint('bom')").log(), ["bom"]);
    assert_eq!(run(b"#!/usr/bin/lua\nprint('bang')").log(), ["bang"]);
    assert_eq!(run(b"\xef\xbb\xbf#!lua\r\nprint('both')\r\nprint('crlf')\r\n").log(), ["both", "crlf"]);
    assert_eq!(run(b"").log(), [""; 0]);
    assert_eq!(run(b"#").log(), [""; 0]);
    assert_eq!(run(b"#!lua\n\nerror('x')").error().message, "install.lua:3: x");
    assert_eq!(run(b"print('\xff\xfe')").log(), ["\u{fffd}\u{fffd}"]);
}
