//! The places that a package comes from.

use std::fs;

use packets_tests::{Package, Reply, Server, TestEnvironment};

fn jq() -> Package {
    Package::program("jq", "1.7").family("f-jq", 1)
}

#[test]
fn by_name_from_a_folder_of_folders() {
    let environment = TestEnvironment::new();
    environment.publish(&jq());
    environment.run_with_repo(&["install", "jq"]).ok().says("installed jq 1.7");
    assert_eq!(environment.launch("usr/bin/jq", &[]), "jq 1.7\n");
}

#[test]
fn by_name_from_a_folder_of_package_files() {
    let environment = TestEnvironment::new();
    jq().file(&environment.repo());
    environment.run_with_repo(&["install", "jq"]).ok();
    assert_eq!(environment.launch("usr/bin/jq", &[]), "jq 1.7\n");
}

#[test]
fn by_name_from_an_index_beside_its_files() {
    let environment = TestEnvironment::new();
    jq().file(&environment.repo());
    environment.run_plain(&["index", environment.repo().to_str().unwrap()]).ok();
    environment.run_with_repo(&["install", "jq"]).ok();
    assert_eq!(environment.launch("usr/bin/jq", &[]), "jq 1.7\n");
}

#[test]
fn from_a_package_file_and_from_a_folder() {
    let environment = TestEnvironment::new();
    let file = jq().file(&environment.work());
    environment.run(&["install", file.to_str().unwrap()]).ok();
    Package::program("tree", "2").write(&environment.work());
    environment.run(&["install", "./tree"]).ok();
    assert_eq!(environment.launch("usr/bin/jq", &[]), "jq 1.7\n");
    assert_eq!(environment.launch("usr/bin/tree", &[]), "tree 2\n");
}

#[test]
fn from_a_synced_index_over_http_and_then_from_the_cache() {
    let environment = TestEnvironment::new();
    jq().file(&environment.repo());
    let server = Server::start();
    let repo = environment.repo();
    environment.run_plain(&["index", repo.to_str().unwrap(), "--url", &server.url("")]).ok();
    server.serve(&repo);
    environment.run(&["sync", &server.url("/index.db")]).ok();
    environment.run(&["install", "jq"]).ok();
    assert_eq!(environment.launch("usr/bin/jq", &[]), "jq 1.7\n");
    let asked = server.asked();
    assert_eq!(asked, ["/index.db", "/jq-1.7.pkt.tar.zst"]);

    let bytes = fs::read(repo.join("jq-1.7.pkt.tar.zst")).unwrap();
    let cached = environment.at("var/cache/packets").join(format!("{}.pkt.tar.zst", packets_tests::hash(&bytes)));
    assert_eq!(fs::read(cached).unwrap(), bytes, "N15 the cache names files by what they hold");
    environment.run(&["remove", "jq"]).ok();
    environment.run(&["install", "jq"]).ok();
    assert_eq!(server.asked(), asked, "the second time nothing is fetched");
}

#[test]
fn m23_n22_a_bad_mirror_does_not_block_a_good_one() {
    let environment = TestEnvironment::new();
    let file = jq().file(&environment.repo());
    let (bad, good) = (Server::start(), Server::start());
    let repo = environment.repo();
    let (bad_url, good_url) = (bad.url(""), good.url(""));
    environment.run_plain(&["index", repo.to_str().unwrap(), "--url", &bad_url, "--url", &good_url]).ok();
    good.serve(&repo);
    let mut wrong = fs::read(&file).unwrap();
    wrong[100] ^= 1;
    for reply in [
        Reply::Status(500),
        Reply::Bytes(wrong.clone()),
        Reply::Cut(wrong.clone(), 50),
        Reply::Bytes([wrong.clone(), vec![0]].concat()),
        Reply::Endless,
        Reply::Redirect("file:///etc/passwd".to_owned()),
    ] {
        bad.set("/jq-1.7.pkt.tar.zst", reply.clone());
        fs::remove_dir_all(environment.root()).unwrap();
        fs::create_dir(environment.root()).unwrap();
        let output = environment.run(&["--repo", &good.url("/index.db"), "install", "jq"]);
        assert_eq!(output.code, 0, "{reply:.40?}: {output}");
        assert_eq!(environment.launch("usr/bin/jq", &[]), "jq 1.7\n");
    }
}

#[test]
fn a_choice_between_packages_of_one_name_is_the_users() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::program("go1", "1").info("alias = \"go\"").family("go", 1));
    environment.publish(&Package::program("go2", "2").info("alias = \"go\"").family("go", 2));
    let (root, repo) = (environment.root(), environment.repo());
    let plain = ["--root", root.to_str().unwrap(), "--repo", repo.to_str().unwrap(), "install", "go"];
    environment.run_plain(&plain).fails(1).says("go2").says("go1");
    environment.run_with_repo(&["install", "go"]).ok();
    assert_eq!(environment.installed(), ["go2"]);
}

#[test]
fn what_provides_a_name_answers_to_it() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("mawk", "1").info("provides = [\"awk\"]"));
    environment.run_with_repo(&["install", "awk"]).ok();
    assert_eq!(environment.installed(), ["mawk"]);
}
