//! Open folders: the only way in which a target is touched.
//!
//! A [`Folder`] is a handle. Each operation takes the name of one thing directly
//! in it, never a path, and never follows a link that stands there. Whoever walks
//! a path therefore decides at every component, and cannot be led elsewhere by
//! what a package or another process has put in the way.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use packets_plugin_api::relpath::RelPath;
use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, StatxAttributes, StatxFlags};

use crate::limits;

/// What statfs(2) calls an overlay.
const OVERLAY: fs::FsWord = 0x794c_7630;

/// The attributes that hold rights beside the mode: POSIX ACLs, of which the mode's bits of the group are but the mask.
const ACLS: [&CStr; 2] = [c"system.posix_acl_access", c"system.posix_acl_default"];

/// The bytes of an attribute at most, as the kernel has it.
const MOST_ATTRIBUTE: usize = 64 << 10;

/// A handle of an open folder.
#[derive(Debug)]
pub struct Folder(Dir);

/// What kind of thing stands at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A device, FIFO or socket: never opened.
    Special,
}

/// What stands at a name, the link itself where it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its kind.
    pub kind: Kind,
    /// The file system.
    pub device: u64,
    /// The inode there.
    pub inode: u64,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// In bytes.
    pub size: u64,
    /// How many names it has.
    pub links: u64,
    /// Modification time in nanoseconds since 1970.
    pub modified: i128,
}

impl Stat {
    /// Whether both are the same inode.
    pub fn same_inode(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl From<fs::Stat> for Stat {
    fn from(stat: fs::Stat) -> Self {
        let kind = match fs::FileType::from_raw_mode(stat.st_mode) {
            fs::FileType::RegularFile => Kind::File,
            fs::FileType::Directory => Kind::Folder,
            fs::FileType::Symlink => Kind::Symlink,
            _ => Kind::Special,
        };
        Self {
            kind,
            device: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            links: stat.st_nlink as _,
            modified: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        }
    }
}

/// What a rename does with what stands at the new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rename {
    /// Fails with [`io::ErrorKind::AlreadyExists`]. Where the file system or the kernel cannot tell in the same
    /// step, it is looked at first.
    Keep,
    /// Replaces it.
    Replace,
    /// Swaps the two; both must be there. Where the file system or the kernel cannot, the error is one
    /// that [`is_unsupported`] knows.
    Exchange,
}

/// Whether a rename failed because the file system or the kernel does not know its kind.
pub fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

fn single(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') || bytes.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a single file name"));
    }
    Ok(name)
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a folder by a path of this machine, links followed: the door through
    /// which a target's root, or a folder that the user named, is entered.
    pub fn open_ambient(path: &Path) -> io::Result<Self> {
        match fs::open(path, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty()) {
            Ok(fd) => Ok(Self::of(fd)),
            // A folder that may be entered and not listed: such a handle can do that much.
            Err(rustix::io::Errno::ACCESS) => Dir::open_ambient_dir(path, ambient_authority()).map(Self),
            Err(error) => Err(error.into()),
        }
    }

