//! Small files that are wholly old or wholly new.

use std::io::{self, Write};

use packets_hook_runtime::folder::{Folder, Rename};

/// Replaces the file `name` by `content`, durable when it returns.
pub(crate) fn write(folder: &Folder, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = format!(".{name}.{}", random_name()?);
    let written = (|| {
        let mut file = folder.create(&temporary, mode)?;
        file.write_all(content)?;
        file.sync_all()?;
        folder.rename(&temporary, folder, name, Rename::Replace)?;
        folder.sync()
    })();
    if written.is_err() {
        let _ = folder.remove_file(&temporary);
    }
    written
}

/// Eight random bytes in hex: a name that nobody has planted.
pub(crate) fn random_name() -> io::Result<String> {
    Ok(format!("{:016x}", u64::from_ne_bytes(random_bytes()?)))
}

/// Eight bytes from the kernel's generator.
pub(crate) fn random_bytes() -> io::Result<[u8; 8]> {
    let mut bytes = [0; 8];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_and_leaves_nothing_beside() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        write(&folder, "a", b"one", 0o644).unwrap();
        write(&folder, "a", b"two", 0o644).unwrap();
        assert_eq!(std::fs::read(home.path().join("a")).unwrap(), b"two");
        assert_eq!(folder.list().unwrap(), ["a"]);
    }
}
