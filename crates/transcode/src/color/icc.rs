//! The part of an ICC profile that decides about colours.
//!
//! A profile also has texts, dates and serial numbers, and room for tags of anybody's: the name of a screen's owner, for
//! one. Renditions that keep the profile of their source carry none of it.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use crate::syntax::reader::Reader;

const HEADER_BYTES: usize = 128;
/// More tags than any profile has.
const MAX_TAGS: u32 = 100;

/// The tags that transforms are made from (ICC.1, section 9.2).
const COLOUR_TAGS: [&[u8; 4]; 22] = [
    b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"bkpt", b"chad", b"cicp",
    b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"D2B0", b"D2B1", b"D2B2", b"B2D0", b"B2D1",
];

/// The fields of the header that transforms need: version, class, colour spaces, signature, intent and illuminant.
/// Sizes, dates, makers, serial numbers and the digest are left out.
const HEADER_FIELDS: [std::ops::Range<usize>; 3] = [8..24, 36..40, 64..80];

/// The profile with its colours alone. `None` when its tags lie outside of it.
pub(crate) fn colours(profile: &[u8]) -> Option<Vec<u8>> {
    let count = Reader::at(profile, HEADER_BYTES).be32()?;
    if count > MAX_TAGS {
        return None;
    }
    let table_bytes = usize::try_from(count).ok()?.checked_mul(12)?;
    let table = profile.get(HEADER_BYTES.checked_add(4)?..)?.get(..table_bytes)?;
    let mut kept = Vec::new();
    for entry in table.chunks_exact(12) {
        if COLOUR_TAGS.iter().any(|name| entry.starts_with(*name)) {
            let mut numbers = Reader::at(entry, 4);
            kept.push((entry.get(..4)?, numbers.be32()?, numbers.be32()?));
        }
    }
    let data_start = HEADER_BYTES
        .checked_add(4)?
        .checked_add(kept.len().checked_mul(12)?)?;
    let (mut table, mut data) = (Vec::new(), Vec::new());
    // Tags may share their data.
    let mut places = BTreeMap::new();
    for (name, offset, size) in &kept {
        let place = match places.get(&(*offset, *size)) {
            Some(place) => *place,
            None => {
                let start = usize::try_from(*offset).ok()?;
                let end = start.checked_add(usize::try_from(*size).ok()?)?;
                let place = data_start.checked_add(data.len())?;
                data.extend_from_slice(profile.get(start..end)?);
                data.resize(data.len().next_multiple_of(4), 0);
                places.insert((*offset, *size), place);
                place
            }
        };
        table.extend_from_slice(name);
        table.extend_from_slice(&u32::try_from(place).ok()?.to_be_bytes());
        table.extend_from_slice(&size.to_be_bytes());
    }
    let size = u32::try_from(data_start.checked_add(data.len())?).ok()?;
    let mut made = vec![0; HEADER_BYTES];
    made.get_mut(..4)?.copy_from_slice(&size.to_be_bytes());
    for field in HEADER_FIELDS {
        made.get_mut(field.clone())?.copy_from_slice(profile.get(field)?);
    }
    made.extend_from_slice(&u32::try_from(kept.len()).ok()?.to_be_bytes());
    made.extend_from_slice(&table);
    made.extend_from_slice(&data);
    Some(made)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;
    use moxcms::{ColorProfile, ProfileText};

    fn told() -> (ColorProfile, Vec<u8>) {
        let mut profile = ColorProfile::new_display_p3();
        profile.description = Some(ProfileText::PlainString("the screen of Petra".to_owned()));
        profile.copyright = Some(ProfileText::PlainString("Petra".to_owned()));
        let icc = profile.encode().unwrap();
        (profile, icc)
    }

    #[test]
    fn colours_stay_and_texts_do_not() {
        let (profile, mut icc) = told();
        // Maker, model and digest.
        icc[48..56].copy_from_slice(b"SERIAL42");
        icc[84..100].copy_from_slice(b"0123456789abcdef");
        let made = colours(&icc).unwrap();
        for word in [&b"Petra"[..], b"SERIAL42", b"0123456789abcdef", b"desc", b"cprt"] {
            assert!(!made.windows(word.len()).any(|window| window == word), "{word:?}");
        }
        assert_eq!(Reader::new(&made).be32(), u32::try_from(made.len()).ok());
        let read = ColorProfile::new_from_slice(&made).unwrap();
        assert_eq!(read.red_colorant, profile.red_colorant);
        assert_eq!(read.green_colorant, profile.green_colorant);
        assert!(read.description.is_none());
        assert!(read.red_trc.is_some());
    }

    #[test]
    fn a_profile_with_tags_outside_of_it_is_refused() {
        let (_, icc) = told();
        for length in 0..icc.len() - 1 {
            // What is cut off may be nothing but texts.
            if let Some(made) = colours(&icc[..length]) {
                assert!(made.len() <= length);
            }
        }
        assert_eq!(colours(&icc[..100]), None);
        assert_eq!(colours(&icc[..200]), None);
    }
}
