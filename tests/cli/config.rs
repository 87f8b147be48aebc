//! `config`: shown, checked, changed.

use packets_tests::{Package, TestEnvironment};

const FILE: &str = "etc/packets/config.toml";

#[test]
fn what_is_in_force_is_shown() {
    let environment = TestEnvironment::new();
    let show = |key: &str| environment.run(&["config", "show", key]);
    let all = environment.run(&["config", "show"]).ok().prints("[Config]\n").prints("dataDir = \"/opt/packets\"\n");
    all.says("which is not there: these are the defaults");
    assert!(!environment.exists(FILE), "showing writes nothing");
    assert_eq!(show("Config.dataDir").ok().stdout, "/opt/packets\n");
    assert_eq!(show("Sandbox.memory").ok().stdout, "64MiB\n");
    show("History").ok().prints("keep = 10\n");
    show("Config.datadir").fails(1).says("the config has no key Config.datadir").says("did you mean Config.dataDir?");
    show("Nothing").fails(1).says("there are Config, Fetch, History, Lan, Plugins, Sandbox, Sync");
    let json = environment.run(&["config", "show", "Config", "--json"]).ok().json();
    assert_eq!((&json["config"]["httpPort"], &json["exists"]), (&9123.into(), &false.into()));
}

#[test]
fn a_value_is_set_and_everything_else_stays() {
    let environment = TestEnvironment::new();
    let text = "# ours\n[Config]   # v1\nhttpPort = 9000 # not the usual one\n\n[Sandbox]\ncpu='3s'\n# the end\n";
    environment.put(FILE, text);
    let set = |key: &str, value: &str| environment.run(&["config", "set", key, value]);
    set("Config.httpPort", "9001").ok().says("Config.httpPort = 9001 (was 9000)");
    assert_eq!(environment.read(FILE), text.replace("9000", "9001"));
    set("Config.httpPort", "9001").ok().says("is 9001 already");
    set("Sandbox.cpu", "7s").ok();
    set("Config.dayToDeleteCacheDir", "true").ok();
    set("Config.daysToDelete", "-1").ok();
    set("Fetch.sources", "[\"cache\", \"http\"]").ok();
    set("Sync.url", "42").ok();
    let text = environment.read(FILE);
    for part in
        ["# ours\n[Config]   # v1\n", "9001 # not the usual one\n", "cpu=\"7s\"\n", "# the end\n", "url = \"42\""]
    {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert_eq!(environment.run(&["config", "show", "Fetch.sources"]).ok().stdout, "[\"cache\", \"http\"]\n");
    let before = environment.everything();
    environment.run(&["config", "set", "History.keep", "3", "--dry-run"]).ok().prints("History.keep = 3 (was 10)");
    before.assert_same(&environment.everything(), "a dry run");
}

#[test]
fn what_could_not_be_used_is_not_written() {
    let environment = TestEnvironment::new();
    environment.prime();
    let set = |key: &str, value: &str| environment.refused(1, || environment.run(&["config", "set", key, value]));
    set("Config.httpPort", "70000").says("cannot set Config.httpPort to 70000").says("a number from 0 to 65535");
    set("Config.dataDir", "opt").says("absolute path");
    set("Sandbox.memory", "much").says("64MiB");
    set("Sandbox.onDenied", "shrug").says("`fail`");
    set("Sandbox.memorry", "1MiB").says("did you mean Sandbox.memory?");
    set("Sandbox", "x").says("it is a table");
    set("Config.lastDataDir", "/x").says("kept by packets itself");
    let own = environment.work().join("mine.toml");
    std::fs::write(&own, "").unwrap();
    let arguments = ["--config", own.to_str().unwrap(), "config", "set", "History.keep", "1"];
    environment.refused(1, || environment.run(&arguments)).says("edit ");
}

#[test]
fn a_wrong_key_names_file_line_key_and_what_is_allowed() {
    let environment = TestEnvironment::new();
    environment.run(&["config", "check"]).ok().says("the defaults are in force");
    environment.put(FILE, "[Config]\n\n[Sandbox]\nmemorry = \"1MiB\"\n");
    for arguments in [&["config", "check"][..], &["list"], &["config", "set", "History.keep", "1"]] {
        let output = environment.run(arguments).fails(1).says(FILE).says("line 4").says("memorry").says("`memory`");
        output.says("hint: did you mean memory?");
    }
    environment.put(FILE, "[Fetch]\nsources = [\"cash\"]\n");
    environment.run(&["config", "check"]).fails(1).says("there is no such source");
    environment.put(FILE, "[Config]\nbinDir = \"/usr/local/bin\"\n");
    environment.run(&["config", "check"]).ok().says("can be used");
    environment.install(&Package::program("tool", "1")).ok();
    assert!(environment.exists("usr/local/bin/tool"));
}
