//! One header block of a tar (POSIX.1-1988 ustar, GNU, and the old form without a magic number).

use std::ffi::CStr;

use tar::Header;

use crate::error::{Error, Result};
use packets_plugin_api::ident::escape;

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;

/// What an entry is; every other type is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Symlink,
    HardLink,
    Pax,
    PaxGlobal,
    LongName,
    LongLink,
}

/// A header as it stands there: names are not yet judged.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
}

impl Head {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self> {
        let header = Header::from_byte_slice(block);
        Self::read(header, block).map_err(|problem| {
            let name = joined_name(header).unwrap_or_else(|_| header.as_old().name.to_vec());
            let name = escape(&String::from_utf8_lossy(&name), 200);
            Error::integrity(format!("the header of entry \"{name}\" {problem}"))
        })
    }

    fn read(header: &Header, block: &[u8; BLOCK]) -> Result<Self, &'static str> {
        let old = header.as_old();
        if octal(&old.cksum)? != checksum(block) {
            return Err("does not match its checksum");
        }
        unused(header, block)?;
        let head = Self {
            kind: kind(old.linkflag[0])?,
            mode: u32::try_from(number(&old.mode)? & 0o7777).map_err(|_| "has no mode")?,
            size: number(&old.size)?,
            link: text(&old.linkname)?.to_vec(),
            name: joined_name(header)?,
        };
        if head.size != 0 && matches!(head.kind, Kind::Folder | Kind::Symlink | Kind::HardLink) {
            return Err("gives content to something that is no file");
        }
        Ok(head)
    }
}

/// What is not used here, but by other readers: where it makes no sense to them, they stop in silence, or take a
/// size or a name from it.
fn unused(header: &Header, block: &[u8; BLOCK]) -> Result<(), &'static str> {
    let old = header.as_old();
    let (is_ustar, is_gnu) = (header.as_ustar().is_some(), header.as_gnu().is_some());
    if !(is_ustar || is_gnu || are_zero(&block[257..265])) {
        return Err("is of an unknown format");
    }
    if !is_ustar && !are_zero(&block[345..500]) {
        return Err("has fields that its format has not, or of an incremental or sparse archive");
    }
    match [&old.uid[..], &old.gid, &old.mtime, &block[329..337], &block[337..345]].into_iter().all(is_number) {
        true => Ok(()),
        false => Err("has an owner, a time or a device that is no number"),
    }
}

/// Whether a field holds nothing; no field is longer than a block.
fn are_zero(field: &[u8]) -> bool {
    *field == [0; BLOCK][..field.len()]
}

/// A number, also a negative one or none at all.
fn is_number(field: &[u8]) -> bool {
    let text = field.trim_ascii_start();
    matches!(field[0], 0x80 | 0xff)
        || field.iter().all(|byte| matches!(byte, 0 | b' '))
        || octal(text.strip_prefix(b"-").unwrap_or(text)).is_ok()
}

fn kind(flag: u8) -> Result<Kind, &'static str> {
    Ok(match flag {
        0 | b'0' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'5' => Kind::Folder,
        b'x' => Kind::Pax,
        b'g' => Kind::PaxGlobal,
        b'L' => Kind::LongName,
        b'K' => Kind::LongLink,
        b'3' | b'4' => return Err("is a device, which no package may bring"),
        b'6' => return Err("is a FIFO, which no package may bring"),
        b'S' => return Err("is a sparse file, which is not supported"),
        _ => return Err("is of a type that no package may bring"),
    })
}

/// The name with ustar's prefix.
fn joined_name(header: &Header) -> Result<Vec<u8>, &'static str> {
    let name = text(&header.as_old().name)?;
    let prefix = header.as_ustar().map_or(Ok(&[][..]), |ustar| text(&ustar.prefix))?;
    if prefix.is_empty() { Ok(name.to_vec()) } else { Ok([prefix, b"/", name].concat()) }
}

/// The sum of all bytes, with the checksum itself taken as spaces: of narrow numbers a processor adds more at once.
fn checksum(block: &[u8; BLOCK]) -> u64 {
    let sum = |bytes: &[u8]| u64::from(bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>());
    sum(&block[..148]) + 8 * u64::from(b' ') + sum(&block[156..])
}

/// A text up to its NUL; behind it only NULs, so that no two readers see different names.
fn text(field: &[u8]) -> Result<&[u8], &'static str> {
    let Ok(text) = CStr::from_bytes_until_nul(field) else { return Ok(field) };
    let text = text.to_bytes();
    if are_zero(&field[text.len()..]) { Ok(text) } else { Err("has bytes behind the NUL of a text") }
}

/// An octal number, or GNU's base-256 one; never negative, at most 2^63-1.
fn number(field: &[u8]) -> Result<u64, &'static str> {
    if field[0] < 0x80 {
        return octal(field);
    }
    if field[0] != 0x80 {
        return Err("has a number that is negative or too large");
    }
    let (high, low) = field[1..].split_at(field.len().saturating_sub(9));
    let value = low.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    if high.iter().any(|byte| *byte != 0) || value > i64::MAX as u64 {
        return Err("has a number that is negative or too large");
    }
    Ok(value)
}

/// Octal digits behind optional spaces, up to a NUL or space; behind that nothing else.
fn octal(field: &[u8]) -> Result<u64, &'static str> {
    let start = field.iter().position(|byte| *byte != b' ').unwrap_or(field.len());
    let length = field[start..].iter().position(|byte| !matches!(byte, b'0'..=b'7')).unwrap_or(field.len() - start);
    let (digits, rest) = field[start..].split_at(length);
    if digits.is_empty() || !rest.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Err("has a number that is not octal");
    }
    // At most 12 digits of 3 bits.
    Ok(digits.iter().fold(0, |value, digit| value << 3 | u64::from(digit - b'0')))
}
