//! What stands before an entry and belongs to it: pax headers (POSIX.1-2001) and GNU's long names.

use packets_plugin_api::ident::escape;

use super::header::{Head, Kind};
use super::limits;
use crate::error::{Error, Result};

/// Keys of pax records that say nothing about which file it is or what is in it. They
/// are left out: no package brings owners, times, attributes or ACLs.
const LEFT_OUT: [&str; 18] = [
    "mtime",
    "atime",
    "ctime",
    "uid",
    "gid",
    "uname",
    "gname",
    "comment",
    "SCHILY.xattr.",
    "SCHILY.acl.",
    "SCHILY.dev",
    "SCHILY.ino",
    "SCHILY.nlink",
    "SCHILY.fflags",
    "LIBARCHIVE.creationtime",
    "LIBARCHIVE.xattr.",
    "LIBARCHIVE.symlinktype",
    "RHT.security.selinux",
];

/// What has been read and waits for its entry.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    /// A global header, which belongs to all entries that follow.
    global: bool,
}

#[derive(Debug, Default)]
struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

fn refuse<T>(problem: impl Into<String>) -> Result<T> {
    Err(Error::integrity(problem))
}

impl Pending {
    /// Whether the archive may end here.
    pub(super) fn may_end(&self) -> bool {
        self.is_empty() && !self.global
    }

    /// Whether nothing waits that belongs to one entry.
    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.link.is_none()
    }

    /// Takes in the body of a header of kind `kind`, which has `padding` behind it.
    pub(super) fn add(&mut self, kind: Kind, body: &[u8], padding: &[u8]) -> Result<()> {
        match kind {
            Kind::Pax if self.is_empty() => self.pax = Some(Pax::parse(body)?),
            Kind::PaxGlobal if self.is_empty() => {
                only_comments(body)?;
                self.global = true;
            }
            Kind::LongName if self.pax.is_none() && self.name.is_none() => self.name = Some(long_text(body, padding)?),
            Kind::LongLink if self.pax.is_none() && self.link.is_none() => self.link = Some(long_text(body, padding)?),
            _ => return refuse("an extension header stands before another one that says the same or overrides it"),
        }
        Ok(())
    }

    /// Gives `head` what waited for it.
    pub(super) fn apply(&mut self, head: &mut Head) -> Result<()> {
        let Self { pax, name, link, .. } = std::mem::take(self);
        let pax = pax.unwrap_or_default();
        if let Some(name) = name.or(pax.path) {
            head.name = name;
        }
        if let Some(link) = link.or(pax.link) {
            if !matches!(head.kind, Kind::Symlink | Kind::HardLink) {
                return refuse(format!("entry {} has a link's target and is no link", shown(&head.name)));
            }
            head.link = link;
        }
        match pax.size {
            Some(size) if size != head.size => refuse(format!(
                "entry {} has two sizes: {size} in its pax header, {} in its own",
                shown(&head.name),
                head.size
            )),
            _ => Ok(()),
        }
    }
}

fn shown(name: &[u8]) -> String {
    format!("\"{}\"", escape(&String::from_utf8_lossy(name), 200))
}

/// The body of a GNU long name: a text with one NUL behind it, at which some readers end it and others by its size.
/// Perl's Archive::Tar writes none; then the padding has to be that.
fn long_text(body: &[u8], padding: &[u8]) -> Result<Vec<u8>> {
    let is_padded = padding.iter().all(|byte| *byte == 0);
    match body.strip_suffix(&[0]).or(Some(body).filter(|_| is_padded)) {
        Some(text) if !text.is_empty() && !text.contains(&0) => Ok(text.to_vec()),
        _ => refuse("a GNU long name is empty, or does not end with its only NUL"),
    }
}

impl Pax {
    fn parse(body: &[u8]) -> Result<Self> {
        let mut pax = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for_each_record(body, |key, value| {
            if seen.contains(&key) {
                return refuse(format!("a pax header has {} twice", shown(key.as_bytes())));
            }
            seen.push(key);
            match key {
                "path" => pax.path = Some(not_empty(key, value)?),
                "linkpath" => pax.link = Some(not_empty(key, value)?),
                "size" => pax.size = Some(decimal(value).ok_or_else(|| Error::integrity("a pax size is no number"))?),
                // A right, as setuid is one.
                _ if key.ends_with("security.capability") => return refuse("an entry asks for file capabilities"),
                _ if LEFT_OUT.iter().any(|out| key == *out || (out.ends_with('.') && key.starts_with(out))) => {}
                _ => {
                    return refuse(format!("a pax header has the key {}, which is not allowed", shown(key.as_bytes())));
                }
            }
            Ok(())
        })?;
        Ok(pax)
    }
}

/// `git archive` writes a global header with the commit; nothing else may be set for all entries.
fn only_comments(body: &[u8]) -> Result<()> {
    for_each_record(body, |key, _| match key {
        "comment" => Ok(()),
        _ => refuse(format!("a global pax header sets {} for all entries", shown(key.as_bytes()))),
    })
}

fn not_empty(key: &str, value: &[u8]) -> Result<Vec<u8>> {
    if value.is_empty() || value.contains(&0) {
        return refuse(format!("a pax {key} is empty or holds a NUL"));
    }
    Ok(value.to_vec())
}

fn decimal(text: &[u8]) -> Option<u64> {
    let good = (1..=19).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let value = std::str::from_utf8(text).ok().filter(|_| good)?.parse::<u64>().ok()?;
    (value <= i64::MAX as u64).then_some(value)
}

/// Calls `each` with key and value of every record `<length> <key>=<value>\n`; the length counts itself.
fn for_each_record<'b>(body: &'b [u8], mut each: impl FnMut(&'b str, &'b [u8]) -> Result<()>) -> Result<()> {
    let malformed = || Error::integrity("a pax header is malformed");
    let mut rest = body;
    let mut count = 0;
    while !rest.is_empty() {
        count += 1;
        if count > limits::PAX_RECORDS {
            return refuse(format!("a pax header has more than {} records", limits::PAX_RECORDS));
        }
        let space = rest.iter().take(20).position(|byte| *byte == b' ').ok_or_else(malformed)?;
        let length = decimal(&rest[..space]).and_then(|length| usize::try_from(length).ok()).ok_or_else(malformed)?;
        if length > rest.len() || length < space + 2 || rest[0] == b'0' {
            return Err(malformed());
        }
        let (record, behind) = rest.split_at(length);
        let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(malformed)?;
        let equals = record.iter().position(|byte| *byte == b'=').filter(|at| *at > 0).ok_or_else(malformed)?;
        each(std::str::from_utf8(&record[..equals]).map_err(|_| malformed())?, &record[equals + 1..])?;
        rest = behind;
    }
    if count == 0 { Err(malformed()) } else { Ok(()) }
}
