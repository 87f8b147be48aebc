//! Files and folders that the user named: opened as they say, links followed.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use packets_hook_runtime::folder::{self, Folder, Kind};
use rustix::fs::OFlags;

use crate::error::{Context, Error, Result};

/// What stands at a path that the user named.
#[derive(Debug)]
pub(crate) enum Given {
    /// A regular file.
    File(File),
    /// A folder.
    Folder(Folder),
}

/// Opens what the user named; anything but a regular file or a folder is an error, and nothing is waited for.
pub(crate) fn open(path: &Path) -> Result<Given> {
    let named = || format!("cannot open {}", path.display());
    let nonblocking = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    #[expect(clippy::disallowed_methods, reason = "the user's own path: no handle exists before it")]
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::request(named()).caused_by("there is no such file or folder"));
        }
        other => other.context(named)?,
    };
    match folder::stat(&file).context(named)?.kind {
        Kind::File => Ok(Given::File(file)),
        Kind::Folder => Ok(Given::Folder(Folder::open_ambient(path).context(named)?)),
        _ => Err(Error::request(named()).caused_by("it is neither a regular file nor a folder")),
    }
}

/// The text of a file that the user named, at most `most` bytes.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String> {
    match open(path)? {
        Given::File(file) => text_of(file, most).context(|| format!("cannot read {}", path.display())),
        Given::Folder(_) => Err(Error::request(format!("cannot read {}", path.display())).caused_by("it is a folder")),
    }
}

/// All of a file as text, at most `most` bytes.
pub(crate) fn text_of(file: File, most: u64) -> io::Result<String> {
    let size = folder::stat(&file)?.size.min(most);
    let mut text = String::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    let read = file.take(most + 1).read_to_string(&mut text)?;
    if read as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {most} bytes")));
    }
    Ok(text)
}

/// The folder and the name in it of a file that the user wants written.
pub(crate) fn split(path: &Path) -> Result<(Folder, String)> {
    let named = || format!("cannot write {}", path.display());
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::request(named()).caused_by("the path has no UTF-8 file name"))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((Folder::open_ambient(parent).context(named)?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;
    use crate::config::MAX_CONFIG_SIZE;

    #[test]
    fn m32_texts_up_to_a_bound() {
        for (size, fits) in [(MAX_CONFIG_SIZE, true), (MAX_CONFIG_SIZE + 1, false)] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&vec![b'#'; usize::try_from(size).unwrap()]).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            match text_of(file, MAX_CONFIG_SIZE) {
                Ok(text) => assert!(fits && text.len() as u64 == size),
                Err(error) => assert!(!fits && error.to_string().contains("larger than 1048576 bytes"), "{error}"),
            }
        }
    }
}
