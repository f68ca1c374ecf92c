//! Compares the bytes of files with the digests that were taken when they were stored.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use md5::{Digest, Md5};

use super::facts;
use super::name::{FileName, Kind};
use super::row::{self, Row};
use super::{Error, Result};

/// The most bytes of a file that are read at once.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// The reason that the bytes of an object cannot be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The file is not there.
    Missing,
    /// The file does not have the length that it was stored with.
    Cut,
    /// The bytes are not those that were stored.
    Altered,
    /// The system cannot read the file from its disk.
    Unreadable,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Missing, Self::Cut, Self::Altered, Self::Unreadable];

    /// The name in rows, logs and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Cut => "cut",
            Self::Altered => "altered",
            Self::Unreadable => "unreadable",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// The fault that caused a failed read; `None` when the cause is the machine and not the file.
    pub(crate) fn of_read(error: &std::io::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::NotFound => Some(Self::Missing),
            ErrorKind::UnexpectedEof => Some(Self::Cut),
            _ if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Some(Self::Unreadable),
            _ => None,
        }
    }
}

/// The digests that an object was stored with.
#[derive(Clone, Debug)]
pub(crate) enum Digests {
    /// MD5 of all bytes.
    Whole([u8; 16]),
    /// MD5 of the MD5s of parts of these sizes, in bytes.
    Parts { of_parts: [u8; 16], sizes: Vec<u64> },
    /// None that is known here.
    Unknown,
}

fn md5_of(hex: &str) -> Option<[u8; 16]> {
    let mut digest = [0; 16];
    hex::decode_to_slice(hex, &mut digest).ok()?;
    Some(digest)
}

impl Digests {
    /// The digests in a row: an object of one piece has its MD5 as its `ETag`, one of parts the MD5 of their MD5s and
    /// their number.
    pub(crate) fn of(row: &Row) -> Self {
        let sizes = &row.attributes.part_sizes;
        let parts = row.etag.split_once('-').and_then(|(digest, count)| {
            let fits = count.parse() == Ok(sizes.len()) && sizes.iter().sum::<u64>() == row.size_bytes;
            md5_of(digest).filter(|_| fits)
        });
        match (md5_of(&row.etag), parts) {
            (Some(digest), _) if sizes.is_empty() => Self::Whole(digest),
            (_, Some(of_parts)) => Self::Parts {
                of_parts,
                sizes: sizes.clone(),
            },
            _ => Self::Unknown,
        }
    }

    /// The digests in a row, or those that the file itself carries.
    fn of_file(row: &Row, file: &File) -> Result<Self> {
        let known = Self::of(row);
        if !matches!(known, Self::Unknown) || row.file.kind() != Kind::Source {
            return Ok(known);
        }
        let facts = facts::read(file)?;
        let told = facts.filter(|facts| facts.size_bytes == row.size_bytes);
        Ok(told
            .and_then(|facts| md5_of(facts.md5.as_deref()?))
            .map_or(Self::Unknown, Self::Whole))
    }
}

/// Compares the bytes of an object with its digests while they are read.
pub(crate) struct Comparison {
    digests: Digests,
    /// MD5 of the bytes, or of the MD5s of the parts.
    outer: Md5,
    /// MD5 of the part that is being read.
    inner: Md5,
    /// The number of the part that is being read, and its bytes that are still to come.
    part: usize,
    left: u64,
}

impl Comparison {
    pub(crate) fn new(digests: Digests) -> Self {
        let left = match &digests {
            Digests::Parts { sizes, .. } => sizes.first().copied().unwrap_or_default(),
            Digests::Whole(_) | Digests::Unknown => 0,
        };
        Self {
            digests,
            outer: Md5::new(),
            inner: Md5::new(),
            part: 0,
            left,
        }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        match &self.digests {
            Digests::Unknown => {}
            Digests::Whole(_) => self.outer.update(bytes),
            Digests::Parts { sizes, .. } => {
                while !bytes.is_empty() && self.part < sizes.len() {
                    let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                    let (now, rest) = bytes.split_at(taken);
                    self.inner.update(now);
                    self.left -= taken as u64;
                    bytes = rest;
                    if self.left == 0 {
                        self.outer.update(self.inner.finalize_reset());
                        self.part += 1;
                        self.left = sizes.get(self.part).copied().unwrap_or_default();
                    }
                }
            }
        }
    }

    /// Tells whether the bytes are those that were stored, as far as that is known.
    pub(crate) fn finish(self) -> bool {
        let digest: [u8; 16] = self.outer.finalize().into();
        match self.digests {
            Digests::Unknown => true,
            Digests::Whole(stored) => digest == stored,
            Digests::Parts { of_parts, .. } => digest == of_parts,
        }
    }
}

