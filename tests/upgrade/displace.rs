//! `replace`: what others have stands aside for a package, and comes back.

use packets_tests::{Output, Package, TestEnvironment};

const LINK: &str = "assert(os.symlink(path_join(data_dir, 'name'), '/usr/bin/tool'))";

fn displacer(hook: &str) -> Package {
    Package::new("displacer", "1").family("f-displacer", 1).permission("replace = [\"/usr/bin/tool\"]").install(hook)
}

/// An environment whose administrator has approved the displacement.
fn approved() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.prime();
    let config = environment.read("etc/packets/config.toml");
    let grant = "[[Sandbox.grant]]\npackage = \"displacer\"\nfamily = \"f-displacer\"\nreplace = [\"/usr/bin/tool\"]\n";
    environment.put("etc/packets/config.toml", &format!("{config}\n{grant}"));
    environment
}

fn install(environment: &TestEnvironment, package: &Package) -> Output {
    environment.install(package)
}

#[test]
fn a_file_of_the_administrator_comes_back() {
    let environment = approved();
    environment.put("usr/bin/tool", "mine\n");
    let before = environment.system();
    for hook in [LINK, "assert(os.remove('/usr/bin/tool')) assert(os.mkdir('/usr/bin/tool', 493))"] {
        install(&environment, &displacer(hook)).ok();
        environment.run(&["remove", "displacer"]).ok();
        before.assert_same(&environment.system(), hook);
    }
}

#[test]
fn what_is_only_taken_away_could_not_come_back() {
    let environment = approved();
    environment.put("usr/bin/tool", "mine\n");
    let package = displacer("assert(os.remove('/usr/bin/tool'))");
    environment.refused(6, || install(&environment, &package)).says("puts nothing in its place");
}

#[test]
fn a_package_gets_back_what_it_had() {
    let environment = approved();
    environment.install(&Package::program("tool", "1")).ok();
    let before = environment.system();
    install(&environment, &displacer(LINK)).ok();
    assert_eq!(environment.read("usr/bin/tool"), "displacer 1\n");
    // The owner may not take it by an upgrade.
    environment.refused(6, || environment.install(&Package::program("tool", "2"))).says("it belongs to displacer");
    environment.run(&["remove", "displacer"]).ok();
    before.assert_same(&environment.system(), "the displacer has gone");
    environment.run(&["remove", "tool"]).ok();
    assert!(!environment.exists("usr/bin/tool"));
}

#[test]
fn what_a_package_had_that_has_gone_does_not_come_back() {
    let environment = approved();
    environment.install(&Package::program("tool", "1").remove("")).ok();
    install(&environment, &displacer(LINK)).ok();
    environment.run(&["remove", "tool"]).ok();
    assert_eq!(environment.read("usr/bin/tool"), "displacer 1\n");
    environment.run(&["remove", "displacer"]).ok();
    assert!(!environment.exists("usr/bin/tool"));
}
