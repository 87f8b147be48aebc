//! Help.

use packets_tests::TestEnvironment;

const COMMANDS: [&str; 29] = [
    "push",
    "completions",
    "manual",
    "config",
    "approvals",
    "autoremove",
    "hold",
    "unhold",
    "mark",
    "install",
    "remove",
    "upgrade",
    "sync",
    "list",
    "search",
    "info",
    "files",
    "owns",
    "why",
    "verify",
    "history",
    "undo",
    "recover",
    "cache",
    "pack",
    "index",
    "hook",
    "serve",
    "plugin",
];

#[test]
fn help_names_every_command_and_each_has_its_own() {
    let environment = TestEnvironment::new();
    let help = environment.run_plain(&["--help"]).ok().stdout;
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command}")), "{command}: {help}");
        let own = environment.run_plain(&[command, "--help"]).ok();
        assert!(own.stdout.contains("Usage: packets"), "{own}");
        assert!(own.stderr.is_empty(), "{own}");
        assert!(own.stdout.lines().all(|line| line.chars().count() <= 100), "{own}");
    }
    let test = environment.run_plain(&["hook", "test", "--help"]).ok();
    assert!(test.stdout.contains("Examples:"));
}

#[test]
fn the_first_screen() {
    let environment = TestEnvironment::new();
    let help = environment.run_plain(&["--help"]).ok().stdout;
    let commands: Vec<&str> =
        help.lines().skip_while(|line| *line != "Commands:").take_while(|line| !line.is_empty()).collect();
    insta::assert_snapshot!(commands.join("\n"), @"
Commands:
  install      Install packages and what they need
  remove       Remove packages with everything that they and their hooks made [alias: uninstall]
  autoremove   Remove what came along with other packages and is needed by nothing any more
  upgrade      Upgrade packages, or all of them, to the newest release in the index [alias: update]
  hold         Keep packages as they are: nothing upgrades or replaces them
  unhold       Let packages be upgraded again that were held
  mark         Mark packages as asked for, or as needed by others only
  sync         Fetch the newest index
  list         List installed packages [alias: ls]
  search       Look for packages by words of their names and descriptions
  info         Show what is known of a package [alias: show]
  files        List the files of an installed package, those that its hooks made too
  owns         Tell which package a file, link or folder is of
  why          Tell why a package is installed: who asked for it, or what needs it
  verify       Compare what is installed with what is on record: what is missing, changed or extra
  history      List what was done, from where, and what can be undone
  undo         Take the last transaction back: files, what hooks did, and the record
  recover      Bring to its end what a crash has cut off
  relocate     Move the installed packages into dataDir, with the links that lead to them
  cache        Show or free what is kept: fetched packages, and what was displaced
  approvals    Show or take back what the hooks of packages may do because somebody said so
  config       Show, check or change the config
  pack         Make a package file from a folder; the same folder always gives the same bytes
  index        Make the index of a folder of package files; v1 can read it too
  push         Publish a folder of package files and their index in a registry of images
  hook         Work with the hooks of packages
  serve        Share the fetched packages with other machines on the local network
  plugin       Work with places to fetch from that are loaded from files
  completions  Print the script that makes a shell complete commands, options and names of packages
  manual       Write the manual, one page a command
  help         Print this message or the help of the given subcommand(s)
");
}

#[test]
fn the_version_is_the_workspaces() {
    let environment = TestEnvironment::new();
    assert_eq!(environment.run_plain(&["--version"]).ok().stdout, format!("packets {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn there_is_no_way_to_switch_the_sandbox_off() {
    let environment = TestEnvironment::new();
    for command in COMMANDS {
        let help = environment.run_plain(&[command, "--help"]).ok().stdout;
        assert!(!help.contains("unsafe") && !help.contains("no-sandbox"), "{help}");
    }
    environment.run_plain(&["install", "--no-hooks", "x"]).says("--no-hooks");
}
