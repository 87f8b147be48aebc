//! The zstd frame around an archive (RFC 8878).

use std::cell::Cell;
use std::io::{ErrorKind, Read};

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, get_error_name};

use super::limits;
use crate::error::{Context as _, Error, Result};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Magic number, descriptor, window, dictionary and content size at their longest.
const LONGEST_HEADER: usize = 18;

/// Decompressed bytes, some at a time.
pub(super) trait Plain {
    /// Those that have not been consumed. None mean that the frame has ended, is intact, and
    /// that nothing stands behind it.
    fn chunk(&mut self) -> Result<&[u8]>;
    /// Marks the first `count` bytes of the last chunk as used.
    fn consume(&mut self, count: usize);
}

impl<P: Plain> Plain for &mut P {
    fn chunk(&mut self) -> Result<&[u8]> {
        (**self).chunk()
    }
    fn consume(&mut self, count: usize) {
        (**self).consume(count);
    }
}

/// Decompresses exactly one frame, in memory that depends on its window only.
pub(super) struct Frame<R> {
    input: R,
    tools: Tools,
    ended: bool,
}

/// What a frame is decompressed with, and the next one of the thread again: memory that is asked for anew has to be
/// mapped and cleared, which for a small package takes as long as decompressing it.
struct Tools {
    decoder: DCtx<'static>,
    packed: Buffer,
    plain: Buffer,
}

thread_local! {
    static SPARE: Cell<Option<Tools>> = const { Cell::new(None) };
}

impl Tools {
    fn make() -> Result<Self> {
        let decoder = DCtx::try_create().ok_or_else(|| Error::storage("out of memory for decompression"))?;
        Ok(Self { decoder, packed: Buffer::new(), plain: Buffer::of(limits::WHOLE) })
    }

    /// As they were made.
    fn take() -> Result<Self> {
        let mut tools = SPARE.take().map_or_else(Self::make, Ok)?;
        tools.packed.clear();
        tools.plain.clear();
        tools.decoder.reset(ResetDirective::SessionAndParameters).map_err(broken)?;
        tools.decoder.set_parameter(DParameter::WindowLogMax(limits::WINDOW_LOG)).map_err(broken)?;
        Ok(tools)
    }
}

/// A buffer of which `at..end` is still to be used.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    at: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self::of(limits::CHUNK)
    }

    fn of(size: usize) -> Self {
        Self { bytes: vec![0; size].into_boxed_slice(), at: 0, end: 0 }
    }

    pub(super) fn unused(&self) -> &[u8] {
        &self.bytes[self.at..self.end]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.end);
    }

    pub(super) fn clear(&mut self) {
        (self.at, self.end) = (0, 0);
    }
}

impl<R: Read> Frame<R> {
    /// Reads the frame's header and checks it.
    pub(super) fn open(input: R) -> Result<Self> {
        let mut frame = Self { input, tools: Tools::take()?, ended: false };
        while frame.tools.packed.end < LONGEST_HEADER && frame.read_more()? {}
        check_header(frame.tools.packed.unused())?;
        Ok(frame)
    }

    /// Leaves the memory to the next frame of this thread, where it is not much.
    pub(super) fn leave(self) {
        if self.tools.decoder.sizeof() <= limits::SPARE {
            SPARE.set(Some(self.tools));
        }
    }

    /// The next buffer with bytes, for an empty one; none at the end.
    pub(super) fn take(&mut self, empty: Buffer) -> Result<Option<Buffer>> {
        let is_end = self.chunk()?.is_empty();
        Ok((!is_end).then(|| std::mem::replace(&mut self.tools.plain, empty)))
    }

    fn decode(&mut self) -> Result<()> {
        if self.tools.packed.at == self.tools.packed.end {
            self.tools.packed.clear();
            if !self.read_more()? {
                return Err(Error::integrity("the package ends in the middle of its zstd frame"));
            }
        }
        let mut input = InBuffer::around(self.tools.packed.unused());
        let mut output = OutBuffer::around(&mut self.tools.plain.bytes[..]);
        let left = self.tools.decoder.decompress_stream(&mut output, &mut input).map_err(broken)?;
        (self.tools.plain.at, self.tools.plain.end) = (0, output.pos());
        self.tools.packed.at += input.pos();
        if left == 0 {
            self.ended = true;
            if self.tools.packed.at < self.tools.packed.end || self.read_more()? {
                return Err(Error::integrity("the package has something behind its zstd frame"));
            }
        }
        Ok(())
    }

    /// Appends to what is packed; whether there was more.
    fn read_more(&mut self) -> Result<bool> {
        if self.tools.packed.at == self.tools.packed.end {
            self.tools.packed.clear();
        }
        loop {
            match self.input.read(&mut self.tools.packed.bytes[self.tools.packed.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    let count = read.context(|| "cannot read the package file".into())?;
                    self.tools.packed.end += count;
                    return Ok(count > 0);
                }
            }
        }
    }
}

