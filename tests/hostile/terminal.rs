//! Text from outside is shown everywhere, and acts on no terminal. Each run is looked through by
//! [`packets_tests::Output`]; here each place that text comes from has some that would act.

use packets_tests::{Output, Package, Reply, Server, TestEnvironment, v1};

/// Clears the screen, sets the title, turns the text round, rings, ends the line.
const ACTING: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\u{9b}1mA\r\u{200b}";

/// The run shows it, escaped.
#[track_caller]
fn shows(output: Output) -> Output {
    let shown = [&output.stdout, &output.stderr].into_iter().any(|text| text.contains("\\u{1b}[2J"));
    assert!(shown, "the text is not shown at all: {output}");
    output
}

fn toml(text: &str) -> String {
    format!("{:?}", text)
        .replace("\\u{1b}", "\\u001b")
        .replace("\\u{7}", "\\u0007")
        .replace("\\u{202e}", "\\u202e")
        .replace("\\u{9b}", "\\u009b")
        .replace("\\u{200b}", "\\u200b")
}

#[test]
fn m31_manifests() {
    let environment = TestEnvironment::new();
    let all = ["description", "author", "license", "homepage"].map(|key| format!("{key} = {}", toml(ACTING)));
    let package = all.iter().fold(Package::new("tool", "1"), |package, line| package.info(line));
    environment.install(&package).ok();
    shows(environment.run(&["list"]).ok());
    shows(environment.run(&["info", "tool"]).ok());
    for key in ["version", "name", "family", "arch", "alias"] {
        let package = Package::new("other", "1");
        let line = format!("{key} = {}\n", toml(ACTING));
        let text = package
            .manifest()
            .lines()
            .filter(|old| !old.starts_with(&format!("{key} =")))
            .collect::<Vec<_>>()
            .join("\n");
        let text = text.replace("[Info]\n", &format!("[Info]\n{line}"));
        let refused = environment.install(&Package::new("other", "1").manifest_text(&text));
        assert_ne!(refused.code, 0, "{key}: {refused}");
    }
    let unknown = format!("{} = 1", toml(ACTING));
    shows(environment.install(&Package::new("tool", "2").info(&unknown)).ok());
    let permission = format!("write = [{}]", toml(&format!("/etc/{ACTING}")));
    environment.install(&Package::new("third", "1").permission(&permission));
    environment.install(&Package::new("fourth", "1").manifest_text(&format!("[Info]\nname = {ACTING}")));
}

#[test]
fn m31_hooks() {
    let environment = TestEnvironment::new();
    let lua = ACTING.bytes().map(|byte| format!("\\{byte:03}")).collect::<String>();
    shows(environment.install(&Package::new("a", "1").install(&format!("print('{lua}')"))).ok());
    shows(environment.install(&Package::new("b", "1").install(&format!("error('{lua}')"))).fails(6));
    shows(environment.install(&Package::new("c", "1").install(&format!("os.remove('/etc/{lua}')"))).fails(6));
    environment.install(&Package::new("d", "1").install(&format!("io.open('/usr/share/doc/{lua}', 'w'):close()")));
    environment.install(&Package::new("e", "1").install(ACTING)).fails(6);
    environment.install(&Package::new("f", "1").install(&format!("os.symlink('{lua}', '/usr/bin/f')")));
    environment.run(&["files", "f"]);
}

#[test]
fn m31_what_is_typed() {
    let environment = TestEnvironment::new();
    environment.prime();
    for arguments in
        [&["install", ACTING][..], &["remove", ACTING], &["info", ACTING], &["files", ACTING], &["undo", ACTING]]
    {
        assert_ne!(environment.run(arguments).code, 0);
    }
    environment.run(&[ACTING]).fails(2);
    environment.run(&["list", &format!("--{ACTING}")]).fails(2);
    let path = format!("./{ACTING}.pkt.tar.zst");
    assert_ne!(environment.run(&["install", &path]).code, 0);
    assert_ne!(environment.run(&["--repo", &path, "install", "a"]).code, 0);
    assert_ne!(environment.run(&["sync", &format!("http://127.0.0.1:1/{ACTING}")]).code, 0);
}

#[test]
fn m31_n14_servers() {
    let environment = TestEnvironment::new();
    environment.prime();
    let server = Server::start();
    let raw = |text: String| Reply::Raw(text.into_bytes());
    for (path, reply) in [
        ("/reason", raw(format!("HTTP/1.1 404 {ACTING}\r\nContent-Length: 0\r\n\r\n"))),
        ("/location", raw(format!("HTTP/1.1 302 Found\r\nLocation: /{ACTING}\r\nContent-Length: 0\r\n\r\n"))),
        ("/elsewhere", Reply::Redirect(format!("http://127.0.0.1:1/{}", ACTING.escape_unicode()))),
        ("/type", raw(format!("HTTP/1.1 200 OK\r\nContent-Type: {ACTING}\r\nContent-Length: 3\r\n\r\nabc"))),
        ("/encoding", raw(format!("HTTP/1.1 200 OK\r\nContent-Encoding: {ACTING}\r\nContent-Length: 3\r\n\r\nabc"))),
        ("/body", Reply::Bytes(ACTING.into())),
        ("/nothing", raw(ACTING.to_owned())),
    ] {
        server.set(path, reply);
        let output = environment.run(&["sync", &server.url(path)]);
        assert_ne!(output.code, 0, "{path}: {output}");
    }
}

#[test]
fn m31_configs_and_records() {
    let environment = TestEnvironment::new();
    environment.install(&Package::new("tool", "1")).ok();
    let good = environment.read("etc/packets/config.toml");
    for (old, new) in [
        ("[Config]\n", format!("[Config]\n{} = 1\n", toml(ACTING))),
        ("[Config]\n", format!("[Config]\n{ACTING} = 1\n")),
        ("\"/opt/packets\"", toml(&format!("/opt/{ACTING}"))),
        ("\"fail\"", toml(ACTING)),
    ] {
        let changed = good.replace(old, &new);
        assert_ne!(changed, good, "{old} is not in the config");
        environment.put("etc/packets/config.toml", &changed);
        environment.run(&["list"]);
        environment.run(&["remove", "tool", "--dry-run"]);
    }
    environment.put("etc/packets/config.toml", &good);
    let database = rusqlite::Connection::open(environment.at("etc/packets/installed.db")).unwrap();
    database.execute("UPDATE package_details SET description = ?1", [ACTING]).unwrap();
    shows(environment.run(&["list"]).ok());
    database.execute("UPDATE packages SET version = ?1", [ACTING]).unwrap();
    environment.run(&["list"]);
    database.execute("UPDATE packages SET version = '1', realname = ?1", [ACTING]).unwrap();
    environment.run(&["list"]);
    let old = TestEnvironment::new();
    old.put("etc/packets/config.toml", v1::CONFIG);
    std::fs::create_dir_all(old.at("etc/packets")).unwrap();
    let database = rusqlite::Connection::open(old.at("etc/packets/installed.db")).unwrap();
    database.execute_batch(v1::INSTALLED).unwrap();
    database.execute("INSERT INTO packages VALUES(?1, ?1, ?1, ?1, ?1, 1)", [ACTING]).unwrap();
    old.run(&["list"]);
    old.run(&["remove", "tool"]);
}