    /// A second handle of the same folder.
    pub fn again(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    fn of(fd: OwnedFd) -> Self {
        Self(Dir::from_std_file(File::from(fd)))
    }

    /// Opens the folder `name`; a link there is an error.
    pub fn open(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let fd = fs::openat(&self.0, single(name.as_ref())?, FOLDER, Mode::empty())?;
        Ok(Self::of(fd))
    }

    /// Opens the folder at `path` below this one; a link anywhere on it is an error.
    pub fn walk(&self, path: &RelPath) -> io::Result<Self> {
        if path.is_root() {
            return self.again();
        }
        let flags = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match fs::openat2(&self.0, path.as_str(), FOLDER, Mode::empty(), flags) {
            Ok(fd) => Ok(Self::of(fd)),
            // An old kernel or a seccomp filter: the same by hand.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM | rustix::io::Errno::AGAIN) => {
                self.walk_by_component(path)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn walk_by_component(&self, path: &RelPath) -> io::Result<Self> {
        let mut folder = self.again()?;
        for name in path.components() {
            folder = folder.open(name)?;
        }
        Ok(folder)
    }

    /// Makes the folder `name` with this mode, less the umask.
    pub fn make(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<()> {
        Ok(fs::mkdirat(&self.0, single(name.as_ref())?, Mode::from_raw_mode(mode))?)
    }

    /// Opens the folder `name`, made with this mode where nothing stands there.
    pub fn open_or_make(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<Self> {
        let name = name.as_ref();
        match self.open(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.make(name, mode) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
                self.open(name)
            }
            opened => opened,
        }
    }

    /// Opens the folder at `path`, what is missing made with this mode.
    pub fn walk_or_make(&self, path: &RelPath, mode: u32) -> io::Result<Self> {
        match self.walk(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut folder = self.again()?;
                for name in path.components() {
                    folder = folder.open_or_make(name, mode)?;
                }
                Ok(folder)
            }
            walked => walked,
        }
    }

    /// Makes a new regular file with this mode, less the umask, for reading and
    /// writing; anything there is an error.
    pub fn create(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, single(name.as_ref())?, flags, Mode::from_raw_mode(mode))?.into())
    }

    /// Opens a regular file for reading; anything else is [`io::ErrorKind::InvalidInput`].
    /// Never waits for a FIFO and never wakes a device.
    pub fn read(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let name = single(name.as_ref())?;
        // Opening a device has effects of its own, so the kind is asked first, and again of the handle.
        self.must_be_file(fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = fs::openat(&self.0, name, flags, Mode::empty())?;
        self.must_be_file(fs::fstat(&fd)?)?;
        Ok(fd.into())
    }

    /// Opens a regular file for reading and writing; anything else is [`io::ErrorKind::InvalidInput`].
    pub fn update(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let name = single(name.as_ref())?;
        self.must_be_file(fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?)?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = fs::openat(&self.0, name, flags, Mode::empty())?;
        self.must_be_file(fs::fstat(&fd)?)?;
        Ok(fd.into())
    }

    fn must_be_file(&self, stat: fs::Stat) -> io::Result<()> {
        match Stat::from(stat).kind {
            Kind::File => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        }
    }

    /// What stands at `name`; nothing there is no error.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Stat>> {
        match fs::statat(&self.0, single(name.as_ref())?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What this folder itself is.
    pub fn stat_self(&self) -> io::Result<Stat> {
        Ok(fs::fstat(&self.0)?.into())
    }

    /// The text of the link `name`.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> io::Result<OsString> {
        let text = fs::readlinkat(&self.0, single(name.as_ref())?, Vec::new())?;
        Ok(OsStr::from_bytes(text.as_bytes()).to_owned())
    }

    /// What the link `name` is, and its text, both of the same link; anything else there is an error.
    pub fn link(&self, name: impl AsRef<OsStr>) -> io::Result<(Stat, OsString)> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = fs::openat(&self.0, single(name.as_ref())?, flags, Mode::empty())?;
        let text = fs::readlinkat(&link, "", Vec::new())?;
        Ok((fs::fstat(&link)?.into(), OsStr::from_bytes(text.as_bytes()).to_owned()))
    }

    /// Makes the link `name` with the text `target`; anything there is an error.
    pub fn symlink(&self, target: impl AsRef<OsStr>, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(fs::symlinkat(target.as_ref(), &self.0, single(name.as_ref())?)?)
    }

    /// Gives the file `name` a second name: `new` in the folder `to`; anything there is an
    /// error. Of a link at `name` the link itself gets it.
    pub fn hard_link(&self, name: impl AsRef<OsStr>, to: &Self, new: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(fs::linkat(&self.0, single(name.as_ref())?, &to.0, single(new.as_ref())?, AtFlags::empty())?)
    }

    /// Gives what stands at `name` the name `new` in the folder `to`, in one step.
    pub fn rename(&self, name: impl AsRef<OsStr>, to: &Self, new: impl AsRef<OsStr>, how: Rename) -> io::Result<()> {
        let (name, new) = (single(name.as_ref())?, single(new.as_ref())?);
        let flags = match how {
            Rename::Keep => RenameFlags::NOREPLACE,
            Rename::Replace => RenameFlags::empty(),
            Rename::Exchange => RenameFlags::EXCHANGE,
        };
        if flags.is_empty() {
            return Ok(fs::renameat(&self.0, name, &to.0, new)?);
        }
        match fs::renameat_with(&self.0, name, &to.0, new, flags).map_err(io::Error::from) {
            // Looked at first: nobody else is at work under the lock.
            Err(error) if how == Rename::Keep && is_unsupported(&error) => match to.stat(new)? {
                Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
                None => Ok(fs::renameat(&self.0, name, &to.0, new)?),
            },
            renamed => renamed,
        }
    }

    /// Whether the folder `name` can be moved. On an overlay one of a lower layer cannot, where the mount has not
    /// `redirect_dir`. `occupied` is a folder in `other`, on the same mount, that is never empty: the kernel is
    /// asked to put `name` in its place, and refuses that in either case.
    pub fn can_move(&self, name: impl AsRef<OsStr>, other: &Self, occupied: impl AsRef<OsStr>) -> io::Result<bool> {
        if fs::fstatfs(&self.0)?.f_type != OVERLAY {
            return Ok(true);
        }
        match fs::renameat(&self.0, single(name.as_ref())?, &other.0, single(occupied.as_ref())?) {
            Err(rustix::io::Errno::NOTEMPTY | rustix::io::Errno::EXIST) => Ok(true),
            Err(rustix::io::Errno::XDEV) => Ok(false),
            Err(error) => Err(error.into()),
            Ok(()) => Err(io::Error::other("a folder that is never empty was replaced")),
        }
    }

    /// Brings `name`, which is no folder, into the upper layer of an overlay: there it has another inode than before,
    /// where it has several names or the layers lie on several file systems, and would get it by being moved. It is
    /// done by a second name, `spare` in `other`, that goes at once; whoever may not give one leaves it where it is.
    pub fn raise(&self, name: impl AsRef<OsStr>, other: &Self, spare: impl AsRef<OsStr>) -> io::Result<()> {
        use rustix::io::Errno;
        if fs::fstatfs(&self.0)?.f_type != OVERLAY {
            return Ok(());
        }
        let (name, spare) = (single(name.as_ref())?, single(spare.as_ref())?);
        match fs::linkat(&self.0, name, &other.0, spare, AtFlags::empty()) {
            Ok(()) => other.remove_file(spare),
            Err(Errno::PERM | Errno::ACCESS | Errno::MLINK | Errno::XDEV | Errno::OPNOTSUPP | Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file or link `name`.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, single(name.as_ref())?, AtFlags::empty())?)
    }

    /// Removes the empty folder `name`.
    pub fn remove_folder(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, single(name.as_ref())?, AtFlags::REMOVEDIR)?)
    }

    /// Removes what stands at `name` with all its content; nothing there is no error.
    pub fn remove_tree(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        self.remove_tree_at(single(name.as_ref())?, 0)
    }

    fn remove_tree_at(&self, name: &OsStr, depth: usize) -> io::Result<()> {
        match self.stat(name)? {
            None => return Ok(()),
            Some(stat) if stat.kind != Kind::Folder => return self.remove_file(name),
            Some(_) if depth == limits::TREE_DEPTH => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "folders nested too deeply"));
            }
            Some(stat) if stat.mode & 0o700 != 0o700 && !rustix::process::geteuid().is_root() => {
                // The owner of a folder may not enter it. This call could follow a link that was put there
                // meanwhile, but only to what is the caller's own; root needs it not.
                fs::chmodat(&self.0, name, Mode::from_raw_mode(0o700), AtFlags::empty())?;
            }
            Some(_) => {}
        }
        let inner = self.open(name)?;
        for entry in inner.list()? {
            inner.remove_tree_at(&entry, depth + 1)?;
        }
        self.remove_folder(name)
    }

    /// The names of all that is in this folder, sorted by bytes.
    pub fn list(&self) -> io::Result<Vec<OsString>> {
        self.list_at_most(usize::MAX)
    }

    /// As [`list`](Self::list); more than `most` names are [`io::ErrorKind::QuotaExceeded`].
    pub fn list_at_most(&self, most: usize) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                if names.len() == most {
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The names of all that is in this folder, sorted by bytes, each with whether it is a folder: as the folder itself
    /// says it, which costs no call for each, or else as the name's own inode does.
    pub fn list_with_kinds(&self) -> io::Result<Vec<(OsString, bool)>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
            if name == "." || name == ".." {
                continue;
            }
            let is_folder = match entry.file_type() {
                fs::FileType::Unknown => self.stat(&name)?.is_some_and(|stat| stat.kind == Kind::Folder),
                told => told == fs::FileType::Directory,
            };
            names.push((name, is_folder));
        }
        names.sort();
        Ok(names)
    }

    /// Sets the permission bits of this folder.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(fs::fchmod(&self.0, Mode::from_raw_mode(mode))?)
    }

    /// Gives this folder the owner, the group, the mode and the ACLs of another.
    pub fn rights_as(&self, other: &Self) -> io::Result<()> {
        rights_as(self, other)
    }

    /// Makes the names in this folder durable.
    pub fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(&self.0)?)
    }

    /// Makes everything durable that was written to this folder's file system. A write that
    /// failed since this handle was opened is reported here, and once.
    pub fn sync_file_system(&self) -> io::Result<()> {
        Ok(fs::syncfs(&self.0)?)
    }

    /// Which mount this folder lies on: a rename never leaves one, though a file system may be
    /// mounted twice. An old kernel does not say; then it is the number of the file system.
    pub fn mount(&self) -> io::Result<u64> {
        match fs::statx(&self.0, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
            Ok(found) if StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID) => {
                Ok(found.stx_mnt_id)
            }
            // An older kernel, or a filter that knows no statx.
            Ok(_) | Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => Ok(self.stat_self()?.device),
            Err(error) => Err(error.into()),
        }
    }

    /// Why what stands at `name` cannot be moved, where the file system or the kernel says so.
    pub fn obstacle(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Obstacle>> {
        self.obstacle_at(single(name.as_ref())?, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Why names in this folder cannot change, where the file system says so.
    pub fn obstacle_inside(&self) -> io::Result<Option<Obstacle>> {
        Ok(self.obstacle_at(OsStr::new(""), AtFlags::EMPTY_PATH)?.filter(|found| *found != Obstacle::MountPoint))
    }

    fn obstacle_at(&self, name: &OsStr, flags: AtFlags) -> io::Result<Option<Obstacle>> {
        let found = match fs::statx(&self.0, name, flags, StatxFlags::TYPE) {
            Ok(found) => found,
            // Without statx the rename itself will tell.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let says =
            |attribute| found.stx_attributes_mask.contains(attribute) && found.stx_attributes.contains(attribute);
        Ok(match () {
            () if says(StatxAttributes::MOUNT_ROOT) => Some(Obstacle::MountPoint),
            () if says(StatxAttributes::IMMUTABLE) => Some(Obstacle::Immutable),
            () if says(StatxAttributes::APPEND) => Some(Obstacle::AppendOnly),
            () => None,
        })
    }

    /// Bytes and inodes that the caller can still use on this file system; none where it has no such bound.
    pub fn room(&self) -> io::Result<Room> {
        let found = fs::fstatvfs(&self.0)?;
        Ok(Room {
            bytes: (found.f_blocks > 0).then(|| found.f_bavail.saturating_mul(found.f_frsize)),
            inodes: (found.f_files > 0).then_some(found.f_favail),
        })
    }
}

/// What keeps a name as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Something is mounted there.
    MountPoint,
    /// `chattr +i`.
    Immutable,
    /// `chattr +a`.
    AppendOnly,
}

/// What is free on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In bytes.
    pub bytes: Option<u64>,
    /// Files, links and folders.
    pub inodes: Option<u64>,
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sets the permission bits of an open file.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    Ok(fs::fchmod(file, Mode::from_raw_mode(mode))?)
}

/// Gives an open file or folder the owner, the group, the mode and the ACLs of another.
pub fn rights_as(this: impl AsFd, other: impl AsFd) -> io::Result<()> {
    let (this, other) = (this.as_fd(), other.as_fd());
    let (owner, wanted) = (fs::fstat(this)?, fs::fstat(other)?);
    if (owner.st_uid, owner.st_gid) != (wanted.st_uid, wanted.st_gid) {
        fs::fchown(this, Some(fs::Uid::from_raw(wanted.st_uid)), Some(fs::Gid::from_raw(wanted.st_gid)))?;
    }
    let wanted = stat(other)?.mode;
    if stat(this)?.mode != wanted {
        fs::fchmod(this, Mode::from_raw_mode(wanted))?;
    }
    for name in ACLS {
        match (attribute(this, name)?, attribute(other, name)?) {
            (mine, wanted) if mine == wanted => {}
            (_, Some(wanted)) => fs::fsetxattr(this, name, &wanted, fs::XattrFlags::empty())?,
            (_, None) => fs::fremovexattr(this, name)?,
        }
    }
    Ok(())
}

fn attribute(this: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    use rustix::io::Errno;
    let mut value = vec![0; MOST_ATTRIBUTE];
    match fs::fgetxattr(this, name, &mut value[..]) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        // None; or a file system that has no ACLs.
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What an open file is.
pub fn stat(file: impl AsFd) -> io::Result<Stat> {
    Ok(fs::fstat(file)?.into())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make what the code meets")]
mod tests {
    use super::*;

    #[test]
    fn follows_no_link_and_takes_no_path() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("in/deep")).unwrap();
        std::fs::write(home.path().join("outside"), "secret").unwrap();
        let folder = Folder::open_ambient(&home.path().join("in")).unwrap();
        folder.symlink("..", "up").unwrap();
        folder.symlink("../outside", "out").unwrap();

        for bad in ["..", ".", "", "deep/x", "/etc", "up/"] {
            assert!(folder.open(bad).is_err(), "{bad:?}");
            assert!(folder.read(bad).is_err(), "{bad:?}");
            assert!(folder.create(bad, 0o644).is_err(), "{bad:?}");
        }
        assert!(folder.open("up").is_err());
        assert!(folder.read("out").is_err());
        assert!(folder.create("out", 0o644).is_err());
        for bad in ["up/in", "deep/../deep"] {
            assert!(bad.parse().map_or(true, |path| folder.walk(&path).is_err()));
        }
        assert!(folder.walk_by_component(&"up/in".parse().unwrap()).is_err());
        assert!(folder.walk(&"deep".parse().unwrap()).is_ok());
    }

    #[test]
    fn what_is_listed_is_told_by_kind_and_links_are_no_folders() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        folder.make("folder", 0o755).unwrap();
        folder.create("file", 0o644).unwrap();
        folder.symlink("folder", "link").unwrap();
        let kinds = folder.list_with_kinds().unwrap();
        let kinds: Vec<(&str, bool)> = kinds.iter().map(|(name, kind)| (name.to_str().unwrap(), *kind)).collect();
        assert_eq!(kinds, [("file", false), ("folder", true), ("link", false)]);
    }

    #[test]
    fn rights_are_the_mode_and_the_acls() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        for name in ["mine", "like it", "plain"] {
            folder.make(name, 0o700).unwrap();
        }
        let open = |name: &str| folder.open(name).unwrap();
        // Version 2; the owner rwx, user 7 rwx, the group nothing, the mask rwx, others nothing.
        let entries: [(u16, u16, u32); 5] =
            [(1, 7, u32::MAX), (2, 7, 7), (4, 0, u32::MAX), (0x10, 7, u32::MAX), (0x20, 0, u32::MAX)];
        let mut acl = 2u32.to_le_bytes().to_vec();
        for (tag, bits, who) in entries {
            acl.extend([&tag.to_le_bytes()[..], &bits.to_le_bytes(), &who.to_le_bytes()].concat());
        }
        let set = |name: &str, which: &CStr| fs::fsetxattr(open(name), which, &acl, fs::XattrFlags::empty());
        if set("mine", ACLS[0]) == Err(rustix::io::Errno::OPNOTSUPP) {
            return;
        }
        set("like it", ACLS[1]).unwrap();
        assert_eq!(open("mine").stat_self().unwrap().mode, 0o770, "by its mode the group may do all");
        open("like it").rights_as(&open("mine")).unwrap();
        assert_eq!(attribute(open("like it").as_fd(), ACLS[0]).unwrap(), Some(acl));
        assert_eq!(attribute(open("like it").as_fd(), ACLS[1]).unwrap(), None);
        open("like it").rights_as(&open("plain")).unwrap();
        assert_eq!(attribute(open("like it").as_fd(), ACLS[0]).unwrap(), None);
        assert_eq!(open("like it").stat_self().unwrap().mode, 0o700);
    }

    #[test]
    fn an_ambient_folder_can_be_listed_synced_and_changed() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        folder.create("file", 0o600).unwrap();
        assert_eq!(folder.list().unwrap(), ["file"]);
        folder.sync().unwrap();
        folder.set_mode(0o700).unwrap();
    }

    #[test]
    fn reads_only_regular_files_and_never_waits() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        fs::mknodat(&folder, "pipe", fs::FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        assert_eq!(folder.stat("pipe").unwrap().unwrap().kind, Kind::Special);
        assert_eq!(folder.read("pipe").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn removes_trees_but_nothing_behind_links() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("tree/a/b")).unwrap();
        std::fs::create_dir_all(home.path().join("other")).unwrap();
        std::fs::write(home.path().join("other/keep"), "").unwrap();
        std::os::unix::fs::symlink("../other", home.path().join("tree/link")).unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        folder.open("tree").unwrap().open("a").unwrap().set_mode(0).unwrap();
        folder.remove_tree("tree").unwrap();
        folder.remove_tree("tree").unwrap();
        assert!(folder.stat("tree").unwrap().is_none());
        assert!(home.path().join("other/keep").exists());
    }

    #[test]
    fn a14_trees_are_taken_away_down_to_a_bound() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        // What it is asked for is one of them; deeper ones need a handle each.
        let tree = |depth: usize| {
            std::fs::create_dir_all(home.path().join(format!("tree{}", "/d".repeat(depth - 1)))).unwrap();
            folder.remove_tree("tree")
        };
        tree(limits::TREE_DEPTH).unwrap();
        assert!(!home.path().join("tree").exists());
        let error = tree(limits::TREE_DEPTH + 1).unwrap_err();
        assert_eq!(error.to_string(), "folders nested too deeply");
        assert!(home.path().join("tree").exists());
    }
}
