//! Archives byte by byte, and other bytes.

use sha2::{Digest, Sha256};

/// One entry of an archive, with nothing checked.
#[derive(Debug, Clone)]
pub struct Entry {
    /// As it stands in the header.
    pub name: Vec<u8>,
    /// `0` file, `1` hard link, `2` symbolic link, `3` and `4` devices, `5` folder, `6` FIFO, ...
    pub kind: u8,
    /// Permission bits.
    pub mode: u32,
    /// The target of a link.
    pub link: Vec<u8>,
    /// What follows the header.
    pub content: Vec<u8>,
}

impl Entry {
    /// A regular file.
    pub fn file(name: &str, content: &str) -> Self {
        Self { name: name.into(), kind: b'0', mode: 0o644, link: Vec::new(), content: content.into() }
    }

    /// A folder.
    pub fn folder(name: &str) -> Self {
        Self { name: name.into(), kind: b'5', mode: 0o755, link: Vec::new(), content: Vec::new() }
    }

    /// A symbolic link.
    pub fn symlink(name: &str, target: &str) -> Self {
        Self { name: name.into(), kind: b'2', mode: 0o777, link: target.into(), content: Vec::new() }
    }

    /// A hard link.
    pub fn hard_link(name: &str, target: &str) -> Self {
        Self { kind: b'1', ..Self::symlink(name, target) }
    }

    /// The same with another type.
    #[must_use]
    pub fn kind(mut self, kind: u8) -> Self {
        self.kind = kind;
        self
    }

    /// The same with another mode.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    fn header(&self) -> [u8; 512] {
        let mut header = tar::Header::new_ustar();
        let ustar = header.as_ustar_mut().unwrap();
        assert!(self.name.len() <= 100 && self.link.len() <= 100, "use a long name's own entry");
        ustar.name[..self.name.len()].copy_from_slice(&self.name);
        ustar.linkname[..self.link.len()].copy_from_slice(&self.link);
        ustar.typeflag = [self.kind];
        header.set_mode(self.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(self.content.len() as u64);
        header.set_cksum();
        *header.as_bytes()
    }
}

/// A tar of these entries, as they are.
pub fn tar_of(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        out.extend_from_slice(&entry.header());
        out.extend_from_slice(&entry.content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// One zstd frame.
pub fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).unwrap()
}

/// SHA-256 in hex.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that do not compress, always the same ones (xorshift64*, Vigna 2016).
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        out.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    out.truncate(length);
    out
}
