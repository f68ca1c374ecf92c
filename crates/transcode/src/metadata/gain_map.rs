//! Gain maps of JPEGs: a second, small picture that says how much brighter each part of the first one becomes on a screen
//! of high dynamic range. The first is complete without it, and alone is rendered.

use super::exif;

/// Adobe's and Android's Ultra HDR name it in the XMP of the first picture.
const ULTRA_HDR: [&[u8]; 2] = [
    b"http://ns.adobe.com/hdr-gain-map/1.0/",
    b"Item:Semantic=\"GainMap\"",
];
/// Apple names it in the XMP of the second picture.
const APPLE: [&[u8]; 2] = [
    b"urn:com:apple:photo:2020:aux:hdrgainmap",
    b"http://ns.apple.com/HDRGainMap/1.0/",
];
/// ISO 21496-1 section C.2.
const ISO: &[u8] = b"urn:iso:std:iso:ts:21496:-1\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// CIPA DC-007: an index of the pictures in one file.
const MULTI_PICTURE: &[u8] = b"MPF\0";

/// Pictures in the index that are looked at, and bytes of each.
const MAX_PICTURES: usize = 16;
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Tells whether an APP1 or APP2 segment of the first picture of `source` announces a gain map. The segment's content
/// begins at `at`.
pub(crate) fn is_announced(source: &[u8], at: usize, segment: &[u8]) -> bool {
    if segment.starts_with(XMP) {
        return ULTRA_HDR.iter().chain(&APPLE).any(|word| contains(segment, word));
    }
    if segment.starts_with(MULTI_PICTURE) {
        return others(source, at, segment).any(|picture| {
            let head = picture
                .get(..picture.len().min(MAX_HEAD_BYTES))
                .unwrap_or_default();
            APPLE.iter().chain([&ISO]).any(|word| contains(head, word))
        });
    }
    segment.starts_with(ISO)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// The pictures behind the first, by the index in `segment`, whose offsets count from behind its name.
fn others<'a>(source: &'a [u8], at: usize, segment: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let index = segment.get(MULTI_PICTURE.len()..).unwrap_or_default();
    let base = at.saturating_add(MULTI_PICTURE.len());
    entries(index)
        .unwrap_or_default()
        .into_iter()
        .filter_map(move |(length, offset)| {
            let start = base.checked_add(usize::try_from(offset).ok().filter(|&offset| offset > 0)?)?;
            source.get(start..start.checked_add(usize::try_from(length).ok()?)?)
        })
}

/// Length and offset of each picture: numbers of 32 bits, four for each, in tag 0xB002 of a TIFF structure.
fn entries(index: &[u8]) -> Option<Vec<(u32, u32)>> {
    let entries = exif::structure(index)?.first()?.field(0xB002)?;
    let count = (entries.bytes.len() / 16).min(MAX_PICTURES);
    let entry = |number: usize| {
        let first = number.checked_mul(4)?;
        Some((
            entries.long(first.checked_add(1)?)?,
            entries.long(first.checked_add(2)?)?,
        ))
    };
    (0..count).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose second picture is at the end, told by an index in either byte order.
    fn indexed(second: &[u8], is_little: bool) -> Vec<u8> {
        let mut file = b"before".to_vec();
        let start = file.len();
        file.extend(MULTI_PICTURE);
        let short = |value: u16| {
            if is_little {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            }
        };
        let long = |value: u32| {
            if is_little {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            }
        };
        file.extend(if is_little { b"II" } else { b"MM" });
        file.extend(short(42));
        file.extend(long(8));
        file.extend(short(1));
        file.extend(short(0xB002));
        file.extend(short(7));
        file.extend(long(32));
        file.extend(long(26));
        file.extend(long(0));
        // The entries: the first picture, then the second.
        file.extend([0; 16]);
        file.extend([0; 4]);
        file.extend(long(u32::try_from(second.len()).unwrap()));
        file.extend(long(58));
        file.extend([0; 4]);
        let end = file.len();
        file.extend(second);
        assert_eq!(end - start - MULTI_PICTURE.len(), 58);
        file
    }

    #[test]
    fn the_second_picture_is_found_by_the_index() {
        for is_little in [false, true] {
            let file = indexed(b"...urn:com:apple:photo:2020:aux:hdrgainmap...", is_little);
            assert!(is_announced(&file, 6, &file[6..file.len() - 45]), "{is_little}");
            let file = indexed(b"...a preview...", is_little);
            assert!(!is_announced(&file, 6, &file[6..]), "{is_little}");
            let cut = &file[..file.len() - 4];
            assert!(!is_announced(cut, 6, &cut[6..]), "{is_little}");
        }
    }

    #[test]
    fn names_count_where_they_belong() {
        let xmp = |text: &str| [XMP, text.as_bytes()].concat();
        assert!(is_announced(
            b"",
            0,
            &xmp("xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\"")
        ));
        assert!(is_announced(b"", 0, ISO));
        assert!(!is_announced(b"", 0, &xmp("a picture of http://example.com")));
        assert!(!is_announced(
            b"",
            0,
            b"Exif\0\0http://ns.adobe.com/hdr-gain-map/1.0/"
        ));
        assert!(!is_announced(b"", 0, MULTI_PICTURE));
    }
}
