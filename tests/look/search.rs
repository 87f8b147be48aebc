//! `search`.

use packets_tests::{Package, TestEnvironment};

fn described(name: &str, description: &str) -> Package {
    Package::new(name, "1").info(&format!("description = \"{description}\""))
}

#[test]
fn names_and_descriptions_the_likeliest_first() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    for (name, description) in [
        ("other", "Reads geojson."),
        ("jq", "Works on JSON, quickly."),
        ("json-c", "A library."),
        ("json", "The real thing."),
        ("unrelated", "Nothing of it."),
    ] {
        described(name, description).file(&repo);
    }
    environment.run_plain(&["index", repo.to_str().unwrap()]).ok();
    environment.run(&["sync", repo.to_str().unwrap()]).ok();
    environment.run(&["install", "jq"]).ok();
    environment.install(&described("mine", "Is JSON too.")).ok();
    let expected = "json    1              The real thing.\n\
                    json-c  1              A library.\n\
                    jq      1 (installed)  Works on JSON, quickly.\n\
                    mine    1 (installed)  Is JSON too.\n\
                    other   1              Reads geojson.\n";
    assert_eq!(environment.run(&["search", "JSON"]).ok().stdout, expected);
    assert_eq!(environment.run(&["search", "json", "LIBRARY"]).ok().stdout, "json-c  1  A library.\n");
    let found = environment.run(&["search", "quickly", "--json"]).ok().json();
    let hit = serde_json::json!([
        {"name": "jq", "alias": null, "version": "1", "description": "Works on JSON, quickly.", "installed": "1"}
    ]);
    assert_eq!(found, hit);
    environment.refused(1, || environment.run(&["search", "absent", "word"])).says("no package has absent and word");
}

#[test]
fn without_an_index_and_in_a_folder() {
    let environment = TestEnvironment::new();
    environment.install(&described("mine", "Is JSON too.")).ok();
    environment.run(&["search", "json"]).ok().says("no index has been synced yet").prints("mine");
    environment.publish(&described("other", "More JSON."));
    let output = environment.run_with_repo(&["search", "json"]).ok();
    assert_eq!(output.stdout, "mine   1 (installed)  Is JSON too.\nother  1              More JSON.\n");
}

#[test]
fn m31_descriptions_do_nothing_to_the_terminal() {
    let environment = TestEnvironment::new();
    environment.publish(&described("bad", "\\u001b[31mred\\u202e"));
    let output = environment.run_with_repo(&["search", "red"]).ok().prints("\\u{1b}[31mred\\u{202e}");
    assert!(!output.stdout.contains('\u{1b}'), "M31 {output}");
    let found = environment.run_with_repo(&["search", "red", "--json"]).ok().json();
    assert_eq!(found[0]["description"], "\u{1b}[31mred\u{202e}", "M31: JSON is intact");
}
