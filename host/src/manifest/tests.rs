use super::*;

const FULL: &str = r#"
[Info]
name = "nginx"
version = "1.29.1"
description = "a \u001b[2J server"
dependencies = ["pcre2", "zlib>=1.3", "a | b"]
author = "someone"
family = "1f84ca15-5077-4f1d-a370-0ec860766eb2"
serial = 7
alias = "web"
conflicts = ["apache"]
provides = ["httpd"]
license = "BSD-2-Clause"
homepage = "https://example.org"
arch = "x86_64"
installed_size = 0x10
[Hooks]
install = "./scripts/install.lua"
remove = ""
[Permissions]
write = ["/etc/nginx/"]
read = []
replace = ["/usr/bin/web"]
"#;

fn parse(text: &str) -> Result<(Manifest, Vec<String>)> {
    Manifest::parse(text.as_bytes())
}

fn with(lines: &str) -> String {
    format!("[Info]\nname = \"a\"\nversion = \"1\"\n{lines}")
}

fn refused(text: &str, part: &str) {
    let error = parse(text).expect_err(text).to_string();
    assert!(error.contains(part), "{text:?}: {error}");
}

#[test]
fn reads_every_field() {
    let (manifest, warnings) = parse(FULL).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let info = manifest.info;
    assert_eq!(info.name.as_str(), "nginx");
    assert_eq!(info.version.as_str(), "1.29.1");
    assert_eq!(info.description, "a \u{1b}[2J server", "M31: kept as it is");
    assert_eq!(info.dependencies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["pcre2", "zlib>=1.3", "a | b"]);
    assert_eq!((info.serial, info.installed_size), (7, Some(16)));
    assert_eq!(info.alias.unwrap().as_str(), "web");
    assert_eq!(info.arch.as_deref(), Some("x86_64"));
    assert_eq!(manifest.hooks.install.unwrap().as_str(), "scripts/install.lua");
    assert_eq!(manifest.hooks.remove, None, "v1 writes an empty string where there is none");
    assert_eq!(manifest.permissions.write[0].as_str(), "etc/nginx");
    assert_eq!(manifest.permissions.replace[0].as_str(), "usr/bin/web");
}

#[test]
fn reads_what_v1_wrote() {
    let text = "[Info]\nname = \"Go_1\"\nversion = \"1.24.4\"\ndescription = \"\"\ndependencies = [\"\"]\nauthor = \"x\"\n\
                family = \"\"\nserial = 0\n\n[Hooks]\ninstall = \"install.lua\"\nremove = \"remove.lua\"\n";
    let (manifest, warnings) = parse(text).unwrap();
    assert!(warnings.is_empty());
    assert!(manifest.info.family.is_none() && manifest.info.dependencies.is_empty());
    assert_eq!(manifest.hooks.files().count(), 2);
}

#[test]
fn m32_unknown_keys_are_warnings() {
    let (_, warnings) = parse(&with("colour = 1\n[Later]\nx = 1\n")).unwrap();
    assert_eq!(
        warnings,
        [
            "manifest.toml, line 4: [Info] colour is not known to this version",
            "manifest.toml, line 5: Later is not known to this version"
        ]
    );
    let many = (0..5000).fold(String::new(), |text, n| format!("{text}k{n} = 1\n"));
    assert_eq!(parse(&with(&many)).unwrap().1.len(), 20);
}

#[test]
fn m32_what_is_no_manifest() {
    refused("", "no table [Info]");
    refused("[Info]\n", "[Info] has no name");
    refused("[Info]\nname = \"a\"\n", "[Info] has no version");
    refused("Info = 1\n", "line 1: Info: is an integer, not a table");
    refused("\u{feff}[Info]\n", "byte order mark");
    refused(&with("serial = 1\nserial = 2\n"), "line 5: duplicate key");
    refused(&with("[Info]\n"), "line 4: duplicate key");
    refused(&with("serial = 9223372036854775808\n"), "line 4: [Info] serial: is not from 0 to");
    refused(&with("serial = -1\n"), "line 4: [Info] serial: is not from 0 to");
    refused(&with("serial = \"1\"\n"), "line 4: [Info] serial: is a string, not an integer");
    refused(&with("description = 1\n"), "line 4: [Info] description: is an integer, not a string");
    refused(&with("dependencies = \"a\"\n"), "line 4: [Info] dependencies: is a string, not a list");
    refused(&with("dependencies = [\n\"b\",\n1]\n"), "line 6: [Info] dependencies: is an integer");
    refused(&with("dependencies = [\"a b\"]\n"), "line 4: [Info] dependencies: \"a b\" is not a package name");
    refused(&with("family = \"\\u0007\"\n"), "[Info] family");
    refused(&with("arch = \"../x\"\n"), "[Info] arch");
    refused("[Info]\nname = \"../x\"\n", "line 2: [Info] name: \"../x\" is not a package name");
    let error = Manifest::parse(b"[Info]\n\nname = \"\xff\"\n").unwrap_err().to_string();
    assert_eq!(error, "manifest.toml, line 3: is not UTF-8");
    assert_eq!(parse("x").unwrap_err().kind(), crate::error::ErrorKind::Integrity);
}

