//! File systems of a test's own, in a mount name space of its own: they go with the thread
//! that made them, however it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::skip::{is_root, on_path};

/// Runs `test` in a thread that has its own mounts; false where the machine has no such thing.
pub fn with_own_mounts(test: impl FnOnce() + Send) -> bool {
    if !is_root() || on_path("mount").is_none() {
        return false;
    }
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    std::thread::scope(|scope| {
        let run = || {
            if unshare(CloneFlags::CLONE_NEWNS).is_err() {
                return false;
            }
            let nothing = None::<&str>;
            if mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).is_err() {
                return false;
            }
            test();
            true
        };
        match std::thread::Builder::new().name(name).spawn_scoped(scope, run).unwrap().join() {
            Ok(ran) => ran,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// A mounted file system; unmounted when it is dropped.
#[derive(Debug)]
pub struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// One in memory, with these options (e.g. `size=1m,nr_inodes=40`).
    pub fn memory(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
        Self { at: at.to_owned() }
    }

    /// An image, through a loop device; the error that the kernel gives.
    ///
    /// # Errors
    /// It cannot be mounted, e.g. for want of loop devices.
    pub fn image(image: &Path, at: &Path, options: &str) -> Result<Self, String> {
        fs::create_dir_all(at).unwrap();
        let options = ["loop", options].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",");
        let output = Command::new("mount").args(["-o", &options]).arg(image).arg(at).output().unwrap();
        match output.status.success() {
            true => Ok(Self { at: at.to_owned() }),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// An overlay over what stands at `at`, whose folders cannot be moved; `upper` and `work` are folders beside it.
    ///
    /// # Errors
    /// The machine has no overlays.
    pub fn overlay(at: &Path, upper: &Path, work: &Path) -> Result<Self, String> {
        fs::create_dir_all(upper).unwrap();
        fs::create_dir_all(work).unwrap();
        let (lower, upper, work) = (at.display(), upper.display(), work.display());
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off");
        mount(Some("overlay"), at, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .map_err(|error| format!("no overlay: {error}"))?;
        Ok(Self { at: at.to_owned() })
    }

    /// Changes its options, e.g. to `ro`.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.at).status().unwrap();
        assert!(status.success(), "cannot remount {} with {options}", self.at.display());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let busy = |at: &Path| umount2(at, MntFlags::empty()).is_err();
        for _ in 0..50 {
            if !busy(&self.at) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

/// A file system with a journal of some kind, in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// With a journal of 4 MiB.
    Ext4,
    /// With a log of 8 MiB.
    Xfs,
    /// With data and metadata mixed, as it is on small disks.
    Btrfs,
}

impl FileSystem {
    /// The program that makes it, and its arguments.
    fn maker(self) -> (&'static str, &'static str) {
        match self {
            Self::Ext4 => (
                "mkfs.ext4",
                "-q -F -b 4096 -I 256 -N 4096 -J size=4 -m 0 \
                 -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,nodiscard",
            ),
            Self::Xfs => ("mkfs.xfs", "-q -K -l size=8m --unsupported"),
            Self::Btrfs => ("mkfs.btrfs", "-q -K --mixed -m single -d single"),
        }
    }

    /// Its size in MiB, which is as small as it may be.
    fn size(self) -> u64 {
        match self {
            Self::Ext4 => 24,
            Self::Xfs | Self::Btrfs => 64,
        }
    }

    /// Makes an empty one.
    ///
    /// # Errors
    /// What this machine lacks.
    pub fn make(self, image: &Path) -> Result<(), String> {
        let (name, arguments) = self.maker();
        let program = on_path(name).ok_or_else(|| format!("needs {name}"))?;
        fs::File::create(image).unwrap().set_len(self.size() << 20).unwrap();
        let output = Command::new(program).args(arguments.split_whitespace()).arg(image).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Ok(())
    }
}

impl std::fmt::Display for FileSystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.maker().0.trim_start_matches("mkfs."))
    }
}

/// Copies an image, holes as holes.
pub fn copy_image(from: &Path, to: &Path) {
    let status = Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cannot copy {}", from.display());
}
