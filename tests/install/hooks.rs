//! What hooks can do, as packages in use write them.

use packets_tests::{Package, TestEnvironment};

#[test]
fn the_style_in_use_works() {
    let environment = TestEnvironment::new();
    let hook = "local tool = path_join(packets_bin_dir, 'tool')
os.remove(tool)
local done, why = os.symlink(path_join(data_dir, 'main'), tool)
if not done then print(why) end
print(script, packets_package_dir, data_dir)";
    let package = Package::new("tool", "1").executable("main", "#!/bin/sh\necho main\n").install(hook);
    let output = environment.install(&package).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "main\n");
    output.says("tool: install.lua\t/opt/packets\t/opt/packets/tool/data");
}

#[test]
fn links_work_from_outside_the_root() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "1")).ok();
    let target = std::fs::read_link(environment.at("usr/bin/tool")).unwrap();
    assert_eq!(target.to_str(), Some("../../opt/packets/tool/data/tool"));
    environment.run(&["files", "tool"]).ok().prints("/usr/bin/tool -> ../../opt/packets/tool/data/tool  (hook)\n");
}

#[test]
fn files_are_written_copied_renamed_and_read() {
    TestEnvironment::with_and_without_openat2(|environment| {
        let hook = "
            local doc = '/usr/share/doc/' .. 'tool'
            assert(os.mkdir(doc, 493))
            assert(os.copy(path_join(data_dir, 'tree'), doc .. '/tree'))
            local file = assert(io.open(doc .. '/a', 'w'))
            file:write('one\\n', 2, '\\n') file:close()
            assert(os.rename(doc .. '/a', doc .. '/b'))
            local again = assert(io.open(doc .. '/b', 'a')) again:write('three\\n') again:close()
            local lines = {}
            for line in assert(io.open(doc .. '/b')):lines() do lines[#lines + 1] = line end
            assert(table.concat(lines, ',') == 'one,2,three', table.concat(lines, ','))
            assert(not io.open(doc .. '/absent'))
            -- In its own folder too.
            local own = assert(io.open(path_join(data_dir, 'made'), 'w')) own:write('by the hook') own:close()
            assert(os.remove(path_join(data_dir, 'name')))";
        let package =
            Package::new("tool", "1").data("tree/x/y", "deep").executable("tree/run", "#!/bin/sh\n").install(hook);
        environment.install(&package).ok();
        assert_eq!(environment.read("usr/share/doc/tool/b"), "one\n2\nthree\n");
        assert_eq!(environment.read("usr/share/doc/tool/tree/x/y"), "deep");
        assert_eq!(environment.read("opt/packets/tool/data/made"), "by the hook");
        assert!(!environment.exists("opt/packets/tool/data/name"));
        use std::os::unix::fs::MetadataExt;
        let mode = |path: &str| environment.at(path).metadata().unwrap().mode() & 0o7777;
        assert_eq!(
            [mode("usr/share/doc/tool/tree/run"), mode("usr/share/doc/tool/b"), mode("usr/share/doc/tool")],
            [0o755, 0o644, 0o755]
        );
        environment.run(&["remove", "tool"]).ok();
        assert!(!environment.exists("usr/share/doc/tool") && !environment.exists("opt/packets/tool"));
    });
}

#[test]
fn h07_nothing_of_one_hook_is_left_for_the_next() {
    let environment = TestEnvironment::new();
    let poison = "string.format = nil; _G.planted = 1; getmetatable('').__index = nil";
    environment.publish(&Package::new("bad", "1").install(poison));
    let check = "assert(planted == nil and string.format('%d', 1) == '1' and ('x'):rep(2) == 'xx')";
    environment.publish(&Package::new("next", "1").needs(&["bad"]).install(check));
    environment.run_with_repo(&["install", "next"]).ok();
}

#[test]
fn h34_a_hook_sees_the_transaction_not_the_machine() {
    let environment = TestEnvironment::new();
    let hook = "assert(os.getenv == nil and os.execute == nil and io.popen == nil and require == nil and debug == nil)
        assert(os.time() == os.time() and os.clock() ~= nil and os.date('%Y') >= '2024')
        assert(math.random() < 1)";
    environment.install(&Package::new("tool", "1").install(hook)).ok();
}

#[test]
fn hooks_of_one_command_see_each_other() {
    let environment = TestEnvironment::new();
    let first = "assert(os.mkdir('/usr/share/doc/both', 493)) local f = io.open('/usr/share/doc/both/first', 'w') f:write('1') f:close()";
    environment.publish(&Package::new("first", "1").install(first));
    let second = "assert(io.open('/usr/share/doc/both/first'):read('a') == '1')
        local f = io.open('/usr/share/doc/both/second', 'w') f:write('2') f:close()";
    environment.publish(&Package::new("second", "1").needs(&["first"]).install(second));
    environment.run_with_repo(&["install", "second"]).ok();
    // A folder that hooks made goes when it is empty and the last of them goes.
    environment.run(&["remove", "second"]).ok();
    assert!(environment.exists("usr/share/doc/both/first") && !environment.exists("usr/share/doc/both/second"));
    environment.run(&["remove", "first"]).ok();
    assert!(!environment.exists("usr/share/doc/both"));
}

#[test]
fn a_folder_of_packages_that_go_together_goes_with_the_last_of_them() {
    let environment = TestEnvironment::new();
    let publish = |name: &str, needs: &[&str]| {
        let write = format!(
            "os.mkdir('/usr/share/doc/all', 493) local f = io.open('/usr/share/doc/all/{name}', 'w') f:write('1') f:close()"
        );
        // The folder is there for the remove hook of each, whatever has gone before.
        let look = "local f = assert(io.open('/usr/share/doc/all/note', 'w')) f:write('x') f:close() os.remove('/usr/share/doc/all/note')";
        environment.publish(&Package::new(name, "1").needs(needs).install(&write).remove(look));
    };
    publish("first", &[]);
    publish("second", &["first"]);
    publish("third", &["second"]);
    publish("fourth", &["third"]);
    environment.run_with_repo(&["install", "fourth"]).ok();
    environment.run(&["remove", "third", "fourth"]).ok();
    assert!(environment.exists("usr/share/doc/all/second") && !environment.exists("usr/share/doc/all/third"));
    environment.run(&["remove", "first", "second"]).ok();
    assert!(!environment.exists("usr/share/doc/all"), "nobody is left");
    environment.run(&["undo"]).ok();
    environment.run_with_repo(&["install", "fourth"]).ok();
    std::fs::write(environment.at("usr/share/doc/all/mine"), "the administrator's").unwrap();
    environment.run(&["remove", "first", "second", "third", "fourth"]).ok();
    assert_eq!(std::fs::read_dir(environment.at("usr/share/doc/all")).unwrap().count(), 1, "what is not theirs stays");
}

#[test]
fn h14_what_hooks_print_is_bounded_and_harmless() {
    let environment = TestEnvironment::new();
    let output = environment.install(&Package::new("tool", "1").install("print('\\27[31mred\\27[0m\\0')")).ok();
    assert!(!output.stderr.contains('\u{1b}') && output.stderr.contains("\\u{1b}[31mred"), "{output}");
    let flood = Package::new("flood", "1").install("for n = 1, 1e7 do print(('x'):rep(1000)) end");
    let output = environment.install(&flood);
    assert!(output.stderr.len() < 4 << 20, "{} bytes", output.stderr.len());
    assert_eq!(output.code, 6);
}