#[test]
fn m32_nesting_and_size_are_bounded() {
    let deep = 20_000;
    for text in [
        format!("x = {}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("x = {}1{}", "{a=".repeat(deep), "}".repeat(deep)),
        format!("{}x = 1", "a.".repeat(deep)),
        format!("[{}x]", "a.".repeat(deep)),
        format!("x = {}", "[".repeat(deep)),
    ] {
        assert!(parse(&with(&text)).is_err(), "M32 {}", &text[..20]);
    }
    refused(&with(&format!("author = \"{}\"", "x".repeat(MAX_SIZE))), "at most 262144 are allowed");
    let many = vec!["\"a\""; MAX_LIST + 1].join(",");
    refused(&with(&format!("dependencies = [{many}]")), "at most 1000 are allowed");
}

#[test]
fn h28_permissions_are_absolute_and_never_everything() {
    for bad in [r"/", r"//", r"/.", r"etc", r"/etc/../x", r"./etc", r"/a\u202eb", r"/a\u0000b", r"/a\nb"] {
        refused(&with(&format!("[Permissions]\nwrite = [\"{bad}\"]\n")), "line 5: [Permissions] write");
    }
    let many = (0..=MAX_PERMISSIONS).map(|n| format!("\"/etc/{n}\"")).collect::<Vec<_>>().join(",");
    refused(&with(&format!("[Permissions]\nread = [{many}]\n")), "at most 256 are allowed");
}

#[test]
fn hooks_lie_in_the_package_beside_data() {
    for bad in ["/x.lua", "../x.lua", "data/x.lua", "data", "manifest.toml", "a//b", "a/", ".", "x\\u001b"] {
        refused(&with(&format!("[Hooks]\ninstall = \"{bad}\"\n")), "line 5: [Hooks] install");
    }
    let (manifest, _) = parse(&with("[Hooks]\ninstall = \"h.lua\"\nremove = \"./h.lua\"\n")).unwrap();
    assert_eq!(manifest.hooks.files().count(), 1);
}

proptest::proptest! {
    #[test]
    fn m32_any_bytes_give_a_manifest_or_an_error(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = Manifest::parse(&bytes);
        let _ = Manifest::parse(&[FULL.as_bytes(), &bytes].concat());
    }
}

#[test]
fn m32_m28_h28_what_just_fits() {
    let text = |size: usize| {
        let rest = with("author = \"\"").len();
        with(&format!("author = \"{}\"", "x".repeat(size - rest)))
    };
    assert_eq!(text(MAX_SIZE).len(), MAX_SIZE);
    parse(&text(MAX_SIZE)).unwrap();
    refused(&text(MAX_SIZE + 1), "has 262145 bytes; at most 262144 are allowed");
    for key in ["dependencies", "conflicts", "provides"] {
        let list = |count: usize| (0..count).map(|n| format!("\"a{n}\"")).collect::<Vec<_>>().join(",");
        parse(&with(&format!("{key} = [{}]", list(MAX_LIST)))).unwrap();
        refused(&with(&format!("{key} = [{}]", list(MAX_LIST + 1))), "at most 1000 are allowed");
    }
    for key in ["write", "read", "replace"] {
        let list = |count: usize| (0..count).map(|n| format!("\"/etc/{n}\"")).collect::<Vec<_>>().join(",");
        parse(&with(&format!("[Permissions]\n{key} = [{}]\n", list(MAX_PERMISSIONS)))).unwrap();
        refused(&with(&format!("[Permissions]\n{key} = [{}]\n", list(MAX_PERMISSIONS + 1))), "at most 256 are allowed");
    }
    let unknown = |count: usize| (0..count).map(|n| format!("x{n} = 1\n")).collect::<String>();
    for (count, told) in [(limits::MAX_WARNINGS, limits::MAX_WARNINGS), (500, limits::MAX_WARNINGS)] {
        assert_eq!(parse(&with(&unknown(count))).unwrap().1.len(), told);
    }
}
