//! The suite that every hook runner must pass.

use packets_plugin_api::conformance::hook::{Scripts, hook_runner_suite};
use packets_plugin_api::registry::{Plugin, Registry};

#[test]
fn lua_is_a_hook_runner() {
    let mut registry = Registry::default();
    packets_plugin_lua::LuaPlugin.register(&mut registry).unwrap();
    let (_, make) = registry.hooks().next().unwrap();
    hook_runner_suite(
        make,
        Scripts {
            name: "install.lua",
            nothing: "",
            prints: "print('hello')",
            writes: "local file = assert(io.open('/usr/bin/made', 'w')) file:write('made')",
            reads_secret: "print(io.open('/etc/secret') ~= nil)",
            fails: "error('broken')",
            endless: "while true do pcall(function() while true do end end) end",
            hungry: "local all = {} while true do pcall(function() all[#all + 1] = ('x'):rep(100000) .. #all end) end",
            remembers: "print(remembered or 'none') remembered = 'something'",
            time_and_chance: "print(os.time(), os.date('%c'), math.random(), math.random(1000), tostring({}))",
            malformed: "if then",
        },
    );
}