/// Compares all bytes that are in memory.
pub(crate) fn is_sound(row: &Row, body: &[u8]) -> bool {
    let mut comparison = Comparison::new(Digests::of(row));
    comparison.update(body);
    comparison.finish()
}

/// Reads the file of a row and compares it with its length and its digests. `rest` is called after each piece with its
/// bytes, and ends the reading with an error.
///
/// # Errors
/// The errors of `rest`, [`Error::Io`].
pub(crate) fn examine(
    opened: std::io::Result<File>,
    row: &Row,
    mut rest: impl FnMut(usize) -> Result<()>,
) -> Result<Option<Fault>> {
    let file = match with_size(opened, row)? {
        Ok(file) => file,
        Err(fault) => return Ok(Some(fault)),
    };
    let mut comparison = Comparison::new(Digests::of_file(row, &file)?);
    let mut piece = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while at < row.size_bytes {
        let wanted = usize::try_from(row.size_bytes - at)
            .unwrap_or(usize::MAX)
            .min(CHUNK_BYTES);
        let piece = &mut piece[..wanted];
        if let Err(error) = file.read_exact_at(piece, at) {
            return fault_of(error).map(Some);
        }
        comparison.update(piece);
        at += wanted as u64;
        rest(wanted)?;
    }
    Ok((!comparison.finish()).then_some(Fault::Altered))
}

/// Compares the length of the file of a row alone.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn examine_size(opened: std::io::Result<File>, row: &Row) -> Result<Option<Fault>> {
    Ok(with_size(opened, row)?.err())
}

/// Tells whether a source's file should tell its facts and does not, or tells those of another object.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn lacks_facts(opened: std::io::Result<File>, row: &Row) -> Result<bool> {
    if row.file.kind() != Kind::Source {
        return Ok(false);
    }
    let file = opened.map_err(Error::io("open a file"))?;
    let facts = facts::read(&file)?;
    Ok(facts.is_none_or(|facts| facts.key.as_str() != row.key || facts.size_bytes != row.size_bytes))
}

/// The file, if it has the length that it was stored with.
fn with_size(opened: std::io::Result<File>, row: &Row) -> Result<Result<File, Fault>> {
    let found = opened.and_then(|file| Ok((file.metadata()?.len(), file)));
    match found {
        Ok((length, file)) if row::fits(&row.file, row.size_bytes, length) => Ok(Ok(file)),
        Ok(_) => Ok(Err(Fault::Cut)),
        Err(error) => fault_of(error).map(Err),
    }
}

fn fault_of(error: std::io::Error) -> Result<Fault> {
    Fault::of_read(&error).ok_or_else(|| Error::io("read a file")(error))
}

/// An object whose bytes cannot be given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The bucket of the object.
    pub(crate) bucket: row::Bucket,
    /// Its key.
    pub(crate) key: String,
    /// Its file.
    pub(crate) file: FileName,
    /// The reason.
    pub fault: Fault,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> [u8; 16] {
        Md5::digest(bytes).into()
    }

    fn is_sound(digests: &Digests, pieces: &[&[u8]]) -> bool {
        let mut comparison = Comparison::new(digests.clone());
        for piece in pieces {
            comparison.update(piece);
        }
        comparison.finish()
    }

    #[test]
    fn every_changed_byte_shows_however_the_bytes_arrive() {
        let body = b"eleven byte";
        let of_parts = digest(&[digest(b"eleven"), digest(b" "), digest(b"byte")].concat());
        let parts = Digests::Parts {
            of_parts,
            sizes: vec![6, 1, 4],
        };
        for digests in [Digests::Whole(digest(body)), parts] {
            for cut in 0..body.len() {
                let (first, second) = body.split_at(cut);
                assert!(is_sound(&digests, &[first, second]), "cut at {cut}");
                let mut changed = body.to_vec();
                changed[cut] ^= 0x10;
                assert!(!is_sound(&digests, &[&changed]), "changed at {cut}");
                assert!(!is_sound(&digests, &[first]), "ends at {cut}");
            }
        }
        assert!(is_sound(&Digests::Unknown, &[b"anything"]));
    }

    #[test]
    fn faults_are_read_as_they_were_written() {
        for fault in Fault::ALL {
            assert_eq!(Fault::parse(fault.name()), Some(fault));
        }
        assert_eq!(Fault::parse("sound"), None);
    }
}
