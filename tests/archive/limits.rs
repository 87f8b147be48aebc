//! Archives that fill memory or disk, and packages that are merely large.

use std::fs;
use std::io::Write;

use packets_tests::{Entry, Package, TestEnvironment, is_root, noise, on_path, skip, tar_of};

/// Peak memory that any package may cost, however large it is.
const ANY: u64 = 48 << 20;

/// Its bounds are those of any [hostile](TestEnvironment::hostile) run.
fn bomb(environment: &TestEnvironment, what: &str) {
    let file = environment.work().join("bomb.pkt.tar.zst");
    let before = environment.everything();
    let output = environment.run(&["install", file.to_str().unwrap()]);
    before.assert_same(&environment.everything(), what);
    assert_eq!(output.code, 5, "{what}: {output}");
}

/// A package whose one large file is all zeros, compressed as it is written.
fn zeros(environment: &TestEnvironment, length: u64, info: &str, window: u32) {
    let manifest = format!("[Info]\nname = \"bomb\"\nversion = \"1\"\n{info}\n");
    let mut tar =
        tar_of(&[Entry::file("manifest.toml", &manifest), Entry::folder("data/"), Entry::file("data/zeros", "")]);
    tar.truncate(tar.len() - 1024);
    let last = tar.len() - 512;
    let mut header = tar::Header::from_byte_slice(&tar[last..]).clone();
    header.set_size(length);
    header.set_cksum();
    tar[last..].copy_from_slice(header.as_bytes());
    let file = fs::File::create(environment.work().join("bomb.pkt.tar.zst")).unwrap();
    let mut encoder = zstd::Encoder::new(file, 1).unwrap();
    encoder.window_log(window).unwrap();
    encoder.write_all(&tar).unwrap();
    let block = vec![0; 1 << 20];
    for _ in 0..length >> 20 {
        encoder.write_all(&block).unwrap();
    }
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap().sync_all().unwrap();
}

#[test]
fn a58_a_gigabyte_in_a_few_kilobytes() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    zeros(&environment, 1 << 30, "", 20);
    bomb(&environment, "A58 1 GiB of zeros");
}

#[test]
fn a59_a_manifest_that_lies_about_the_size() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    zeros(&environment, 512 << 20, "installed_size = 1000", 24);
    bomb(&environment, "A59 a size that is too small");
}

/// A disk that is too small, for one run: a tmpfs in a name space of its own. The files
/// that are left on it are listed at the end.
fn on_a_small_disk(environment: &mut TestEnvironment) -> bool {
    let (true, Some(unshare)) = (is_root(), on_path("unshare")) else {
        skip("needs root and unshare for a small disk");
        return false;
    };
    let root = environment.root().display().to_string();
    let script = "mount -t tmpfs -o size=64m none \"$0\" && { \"$@\"; code=$?; find \"$0\" -size +100k -printf 'left: %p\\n' >&2; exit $code; }";
    let words = [unshare.to_str().unwrap(), "--mount", "--propagation", "private", "sh", "-c", script, root.as_str()];
    environment.run_by(words.map(str::to_owned).to_vec());
    true
}

#[test]
fn a59_a_size_that_no_disk_has() {
    let mut environment = TestEnvironment::hostile();
    zeros(&environment, 512 << 20, "installed_size = 9000000000000000000", 24);
    if on_a_small_disk(&mut environment) {
        let output = environment.run(&["install", "./bomb.pkt.tar.zst"]);
        assert!([5, 7].contains(&output.code), "{output}");
        assert!(!output.stderr.contains("left: "), "something is left: {output}");
    }
}

#[test]
fn c09_a_disk_that_is_full_is_no_half_install() {
    let mut environment = TestEnvironment::hostile();
    Package::program("large", "1").bytes("noise", &noise(80 << 20)).file(&environment.work());
    if on_a_small_disk(&mut environment) {
        let output = environment.run(&["install", "./large-1.pkt.tar.zst"]);
        assert!([5, 7].contains(&output.code), "{output}");
        assert!(!output.stderr.contains("left: "), "something is left: {output}");
    }
}

#[test]
fn a60_a_window_that_is_too_large() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    zeros(&environment, 256 << 20, "installed_size = 300000000", 27);
    bomb(&environment, "A60 a window of 128 MiB");
}

#[test]
fn a66_files_without_number() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let manifest = "[Info]\nname = \"bomb\"\nversion = \"1\"\n";
    let file = fs::File::create(environment.work().join("bomb.pkt.tar.zst")).unwrap();
    let mut encoder = zstd::Encoder::new(file, 1).unwrap();
    let mut start = tar_of(&[Entry::file("manifest.toml", manifest), Entry::folder("data/")]);
    start.truncate(start.len() - 1024);
    encoder.write_all(&start).unwrap();
    for number in 0..120_000 {
        let entry = tar_of(&[Entry::file(&format!("data/{number}"), "")]);
        encoder.write_all(&entry[..512]).unwrap();
    }
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap();
    bomb(&environment, "A66 120,000 empty files");
}

#[test]
fn a_large_package_needs_little_memory() {
    let environment = TestEnvironment::hostile();
    let package = Package::program("large", "1").bytes("noise", &noise(300 << 20));
    let folder = package.write(&environment.work());
    drop(package);
    let file = environment.work().join("large.pkt.tar.zst");
    environment.run_plain(&["pack", folder.to_str().unwrap(), "-o", file.to_str().unwrap()]).ok();
    fs::remove_dir_all(folder).unwrap();
    for step in [["install", file.to_str().unwrap()], ["remove", "large"]] {
        let (output, cost) = environment.run_measured(&step);
        output.ok();
        assert!(cost.memory <= ANY, "{step:?} took {} MiB", cost.memory >> 20);
    }
}
