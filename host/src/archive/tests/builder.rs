//! Writes archives block by block, right or wrong as a test wants.

/// A manifest of the package `a` without hooks.
pub(crate) const MANIFEST: &[u8] = b"[Info]\nname = \"a\"\nversion = \"1\"\n";

/// A header that can be made wrong.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) bytes: [u8; 512],
}

impl Head {
    /// An ustar header.
    pub(crate) fn new(kind: u8, name: &[u8], size: u64) -> Self {
        let mut head = Self { bytes: [0; 512] };
        head.set(0, &name[..name.len().min(100)]);
        head.set(100, if kind == b'5' { b"0000755\0" } else { b"0000644\0" });
        head.set(108, b"0000000\0");
        head.set(116, b"0000000\0");
        head.set(124, format!("{size:011o}\0").as_bytes());
        head.set(136, b"00000000000\0");
        head.set(156, &[kind]);
        head.set(257, b"ustar\x0000");
        head
    }

    pub(crate) fn set(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.set(at, bytes);
        self
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        self.with(100, format!("{mode:07o}\0").as_bytes())
    }

    pub(crate) fn link(self, target: &[u8]) -> Self {
        self.with(157, &target[..target.len().min(100)])
    }

    pub(crate) fn gnu(self) -> Self {
        self.with(257, b"ustar  \0")
    }

    pub(crate) fn summed(mut self) -> [u8; 512] {
        self.set(148, b"        ");
        let sum: u32 = self.bytes.iter().map(|byte| u32::from(*byte)).sum();
        self.set(148, format!("{sum:06o}\0 ").as_bytes());
        self.bytes
    }
}

/// An archive without its end.
#[derive(Clone, Default)]
pub(crate) struct Tar {
    pub(crate) bytes: Vec<u8>,
}

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Any header, its checksum set, and content.
    pub(crate) fn entry(mut self, head: Head, content: &[u8]) -> Self {
        self.bytes.extend_from_slice(&head.summed());
        self.content(content)
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn content(mut self, content: &[u8]) -> Self {
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.entry(Head::new(b'0', name.as_ref(), content.len() as u64), content)
    }

    pub(crate) fn folder(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(Head::new(b'5', name.as_ref(), 0), b"")
    }

    pub(crate) fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(Head::new(b'2', name.as_ref(), 0).link(target.as_ref()), b"")
    }

    pub(crate) fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(Head::new(b'1', name.as_ref(), 0).link(target.as_ref()), b"")
    }

    /// A GNU long name (`L`) or link (`K`), with its NUL.
    pub(crate) fn long(self, kind: u8, text: impl AsRef<[u8]>) -> Self {
        let body = [text.as_ref(), b"\0"].concat();
        self.entry(Head::new(kind, b"././@LongLink", body.len() as u64).gnu(), &body)
    }

    /// A pax header of kind `x` or `g`.
    pub(crate) fn pax(self, kind: u8, records: &[(&str, &[u8])]) -> Self {
        self.pax_body(kind, &records.iter().flat_map(|(key, value)| record(key, value)).collect::<Vec<u8>>())
    }

    pub(crate) fn pax_body(self, kind: u8, body: &[u8]) -> Self {
        self.entry(Head::new(kind, b"PaxHeaders/x", body.len() as u64), body)
    }

    /// The archive with its end blocks.
    pub(crate) fn ended(&self) -> Vec<u8> {
        [&self.bytes[..], &[0; 1024]].concat()
    }

    /// A package file.
    pub(crate) fn package(&self) -> Vec<u8> {
        compress(&self.ended())
    }
}

/// One pax record, its length right.
pub(crate) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length += 1;
    }
    [length.to_string().as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
}

/// Bytes that do not compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// One frame with a checksum.
pub(crate) fn compress(tar: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut encoder, tar).unwrap();
    encoder.finish().unwrap()
}
