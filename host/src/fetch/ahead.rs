//! Bytes that came before those that stand in front of them: kept on the disk until it is their turn.
//!
//! The file of a download itself has no holes, so that what a killed run leaves is continued as ever. This one has no
//! name and is never larger than [`AHEAD`]: the place of a byte in it is its offset modulo that.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::limits::AHEAD;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// None as long as it was not used.
    file: Option<File>,
    /// In order, with who gave them.
    held: Vec<(Range<u64>, usize)>,
}

impl Ahead {
    /// How many bytes there are.
    pub(super) fn size(&self) -> u64 {
        self.held.iter().map(|(range, _)| range.end - range.start).sum()
    }

    /// Whether it takes room on the disk.
    pub(super) fn was_used(&self) -> bool {
        self.file.is_some()
    }

    /// Keeps bytes that nobody has given before, less than [`AHEAD`] before the first that is held or missing. The first
    /// ones need a file, whose content counts no more.
    pub(super) fn put(
        &mut self,
        offset: u64,
        bytes: &[u8],
        giver: usize,
        file: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(file()?),
        };
        let range = offset..offset + bytes.len() as u64;
        for part in within_bounds(&range) {
            let at = usize::try_from(part.start - offset).map_err(io::Error::other)?;
            let length = usize::try_from(part.end - part.start).map_err(io::Error::other)?;
            file.write_all_at(&bytes[at..at + length], part.start % AHEAD)?;
        }
        let next = self.held.partition_point(|(held, _)| held.start < offset);
        match next.checked_sub(1).and_then(|before| self.held.get_mut(before)) {
            Some((before, its)) if before.end == offset && *its == giver => before.end = range.end,
            _ => self.held.insert(next, (range, giver)),
        }
        Ok(())
    }

    /// Takes what begins at this offset, as far as there is room, and who gave it; none where it has not come.
    pub(super) fn take(&mut self, offset: u64, room: &mut [u8]) -> io::Result<Option<(usize, usize)>> {
        let first = self.held.first_mut().filter(|(held, _)| held.start == offset);
        let (Some((held, giver)), Some(file)) = (first, &self.file) else { return Ok(None) };
        let giver = *giver;
        let Some(part) = within_bounds(&(offset..held.end.min(offset + room.len() as u64))).next() else {
            return Ok(None);
        };
        let length = usize::try_from(part.end - offset).map_err(io::Error::other)?;
        file.read_exact_at(&mut room[..length], offset % AHEAD)?;
        held.start = part.end;
        if held.is_empty() {
            self.held.remove(0);
        }
        Ok(Some((length, giver)))
    }
}

/// A range in parts that each lie in the file without a gap.
fn within_bounds(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let (mut at, end) = (range.start, range.end);
    std::iter::from_fn(move || {
        let part = at..end.min((at / AHEAD + 1) * AHEAD);
        at = part.end;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_first_is_kept_until_its_turn() {
        let mut ahead = Ahead::default();
        let put =
            |ahead: &mut Ahead, offset, bytes, giver| ahead.put(offset, bytes, giver, tempfile::tempfile).unwrap();
        let (mut room, from) = ([0; 8], AHEAD * 3 - 5);
        put(&mut ahead, from + 6, &b"ghi"[..], 1);
        put(&mut ahead, from + 3, b"def", 2);
        put(&mut ahead, from + 9, b"jk", 1);
        assert_eq!((ahead.take(from, &mut room).unwrap(), ahead.size()), (None, 8));
        put(&mut ahead, from, b"abc", 2);
        let (mut came, mut givers) = (Vec::new(), Vec::new());
        while let Some((length, giver)) = ahead.take(from + came.len() as u64, &mut room).unwrap() {
            came.extend_from_slice(&room[..length]);
            givers.extend(vec![giver; length]);
        }
        assert_eq!((came, ahead.size()), (b"abcdefghijk".to_vec(), 0));
        assert_eq!(givers, [2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1]);
        assert!(ahead.file.unwrap().metadata().unwrap().len() <= AHEAD);
    }
}
