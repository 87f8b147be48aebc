//! Other programs read archives too: what is taken here they must list alike. Where they do not
//! agree with each other, an archive means two things, and is refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use packets_host::archive::{Bounds, Sink, read};
use packets_host::error::Result;
use packets_plugin_api::relpath::RelPath;
use packets_tests::crash::say;
use packets_tests::{Random, hash, on_path, skip};

/// What an archive holds, by path: kind, size or target.
type Listing = BTreeMap<String, String>;

/// Lists as the other programs are asked to: a hard link with the path that it is a second name of.
#[derive(Default)]
struct Lister {
    listing: Listing,
    /// Folders that came, which others list only where they have an entry of their own.
    folders: Vec<String>,
    open: Option<(String, Vec<u8>)>,
}

impl Sink for Lister {
    fn folder(&mut self, path: &RelPath, _: u32) -> Result<()> {
        self.folders.push(path.to_string());
        Ok(())
    }
    fn folder_mode(&mut self, _: &RelPath, _: u32) -> Result<()> {
        Ok(())
    }
    fn file(&mut self, path: &RelPath, _: u32, _: u64) -> Result<()> {
        self.open = Some((path.to_string(), Vec::new()));
        Ok(())
    }
    fn content(&mut self, bytes: &[u8]) -> Result<()> {
        self.open.as_mut().unwrap().1.extend_from_slice(bytes);
        Ok(())
    }
    fn file_done(&mut self) -> Result<()> {
        let (path, content) = self.open.take().unwrap();
        self.listing.insert(path, format!("file {} {}", content.len(), hash(&content)));
        Ok(())
    }
    fn symlink(&mut self, path: &RelPath, target: &str) -> Result<()> {
        self.listing.insert(path.to_string(), format!("symlink {target}"));
        Ok(())
    }
    fn hard_link(&mut self, path: &RelPath, existing: &RelPath) -> Result<()> {
        self.listing.insert(path.to_string(), format!("hard link {existing}"));
        Ok(())
    }
}

fn ours(tar: &[u8]) -> Result<Lister> {
    let package = zstd::encode_all(tar, 1).unwrap();
    let bounds = Bounds { compressed: package.len() as u64, installed_size: None, available: None };
    let mut lister = Lister::default();
    read(&package[..], bounds, &mut lister)?;
    Ok(lister)
}

/// Python's tarfile, as one process for all: a line of JSON for each file named on its stdin.
const PYTHON: &str = r#"
import hashlib, json, posixpath, sys, tarfile
clean = lambda name: posixpath.normpath(name)
for file in sys.stdin:
    listing = {}
    try:
        with tarfile.open(file.rstrip('\n'), 'r:', errors='surrogateescape') as archive:
            for entry in archive:
                if clean(entry.name) == '.': continue
                if entry.isdir(): what = 'folder'
                elif entry.issym(): what = 'symlink ' + entry.linkname
                elif entry.islnk(): what = 'hard link ' + clean(entry.linkname)
                elif entry.isreg():
                    content = archive.extractfile(entry).read()
                    what = 'file %d %s' % (len(content), hashlib.sha256(content).hexdigest())
                else: what = 'other ' + repr(entry.type)
                if listing.setdefault(clean(entry.name), what) != what: what = 'twice'
                listing[clean(entry.name)] = what
        print(json.dumps(listing), flush=True)
    except Exception as error:
        print(json.dumps({'refused': str(error)}), flush=True)
"#;

