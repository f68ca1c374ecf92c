//! JPEG (ITU-T T.81 annex B): the segments up to the first scan.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;

use tintype_model::{Dimensions, Limits};

use crate::Error;
use crate::header::{MAX_PROFILE_BYTES, ParsedHeader, check_size};
use crate::jpeg::headers::{FrameHeader, ScanHeader};
use crate::jpeg::plain::is_rewritten;
use crate::jpeg::{EOI, RST0, RST7, SOF2, SOI, SOS, TEM, cut, next_marker, segment};
use crate::metadata::{exif, gain_map};
use crate::picture::Model;
use crate::syntax::reader::Reader;

struct Frame {
    size: Dimensions,
    components: u8,
    is_baseline: bool,
    is_subsampled: bool,
    /// True if chroma has factors of its own, or luma has unusual ones.
    is_oddly_sampled: bool,
}

pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<ParsedHeader, Error> {
    let mut reader = Reader::at(source, 2);
    let mut frame = None;
    let mut orientation = None;
    let mut block = None;
    let mut profile = ProfileParts::default();
    let mut has_gain_map = false;
    let first_scan_components = loop {
        let marker = next_marker(&mut reader).ok_or_else(cut)?;
        if matches!(marker, SOI | TEM | RST0..=RST7) {
            continue;
        }
        if marker == EOI {
            return Err(Error::corrupt("the JPEG ends before its first scan"));
        }
        let segment = segment(&mut reader)?;
        let at = source
            .len()
            .saturating_sub(reader.rest().len())
            .saturating_sub(segment.len());
        match marker {
            0xC0..=0xC2 if frame.is_none() => frame = Some(start_of_frame(marker, segment, limits)?),
            0xC0..=0xC2 => return Err(Error::corrupt("the JPEG has two frame headers")),
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Err(unsupported_process(marker)),
            0xE1 if orientation.is_none() && segment.starts_with(b"Exif\0") => {
                orientation = exif::orientation(segment);
                block = block.or_else(|| exif::keep(segment));
            }
            0xE1 | 0xE2 if gain_map::is_announced(source, at, segment) => has_gain_map = true,
            0xE2 => profile.add(segment),
            SOS => break ScanHeader::read(segment).count,
            _ => {}
        }
    };
    let frame = frame.ok_or_else(|| Error::corrupt("the JPEG has a scan but no frame header"))?;
    Ok(ParsedHeader {
        size: frame.size,
        orientation,
        has_alpha: false,
        frames: 1,
        bit_depth: 8,
        model: match frame.components {
            1 => Model::Grey,
            4 => Model::Cmyk,
            _ => Model::Rgb,
        },
        is_odd_jpeg: frame.is_oddly_sampled
            || is_rewritten(source)
            || (frame.is_baseline
                && frame.is_subsampled
                && first_scan_components < usize::from(frame.components)),
        exif: block.into(),
        icc: profile.assemble(),
        has_gain_map,
        ..ParsedHeader::default()
    })
}

fn start_of_frame(marker: u8, segment: &[u8], limits: &Limits) -> Result<Frame, Error> {
    let header =
        FrameHeader::read(segment).ok_or_else(|| Error::corrupt("the JPEG frame header is too short"))?;
    if header.precision != 8 {
        return Err(Error::unsupported(format!(
            "the JPEG has {} bits per sample; 8 are read",
            header.precision
        )));
    }
    if !matches!(header.count, 1 | 3 | 4) {
        return Err(Error::unsupported(format!(
            "the JPEG has {} components; 1, 3 and 4 are read",
            header.count
        )));
    }
    let factors = || header.components.iter().map(|component| component.factors());
    let luma = factors().next().unwrap_or_default();
    // The sampling of almost all files, which the fast decoder was tested to read right.
    let is_usual = |(place, factors): (usize, (u8, u8))| match place {
        0 => matches!(factors, (1, 1) | (1, 2) | (2, 1) | (2, 2) | (4, 1)),
        3 => factors == (1, 1) || factors == luma,
        _ => factors == (1, 1),
    };
    Ok(Frame {
        size: check_size(header.width.into(), header.height.into(), limits)?,
        components: header.count,
        is_baseline: marker != SOF2,
        is_subsampled: factors().any(|factors| factors != (1, 1)),
        is_oddly_sampled: !factors().enumerate().all(is_usual),
    })
}

fn unsupported_process(marker: u8) -> Error {
    let process = match marker {
        0xC3 => "lossless",
        0xC9 | 0xCA => "arithmetic-coded",
        _ => "hierarchical, lossless or arithmetic-coded",
    };
    Error::unsupported(format!(
        "the JPEG is {process}; baseline and progressive Huffman coding are read"
    ))
}

/// An ICC profile in APP2 segments (ICC.1 annex B.4).
#[derive(Default)]
struct ProfileParts<'a> {
    announced: Option<u8>,
    parts: BTreeMap<u8, &'a [u8]>,
}

impl<'a> ProfileParts<'a> {
    fn add(&mut self, segment: &'a [u8]) {
        let Some(rest) = segment.strip_prefix(b"ICC_PROFILE\0") else {
            return;
        };
        if let [number, total, data @ ..] = rest {
            self.announced.get_or_insert(*total);
            self.parts.entry(*number).or_insert(data);
        }
    }

    /// The whole profile, or nothing when a part is missing: half a profile would give wrong colours.
    fn assemble(self) -> Option<Vec<u8>> {
        let total = self.announced.filter(|&total| total > 0)?;
        let mut profile = Vec::new();
        for number in 1..=total {
            profile.extend_from_slice(self.parts.get(&number)?);
            if profile.len() > MAX_PROFILE_BYTES {
                return None;
            }
        }
        Some(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_parts_may_come_in_any_order_but_none_may_be_missing() {
        let part =
            |number: u8, total: u8, data: &[u8]| [b"ICC_PROFILE\0", &[number, total][..], data].concat();
        let (one, two) = (part(1, 2, b"abc"), part(2, 2, b"def"));
        let mut parts = ProfileParts::default();
        parts.add(&two);
        parts.add(b"MPF\0");
        parts.add(&one);
        parts.add(&one);
        assert_eq!(parts.assemble().as_deref(), Some(&b"abcdef"[..]));
        let mut parts = ProfileParts::default();
        parts.add(&two);
        assert_eq!(parts.assemble(), None);
        let zero = part(0, 0, b"abc");
        let mut parts = ProfileParts::default();
        parts.add(&zero);
        assert_eq!(parts.assemble(), None);
    }
}
