use std::collections::BTreeMap;
use std::sync::Arc;

use md5::{Digest, Md5};

use super::file::Files;
use super::stage::Staged;
use super::upload::{MIN_PART_BYTES, PartRow};
use super::{Error, Result};

/// A part named in a completion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompletedPart {
    /// Its number.
    pub number: u32,
    /// Its `ETag` without quotes.
    pub etag: String,
    /// Checksums that the part must have been uploaded with.
    pub checksums: BTreeMap<String, String>,
}

/// The parts that a completion names, checked.
///
/// # Errors
/// [`Error::InvalidPart`], [`Error::InvalidPartOrder`], [`Error::InvalidPartNumber`], [`Error::EntityTooSmall`].
pub(crate) fn select(stored: Vec<PartRow>, named: &[CompletedPart]) -> Result<Vec<PartRow>> {
    if named.is_empty() {
        return Err(Error::InvalidPartNumber { number: 0 });
    }
    if named.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return Err(Error::InvalidPartOrder);
    }
    let mut stored: BTreeMap<u32, PartRow> = stored.into_iter().map(|row| (row.part.number, row)).collect();
    let mut selected = Vec::with_capacity(named.len());
    for name in named {
        let number = name.number;
        let row = stored.remove(&number).ok_or(Error::InvalidPart { number })?;
        let matches = row.part.etag == name.etag
            && name
                .checksums
                .iter()
                .all(|(algorithm, value)| row.part.checksums.get(algorithm) == Some(value));
        if !matches {
            return Err(Error::InvalidPart { number });
        }
        selected.push(row);
    }
    let all_but_last = &selected[..selected.len() - 1];
    match all_but_last
        .iter()
        .find(|row| row.part.size_bytes < MIN_PART_BYTES)
    {
        Some(row) => Err(Error::EntityTooSmall {
            number: row.part.number,
            size_bytes: row.part.size_bytes,
        }),
        None => Ok(selected),
    }
}

/// The `ETag` that S3 gives an object of parts.
///
/// # Errors
/// [`Error::Corrupt`].
pub(crate) fn etag_of(parts: &[PartRow]) -> Result<String> {
    let mut md5 = Md5::new();
    for row in parts {
        let digest = hex::decode(&row.part.etag)
            .map_err(|_| Error::Corrupt(format!("ETag {:?} of a part is no MD5", row.part.etag)))?;
        md5.update(digest);
    }
    Ok(format!("{}-{}", hex::encode(md5.finalize()), parts.len()))
}

/// Copies the parts into one file.
///
/// # Errors
/// [`Error::InvalidPart`] when one is gone, [`Error::Full`], [`Error::Io`], [`Error::Corrupt`].
pub(crate) fn concatenate(files: &Arc<Files>, parts: &[PartRow]) -> Result<Staged> {
    let (guard, mut whole) = files.create()?;
    let mut size_bytes = 0;
    for row in parts {
        let mut part = match files.open_named(&row.file) {
            Ok(part) => part,
            // Replaced, aborted or completed by somebody else since the rows were read.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::InvalidPart {
                    number: row.part.number,
                });
            }
            Err(error) => return Err(Error::io("open a part")(error)),
        };
        // From file to file: the bytes do not pass through this process.
        let copied = std::io::copy(&mut part, &mut whole).map_err(Error::io("copy a part"))?;
        if copied != row.part.size_bytes {
            return Err(Error::Corrupt(format!(
                "file {} has {copied} bytes, its row says {}",
                row.file.as_str(),
                row.part.size_bytes
            )));
        }
        size_bytes += copied;
    }
    Ok(Staged {
        guard,
        file: whole,
        size_bytes,
        md5: None,
    })
}