fn python(files: &[std::path::PathBuf]) -> Option<Vec<Listing>> {
    let mut child = Command::new(on_path("python3")?)
        .args(["-c", PYTHON])
        .env_clear()
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let names: String = files.iter().fold(String::new(), |mut all, file| {
        writeln!(all, "{}", file.display()).unwrap();
        all
    });
    let writer = std::thread::spawn(move || stdin.write_all(names.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// libarchive: it is given `mtree`, a format of its own that escapes names; contents as SHA-256.
fn libarchive(bsdtar: &Path, file: &Path) -> Listing {
    let output = Command::new(bsdtar)
        .args(["-cf", "-", "--format=mtree", "--options=!all,type,size,link,sha256,nlink"])
        .arg(format!("@{}", file.display()))
        .env_clear()
        .env("LANG", "C.UTF-8")
        .output()
        .unwrap();
    if !output.status.success() {
        return [("refused".to_owned(), String::from_utf8_lossy(&output.stderr).into_owned())].into();
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let mut listing = Listing::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let path = unescaped(words.next().unwrap());
        let path = path.strip_prefix("./").unwrap_or(&path).trim_end_matches('/').to_owned();
        let value = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)).unwrap_or_default();
        let what = match value("type=") {
            "dir" => "folder".to_owned(),
            "link" => format!("symlink {}", unescaped(value("link="))),
            "file" => format!("file {} {}", value("size="), value("sha256digest=")),
            other => format!("other {other}"),
        };
        if path != "." && !path.is_empty() {
            let same = listing.insert(path.clone(), what.clone());
            if same.is_some_and(|same| same != what) {
                listing.insert(path, "twice".to_owned());
            }
        }
    }
    listing
}

/// mtree's way to write bytes: `\ooo`.
fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', more @ ..]) => {
                out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = more;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).unwrap()
}

/// The same in the eyes of another program; what differs, if anything does.
fn differs(ours: &Lister, theirs: &Listing, hard_links: bool) -> Option<String> {
    for (path, what) in theirs {
        let here = match ours.listing.get(path) {
            Some(here) => here.as_str(),
            None if ours.folders.contains(path) => "folder",
            None => return Some(format!("{path:?} is {what:?} there, and nothing here")),
        };
        // libarchive tells a second name only by its content.
        let same = here == what || !hard_links && here.starts_with("hard link ") && what.starts_with("file ");
        if !same {
            return Some(format!("{path:?} is {what:?} there, and {here:?} here"));
        }
    }
    let missing = ours.listing.keys().find(|path| !theirs.contains_key(*path));
    missing.map(|path| format!("{path:?} is here, and not there"))
}

/// A header whose checksum is right, whatever else is in it.
fn header(name: &str, kind: u8, size: u64, link: &str, random: &mut Random) -> [u8; 512] {
    let mut header = [0; 512];
    let split = name.find('/').filter(|_| random.below(4) == 0);
    let (prefix, rest) = split.map_or(("", name), |at| (&name[..at], &name[at + 1..]));
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &rest.as_bytes()[..rest.len().min(100)]);
    let mode = if kind == b'5' { "0000755\0" } else { "0000644\0" };
    put(100, mode.as_bytes());
    put(108, b"0000000\x000000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(156, &[kind]);
    put(157, &link.as_bytes()[..link.len().min(100)]);
    match random.below(8) {
        0 if prefix.is_empty() => {}
        1 if prefix.is_empty() => put(257, b"ustar  \0"),
        _ => {
            put(257, b"ustar\x0000");
            put(345, prefix.as_bytes());
        }
    }
    header
}

