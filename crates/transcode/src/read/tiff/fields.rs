//! Values of a TIFF's directory as they are stored, for a directory that is written anew.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::borrow::Cow;

use super::directory::Directory;
use crate::syntax::tiff::{SHORT, width};

/// The values of a tag, in the file's byte order.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) kind: u16,
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl<'a> Field<'a> {
    /// The number of values; `None` for a kind of values that is not known.
    pub(crate) fn count(&self) -> Option<u64> {
        let count = self.bytes.len().checked_div(width(self.kind)?)?;
        u64::try_from(count).ok()
    }

    /// The `part`-th of `parts` equal parts; `None` if they are not equal.
    pub(crate) fn part(&self, part: usize, parts: usize) -> Option<Self> {
        let each = self.count()?.checked_div(parts.try_into().ok()?)?;
        let bytes = usize::try_from(each).ok()?.checked_mul(width(self.kind)?)?;
        let is_equal = bytes.checked_mul(parts)? == self.bytes.len();
        let start = bytes.checked_mul(part)?;
        let bytes = self.bytes.get(start..start.checked_add(bytes)?)?;
        is_equal.then(|| Self {
            kind: self.kind,
            bytes: Cow::Owned(bytes.to_vec()),
        })
    }
}

impl<'a> Directory<'a> {
    /// The values of a tag that is there and whole.
    pub(crate) fn field(&self, tag: u16) -> Option<Field<'a>> {
        let stored = self.stored(tag)?;
        (!stored.bytes.is_empty()).then_some(Field {
            kind: stored.kind,
            bytes: Cow::Borrowed(stored.bytes),
        })
    }

    /// A field of one number; `None` if it does not fit in 16 bits.
    pub(crate) fn short(&self, value: u64) -> Option<Field<'a>> {
        let bytes = self.tiff.order.bytes16(u16::try_from(value).ok()?);
        Some(Field {
            kind: SHORT,
            bytes: Cow::Owned(bytes.to_vec()),
        })
    }

    /// The first bytes of a file like this one whose directory begins at `start`.
    pub(crate) fn head(&self, start: usize) -> Option<Vec<u8>> {
        let mut head = self
            .tiff
            .data
            .get(..if self.tiff.is_big { 8 } else { 4 })?
            .to_vec();
        head.extend(self.word(u64::try_from(start).ok()?)?);
        Some(head)
    }

    /// An offset or a count, as wide as the file has them.
    pub(crate) fn word(&self, value: u64) -> Option<Vec<u8>> {
        if self.tiff.is_big {
            return Some(self.tiff.order.bytes64(value).to_vec());
        }
        let value = u32::try_from(value).ok()?;
        Some(self.tiff.order.bytes32(value).to_vec())
    }
}
