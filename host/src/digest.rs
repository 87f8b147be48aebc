//! The SHA-256 of files and of what readers give.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use packets_plugin_api::ident::Digest;
use sha2::{Digest as _, Sha256};

/// Bytes taken by one read; a larger buffer takes longer to be made than a small file to be hashed.
const BUFFER: usize = 64 << 10;

/// The size and digest of an open file; where it is read next does not change.
pub(crate) fn of_file(file: &File) -> io::Result<(u64, Digest)> {
    let mut size = 0;
    let digest = collect(|buffer| {
        let came = file.read_at(buffer, size)?;
        size += came as u64;
        Ok(came)
    })?;
    Ok((size, digest))
}

/// The digest of all that is left of a reader.
pub(crate) fn of(mut reader: impl Read) -> io::Result<Digest> {
    collect(|buffer| reader.read(buffer))
}

/// The digest of these bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// The same, by way of a buffer that serves many readers.
pub(crate) fn of_in(mut reader: impl Read, buffer: &mut Vec<u8>) -> io::Result<Digest> {
    buffer.resize(BUFFER, 0);
    collect_in(buffer, |buffer| reader.read(buffer))
}

fn collect(read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Digest> {
    collect_in(&mut vec![0; BUFFER], read)
}

fn collect_in(buffer: &mut [u8], mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    loop {
        match read(buffer) {
            Ok(0) => return Ok(Digest::from_bytes(hasher.finalize().into())),
            Ok(came) => hasher.update(&buffer[..came]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;

    struct Halting(u32);

    impl Read for Halting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 | 3 => Err(io::ErrorKind::Interrupted.into()),
                2 => {
                    buffer[..3].copy_from_slice(b"abc");
                    Ok(3)
                }
                _ => Ok(0),
            }
        }
    }

    #[test]
    fn c15_interruptions_change_nothing() {
        // The example of FIPS 180-4.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of(Halting(0)).unwrap().to_string(), abc);
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"abc").unwrap();
        let place = file.stream_position().unwrap();
        assert_eq!(of_file(&file).unwrap().1.to_string(), abc);
        assert_eq!(file.stream_position().unwrap(), place);
    }
}