fn seal(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn pax_record(key: &str, value: &str) -> String {
    let body = format!(" {key}={value}\n");
    let mut length = body.len();
    while length != body.len() + length.to_string().len() {
        length = body.len() + length.to_string().len();
    }
    format!("{length}{body}")
}

/// Bytes where readers part: fields of the header, in both directions and beyond their ends.
fn disturb(header: &mut [u8; 512], random: &mut Random) {
    let at = match random.below(4) {
        0 => random.below(100),
        1 => 124 + random.below(12),
        2 => {
            random.of(&[156, 157, 257, 258, 262, 263, 264, 265, 297, 329, 337, 345, 346, 475, 476, 482, 483, 499, 500])
        }
        _ => random.below(512),
    };
    let digit = b'0' + u8::try_from(random.below(8)).unwrap();
    header[at] = random.of(&[0, b' ', b'/', b'.', b'0', b'1', b'7', 0x80, 0xff, b'-', b'x', b'5', digit]);
}

const NAMES: [&str; 12] = [
    "data/a",
    "./data/b",
    "data//c",
    "data/d/",
    "data/d/e",
    "data/./f",
    "data/\u{e9}",
    "data/d/g",
    "./data",
    "data/a/",
    "data",
    "./",
];

fn archive(random: &mut Random) -> Vec<u8> {
    let mut tar = Vec::new();
    let add = |tar: &mut Vec<u8>, name: &str, kind: u8, content: &[u8], link: &str, random: &mut Random, wild: bool| {
        let size = if wild && random.below(6) == 0 { random.below(1200) } else { content.len() };
        let mut header = header(name, kind, size as u64, link, random);
        if wild {
            disturb(&mut header, random);
        }
        seal(&mut header);
        tar.extend_from_slice(&header);
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    };
    let manifest = b"[Info]\nname = \"a\"\nversion = \"1\"\n";
    add(&mut tar, "manifest.toml", b'0', manifest, "", random, false);
    add(&mut tar, "data/", b'5', b"", "", random, false);
    for at in 0..=random.below(4) {
        let name = format!("{}{at}", random.of(&NAMES));
        let name = if random.below(3) == 0 { name } else { format!("data/plain{at}") };
        let wild = random.below(3) == 0;
        match random.below(12) {
            0 => {
                let long = format!("data/{}{at}\0", "long".repeat(1 + random.below(40)));
                add(&mut tar, "././@LongLink", b'L', long.as_bytes(), "", random, wild);
            }
            1 => {
                let key =
                    random.of(&["path", "linkpath", "size", "comment", "mtime", "GNU.sparse.name", "SCHILY.xattr.a"]);
                let number = random.below(9).to_string();
                let value = random.of(&["data/by pax", "./data/by-pax", "data/x/../y", "7", "", &number, "-1"]);
                let records = pax_record(key, value);
                let kind = random.of(b"xg");
                add(&mut tar, "pax", kind, records.as_bytes(), "", random, wild);
            }
            2 => add(&mut tar, &name, b'2', b"", random.of(&["target", "../a b", "/usr/bin", "x/"]), random, wild),
            3 => add(&mut tar, &name, b'1', b"", random.of(&["data/plain0", "./data/plain0", "plain0"]), random, wild),
            4 => add(&mut tar, &format!("{name}/"), b'5', b"", "", random, wild),
            _ => {
                let content = vec![b'a' + u8::try_from(at).unwrap(); random.below(700)];
                add(&mut tar, &name, random.of(b"00007\0"), &content, "", random, wild);
            }
        }
    }
    match random.below(10) {
        0 => tar.resize(tar.len() + 512, 0),
        1 => tar.extend_from_slice(&[0; 10240]),
        _ => tar.extend_from_slice(&[0; 1024]),
    }
    tar
}

#[test]
fn what_is_taken_others_list_alike() {
    let (Some(bsdtar), Some(_)) = (on_path("bsdtar"), on_path("python3")) else {
        return skip("needs bsdtar and python3");
    };
    let rounds = if std::env::var("PACKETS_SWEEP").is_ok() { 60_000 } else { 4_000 };
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(11);
    let (mut taken, mut refused) = (Vec::new(), 0);
    for round in 0..rounds {
        let tar = archive(&mut random);
        match ours(&tar) {
            Ok(lister) => {
                let file = folder.path().join(format!("{round}.tar"));
                std::fs::write(&file, &tar).unwrap();
                taken.push((file, lister));
            }
            Err(_) => refused += 1,
        }
    }
    let files: Vec<_> = taken.iter().map(|(file, _)| file.clone()).collect();
    let pythons = python(&files).unwrap();
    assert_eq!(pythons.len(), files.len());
    let mut wrong = Vec::new();
    for ((file, lister), python) in taken.iter().zip(&pythons) {
        let found = differs(lister, python, true).map(|what| format!("tarfile: {what}"));
        let found =
            found.or_else(|| differs(lister, &libarchive(&bsdtar, file), false).map(|what| format!("bsdtar: {what}")));
        wrong.extend(found.map(|what| format!("{}: {what}", file.file_name().unwrap().display())));
    }
    say(&format!("differential: {} archives taken and listed alike, {refused} refused", taken.len()));
    assert!(taken.len() > rounds / 20 && refused > rounds / 20, "{} taken, {refused} refused", taken.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), taken.len(), wrong[..wrong.len().min(20)].join("\n"));
}
