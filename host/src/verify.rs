//! The stage between the bytes that came and everything that reads them: nothing is
//! decompressed or parsed before it has passed here (M19).

use std::fs::File;

use packets_hook_runtime::folder;
use packets_plugin_api::ident::Digest;

use crate::error::{Context, Error, Result};
use crate::fetch::Fetched;

/// What a package file must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its size in bytes, where the index knows it.
    pub size: Option<u64>,
}

/// A package file with the right bytes. Its hash was taken on this very handle,
/// of a file that nobody else can open for writing (M20).
#[derive(Debug)]
pub struct Verified {
    file: File,
    size: u64,
    digest: Digest,
    source: String,
}

impl Verified {
    /// The open file, which is read from its beginning.
    pub fn file(&self) -> &File {
        &self.file
    }
    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Its SHA-256.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
    /// Where it came from: a source's name, `cache`, or the name that the user gave.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// Compares what has come with what is expected; hashes it where that has not been done on this handle.
///
/// # Errors
/// Integrity, with both sizes or digests; storage where the file cannot be read.
pub fn verify(fetched: Fetched, expected: &Expected) -> Result<Verified> {
    let (file, size, digest, source) = fetched.into_hashed_parts()?;
    let named = || format!("the package file from {source} is not the one expected");
    let now = folder::stat(&file).context(|| format!("cannot read the package file from {source}"))?.size;
    if now != size {
        return Err(Error::integrity(named()).caused_by(format!("its size went from {size} to {now} bytes")));
    }
    if let Some(wanted) = expected.size.filter(|wanted| *wanted != size) {
        return Err(Error::integrity(named()).caused_by(format!("it has {size} bytes instead of {wanted}")));
    }
    if digest != expected.digest {
        let problem = format!("its SHA-256 is {digest} instead of {}", expected.digest);
        return Err(Error::integrity(named()).caused_by(problem));
    }
    Ok(Verified { file, size, digest, source })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};

    use super::*;
    use crate::error::ErrorKind;
    use crate::fetch::local;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn digest_of(bytes: &[u8]) -> Digest {
        local(file(bytes), "x").unwrap().digest().unwrap()
    }

    #[test]
    fn only_the_right_bytes_pass() {
        let expected = Expected { digest: digest_of(b"package"), size: Some(7) };
        let verified = verify(local(file(b"package"), "./a.zst").unwrap(), &expected).unwrap();
        assert_eq!((verified.size(), verified.digest(), verified.source()), (7, &expected.digest, "./a.zst"));
        let mut text = String::new();
        verified.file().read_to_string(&mut text).unwrap();
        assert_eq!(text, "package", "the file is read from its beginning");

        for wrong in [&b"packagf"[..], b"packag", b"packages", b""] {
            let error = verify(local(file(wrong), "x").unwrap(), &expected).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity, "M14 {wrong:?}");
        }
        let without_size = Expected { size: None, ..expected };
        assert!(verify(local(file(b"package"), "x").unwrap(), &without_size).is_ok());
        assert!(verify(local(file(b"packagf"), "x").unwrap(), &without_size).is_err());
        for size in [0, 6, 8, u64::MAX] {
            let wrong_size = Expected { size: Some(size), ..expected };
            assert!(verify(local(file(b"package"), "x").unwrap(), &wrong_size).is_err(), "M14 {size}");
        }
    }

    #[test]
    fn m20_what_changed_between_planning_and_verifying_does_not_pass() {
        let mut planned = local(file(b"package"), "x").unwrap();
        let expected = Expected { digest: planned.digest().unwrap(), size: None };
        assert!(verify(local(file(b"another"), "x").unwrap(), &expected).is_err());

        let mut writer = file(b"package");
        let mut grown = local(writer.try_clone().unwrap(), "x").unwrap();
        assert_eq!(grown.digest().unwrap(), expected.digest);
        writer.seek(SeekFrom::End(0)).unwrap();
        writer.write_all(b"!").unwrap();
        assert!(verify(grown, &expected).is_err());
    }
}