impl<R: Read> Plain for Frame<R> {
    fn chunk(&mut self) -> Result<&[u8]> {
        while self.tools.plain.at == self.tools.plain.end && !self.ended {
            self.decode()?;
        }
        Ok(self.tools.plain.unused())
    }

    fn consume(&mut self, count: usize) {
        self.tools.plain.consume(count);
    }
}

fn broken(code: usize) -> Error {
    Error::integrity("the package's zstd frame is damaged").caused_by(get_error_name(code))
}

/// Refuses what a decoder would accept or allocate for (RFC 8878, 3.1.1).
fn check_header(bytes: &[u8]) -> Result<()> {
    let refuse = |problem: &str| Err(Error::integrity(format!("the package's zstd frame {problem}")));
    let Some(rest) = bytes.strip_prefix(&MAGIC) else {
        let looks = what_else(bytes);
        return Err(Error::integrity(format!("the package is {looks}, not a zstd frame"))
            .hint("a package is a tar archive compressed with zstd; see `packets pack`"));
    };
    let Some((&descriptor, rest)) = rest.split_first() else { return refuse("is cut off in its header") };
    if descriptor & 0b0000_1000 != 0 {
        return refuse("has a reserved bit set");
    }
    if descriptor & 0b0000_0011 != 0 {
        return refuse("wants a dictionary");
    }
    let window = if descriptor & 0b0010_0000 == 0 {
        let Some(&window) = rest.first() else { return refuse("is cut off in its header") };
        let base = 1u64 << (10 + (window >> 3));
        base + base / 8 * u64::from(window & 7)
    } else {
        // A single segment: the window is the content.
        let length = [1, 2, 4, 8][usize::from(descriptor >> 6)];
        let Some(field) = rest.get(..length) else { return refuse("is cut off in its header") };
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(field);
        u64::from_le_bytes(bytes) + if length == 2 { 256 } else { 0 }
    };
    if window > 1 << limits::WINDOW_LOG {
        let most = 1u64 << (limits::WINDOW_LOG - 20);
        return Err(Error::integrity(format!(
            "the package's zstd frame needs a window of {window} bytes; at most {most} MiB are allowed"
        ))
        .hint("compress it with a level up to 19, and without --long"));
    }
    Ok(())
}

/// What a file that is no zstd frame seems to be.
fn what_else(bytes: &[u8]) -> &'static str {
    let known: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "a gzip file"),
        (b"\xfd7zXZ", "an xz file"),
        (b"BZh", "a bzip2 file"),
        (b"PK", "a zip file"),
        (b"!<arch>", "an ar archive"),
        (b"<", "a web page"),
    ];
    if bytes.is_empty() {
        return "empty";
    }
    if bytes.get(1..4) == Some(b"\x2a\x4d\x18") && bytes[0] & 0xf0 == 0x50 {
        return "a skippable frame";
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return "a tar archive that is not compressed";
    }
    known.iter().find(|(magic, _)| bytes.starts_with(magic)).map_or("something else", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use zstd::zstd_safe::{CCtx, CParameter};

    use super::*;

    /// A frame of a megabyte that needs a window of this size.
    fn framed(window_log: u32) -> Vec<u8> {
        let plain: Vec<u8> = (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
        let mut context = CCtx::create();
        context.set_parameter(CParameter::WindowLog(window_log)).unwrap();
        context.set_parameter(CParameter::ContentSizeFlag(false)).unwrap();
        let mut packed = vec![0; 2 << 20];
        let mut output = OutBuffer::around(&mut packed[..]);
        context.compress_stream(&mut output, &mut InBuffer::around(&plain)).unwrap();
        assert_eq!(context.end_stream(&mut output).unwrap(), 0);
        let written = output.pos();
        packed.truncate(written);
        packed
    }

    fn read(packed: &[u8]) -> usize {
        let mut frame = Frame::open(packed).unwrap();
        let mut size = 0;
        while let Some(count) = Some(frame.chunk().unwrap().len()).filter(|count| *count > 0) {
            size += count;
            frame.consume(count);
        }
        frame.leave();
        size
    }

    fn is_kept() -> bool {
        let spare = SPARE.take();
        let is_kept = spare.is_some();
        SPARE.set(spare);
        is_kept
    }

    #[test]
    fn a61_the_memory_of_small_windows_is_kept_and_no_more() {
        for (window_log, kept) in [(21, true), (25, false), (21, true), (22, false), (10, true)] {
            assert_eq!(read(&framed(window_log)), 1 << 20);
            assert_eq!(is_kept(), kept, "a window of 2 to the {window_log}");
        }
        // What was used for a frame that broke off serves the next one.
        let whole = framed(20);
        let mut broken = Frame::open(&whole[..1000]).unwrap();
        assert!(broken.take(Buffer::new()).is_err());
        broken.leave();
        assert!(is_kept());
        assert_eq!(read(&whole), 1 << 20);
    }
}
