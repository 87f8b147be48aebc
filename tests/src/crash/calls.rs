//! The system calls that matter to what stands on a disk.

use nix::libc;

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It changes what stands on a disk.
    Changes,
    /// It makes durable what was changed.
    Syncs,
    /// It only looks.
    Looks,
}

/// Where a call says what it works on: numbers of its arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    /// An open file, the first.
    Handle,
    /// A path.
    Path(usize),
    /// A folder and a name in it.
    Below(usize, usize),
    /// Two of those.
    Two([usize; 4]),
}

pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) at: At,
}

const CHANGES_HANDLE: &[(i64, &str)] = &[
    (libc::SYS_write, "write"),
    (libc::SYS_writev, "writev"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_pwritev, "pwritev"),
    (libc::SYS_pwritev2, "pwritev2"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_fallocate, "fallocate"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_fchown, "fchown"),
    (libc::SYS_fsetxattr, "fsetxattr"),
    (libc::SYS_fremovexattr, "fremovexattr"),
    (libc::SYS_sendfile, "sendfile"),
];

const CHANGES_BELOW: &[(i64, &str)] = &[
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_mknodat, "mknodat"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_fchmodat, "fchmodat"),
    (libc::SYS_fchmodat2, "fchmodat2"),
    (libc::SYS_fchownat, "fchownat"),
    (libc::SYS_utimensat, "utimensat"),
];

const LOOKS_HANDLE: &[(i64, &str)] = &[
    (libc::SYS_read, "read"),
    (libc::SYS_pread64, "pread64"),
    (libc::SYS_getdents64, "getdents64"),
    (libc::SYS_fstat, "fstat"),
    (libc::SYS_fstatfs, "fstatfs"),
];

const LOOKS_BELOW: &[(i64, &str)] = &[(libc::SYS_statx, "statx"), (libc::SYS_readlinkat, "readlinkat")];

const SYNCS: &[(i64, &str)] =
    &[(libc::SYS_fsync, "fsync"), (libc::SYS_fdatasync, "fdatasync"), (libc::SYS_syncfs, "syncfs")];

#[cfg(target_arch = "x86_64")]
const PATHS: &[(i64, &str, Kind)] = &[
    (libc::SYS_mkdir, "mkdir", Kind::Changes),
    (libc::SYS_rmdir, "rmdir", Kind::Changes),
    (libc::SYS_unlink, "unlink", Kind::Changes),
    (libc::SYS_rename, "rename", Kind::Changes),
    (libc::SYS_link, "link", Kind::Changes),
    (libc::SYS_symlink, "symlink", Kind::Changes),
    (libc::SYS_chmod, "chmod", Kind::Changes),
    (libc::SYS_chown, "chown", Kind::Changes),
    (libc::SYS_truncate, "truncate", Kind::Changes),
    (libc::SYS_creat, "creat", Kind::Changes),
    (libc::SYS_stat, "stat", Kind::Looks),
    (libc::SYS_lstat, "lstat", Kind::Looks),
];

#[cfg(not(target_arch = "x86_64"))]
const PATHS: &[(i64, &str, Kind)] = &[];

/// A call that matters; nothing for all others.
pub(crate) fn known(number: i64, arguments: &[u64; 6]) -> Option<Known> {
    let of = |list: &[(i64, &'static str)]| list.iter().find(|known| known.0 == number).map(|known| known.1);
    let some = |name, kind, at| Some(Known { name, kind, at });
    if let Some(name) = of(CHANGES_HANDLE) {
        return some(name, Kind::Changes, At::Handle);
    }
    if let Some(name) = of(CHANGES_BELOW) {
        return some(name, Kind::Changes, At::Below(0, 1));
    }
    if let Some(name) = of(SYNCS) {
        return some(name, Kind::Syncs, At::Handle);
    }
    if let Some(name) = of(LOOKS_HANDLE) {
        return some(name, Kind::Looks, At::Handle);
    }
    if let Some(name) = of(LOOKS_BELOW) {
        return some(name, Kind::Looks, At::Below(0, 1));
    }
    if let Some((_, name, kind)) = PATHS.iter().find(|known| known.0 == number) {
        return some(name, *kind, At::Path(0));
    }
    match number {
        libc::SYS_openat if makes(arguments[2]) => some("openat", Kind::Changes, At::Below(0, 1)),
        libc::SYS_openat => some("openat to read", Kind::Looks, At::Below(0, 1)),
        libc::SYS_openat2 => some("openat2", Kind::Looks, At::Below(0, 1)),
        libc::SYS_newfstatat => some("newfstatat", Kind::Looks, At::Below(0, 1)),
        libc::SYS_copy_file_range => some("copy_file_range", Kind::Changes, At::Handle),
        libc::SYS_symlinkat => some("symlinkat", Kind::Changes, At::Below(1, 2)),
        libc::SYS_linkat => some("linkat", Kind::Changes, At::Two([0, 1, 2, 3])),
        libc::SYS_renameat => some("renameat", Kind::Changes, At::Two([0, 1, 2, 3])),
        libc::SYS_renameat2 => some("renameat2", Kind::Changes, At::Two([0, 1, 2, 3])),
        _ => None,
    }
}

/// Whether an open with these flags makes a file or empties one.
fn makes(flags: u64) -> bool {
    let flags = (flags & 0xffff_ffff) as u32 as i32;
    let temporary = libc::O_TMPFILE & !libc::O_DIRECTORY;
    flags & (libc::O_CREAT | libc::O_TRUNC | temporary) != 0
}
