//! Archives as the tools in use write them.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::builder::{MANIFEST, compress};
use super::{Site, listing, walk};

fn tree(at: &Path) {
    std::fs::create_dir_all(at.join("data/deep/er")).unwrap();
    std::fs::create_dir_all(at.join("scripts")).unwrap();
    let manifest = [MANIFEST, b"[Hooks]\ninstall = \"scripts/install.lua\"\n"].concat();
    std::fs::write(at.join("manifest.toml"), manifest).unwrap();
    std::fs::write(at.join("scripts/install.lua"), "print(1)\n").unwrap();
    std::fs::write(at.join("data/main"), vec![b'x'; 5000]).unwrap();
    std::fs::write(at.join("data/deep").join("n".repeat(200)), "long").unwrap();
    std::fs::write(at.join("data/deep/er/\u{e9}"), "").unwrap();
    std::fs::hard_link(at.join("data/main"), at.join("data/twin")).unwrap();
    symlink("deep/er", at.join("data/link")).unwrap();
    symlink("t".repeat(150), at.join("data/long link")).unwrap();
    std::fs::set_permissions(at.join("data/main"), PermissionsExt::from_mode(0o755)).unwrap();
}

/// The output of a program; none where the machine does not have it.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn run(program: &str, arguments: &[&str], at: &Path) -> Option<Vec<u8>> {
    match Command::new(program).args(arguments).current_dir(at).env_clear().env("PATH", "/usr/bin:/bin").output() {
        Ok(output) => {
            assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            Some(output.stdout)
        }
        Err(error) => {
            eprintln!("skipped: {program} is not on this machine ({error})");
            None
        }
    }
}

#[test]
fn gnu_tar_in_all_its_formats() {
    let home = tempfile::tempdir().unwrap();
    tree(home.path());
    for format in ["gnu", "oldgnu", "posix"] {
        for what in
            [&["."][..], &["manifest.toml", "scripts", "data"], &["data", "scripts/install.lua", "manifest.toml"]]
        {
            let format = format!("--format={format}");
            let arguments = [&["-cf", "-", &format, "--no-xattrs"], what].concat();
            let Some(tar) = run("tar", &arguments, home.path()) else { return };
            assert_eq!(tar.len() % 10_240, 0, "A54 positive: padded to a record");
            let package = compress(&tar);
            let (_, summary) = listing(&package).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
            assert_eq!(summary.files, 6, "{arguments:?}");
            let site = Site::new();
            site.unpack(&package).unwrap();
            let modes = |root: &Path| walk(&root.join("data"));
            assert_eq!(modes(&site.staging().join("a")), modes(home.path()), "{arguments:?}");
        }
    }
}

#[test]
fn old_formats_and_other_writers() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("data")).unwrap();
    std::fs::write(home.path().join("manifest.toml"), MANIFEST).unwrap();
    std::fs::write(home.path().join("data/x"), "x").unwrap();
    for format in ["v7", "ustar"] {
        let Some(tar) = run("tar", &["-cf", "-", &format!("--format={format}"), "."], home.path()) else { return };
        assert_eq!(listing(&compress(&tar)).unwrap_or_else(|error| panic!("{format}: {error}")).1.files, 2);
    }
    let script = "import sys,tarfile\nt=tarfile.open(fileobj=sys.stdout.buffer,mode='w|',format=tarfile.PAX_FORMAT)\nt.add('.')\nt.close()";
    if let Some(tar) = run("python3", &["-c", script], home.path()) {
        assert_eq!(listing(&compress(&tar)).unwrap().1.files, 2, "Python's tarfile");
    }
    let name = "n".repeat(200);
    std::fs::write(home.path().join("data").join(&name), "long").unwrap();
    let script = format!(
        "my $tar = Archive::Tar->new; $tar->add_files(qw(manifest.toml data/x data/{name})); $tar->write(\\*STDOUT)"
    );
    if let Some(tar) = run("perl", &["-MArchive::Tar", "-e", &script], home.path()) {
        assert_eq!(listing(&compress(&tar)).unwrap().1.files, 3, "Perl's Archive::Tar");
    }
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(".", home.path()).unwrap();
    assert_eq!(listing(&compress(&builder.into_inner().unwrap())).unwrap().1.files, 3, "the tar crate");
}

#[test]
fn the_zstd_program() {
    let home = tempfile::tempdir().unwrap();
    tree(home.path());
    for level in ["-1", "-19", "--no-check", "--ultra -20"] {
        let command = format!("tar -cf - . | zstd -q -c {level}");
        let Some(package) = run("sh", &["-c", &command], home.path()) else { return };
        if package.is_empty() {
            return;
        }
        assert_eq!(listing(&package).unwrap_or_else(|error| panic!("{level}: {error}")).1.files, 6);
    }
    let Some(package) = run("sh", &["-c", "tar -cf - . | zstd -q -c --ultra -22"], home.path()) else { return };
    assert!(listing(&package).unwrap_err().to_string().contains("a level up to 19"), "A60");
}
