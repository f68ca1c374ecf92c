//! The sequence header of an AV1 stream (AV1 specification sections 5.3 and 5.5): what is in the pixels, and how large a
//! frame may be.

use tintype_model::Dimensions;

use super::{Chroma, Coded};
use crate::Error;
use crate::av1::obu::{SEQUENCE_HEADER, find};
use crate::color::cicp::Cicp;
use crate::syntax::bits::Bits;

/// The first sequence header of a stream.
pub(super) fn coded(stream: &[u8]) -> Result<Coded, Error> {
    let header = find(stream, SEQUENCE_HEADER)
        .ok_or_else(|| Error::corrupt("the AV1 stream has no sequence header"))?;
    parse(&mut Bits::new(header)).ok_or_else(|| Error::corrupt("the AV1 sequence header is cut off"))
}

fn parse(bits: &mut Bits<'_>) -> Option<Coded> {
    let profile = bits.take(3)?;
    bits.take(1)?;
    let is_reduced = bits.flag()?;
    if is_reduced {
        bits.take(5)?;
    } else {
        skip_operating_points(bits)?;
    }
    let width_bits = bits.take(4)?.checked_add(1)?;
    let height_bits = bits.take(4)?.checked_add(1)?;
    let width = bits.take(width_bits)?.checked_add(1)?;
    let height = bits.take(height_bits)?.checked_add(1)?;
    if !is_reduced && bits.flag()? {
        bits.take(7)?;
    }
    bits.take(3)?;
    if !is_reduced {
        skip_tools(bits)?;
    }
    bits.take(3)?;
    let (depth, chroma, cicp) = color_config(bits, profile)?;
    Some(Coded {
        size: Dimensions { width, height },
        depth,
        chroma,
        has_separate_planes: false,
        cicp,
    })
}

fn skip_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut has_model = false;
    let mut delay_bits = 0;
    if bits.flag()? {
        bits.take(32)?;
        bits.take(32)?;
        if bits.flag()? {
            bits.golomb()?;
        }
        has_model = bits.flag()?;
        if has_model {
            delay_bits = bits.take(5)?.checked_add(1)?;
            bits.take(32)?;
            bits.take(10)?;
        }
    }
    let has_delays = bits.flag()?;
    for _ in 0..=bits.take(5)? {
        bits.take(12)?;
        if bits.take(5)? > 7 {
            bits.take(1)?;
        }
        if has_model && bits.flag()? {
            bits.take(delay_bits)?;
            bits.take(delay_bits)?;
            bits.take(1)?;
        }
        if has_delays && bits.flag()? {
            bits.take(4)?;
        }
    }
    Some(())
}

/// The inter-frame tools.
fn skip_tools(bits: &mut Bits<'_>) -> Option<()> {
    bits.take(4)?;
    let has_order_hint = bits.flag()?;
    if has_order_hint {
        bits.take(2)?;
    }
    let forces_screen_content_tools = if bits.flag()? { true } else { bits.flag()? };
    if forces_screen_content_tools && !bits.flag()? {
        bits.take(1)?;
    }
    if has_order_hint {
        bits.take(3)?;
    }
    Some(())
}

fn color_config(bits: &mut Bits<'_>, profile: u32) -> Option<(u8, Chroma, Cicp)> {
    let is_high = bits.flag()?;
    let depth = match (is_high, profile) {
        (true, 2) if bits.flag()? => 12,
        (true, _) => 10,
        (false, _) => 8,
    };
    let is_grey = profile != 1 && bits.flag()?;
    let mut cicp = Cicp::UNSPECIFIED;
    if bits.flag()? {
        cicp.primaries = u8::try_from(bits.take(8)?).ok()?;
        cicp.transfer = u8::try_from(bits.take(8)?).ok()?;
        cicp.matrix = u8::try_from(bits.take(8)?).ok()?;
    }
    let is_srgb = (cicp.primaries, cicp.transfer, cicp.matrix) == (1, 13, 0);
    if is_grey {
        cicp.is_full_range = bits.flag()?;
        return Some((depth, Chroma::None, cicp));
    }
    if is_srgb {
        cicp.is_full_range = true;
        return Some((depth, Chroma::Full, cicp));
    }
    cicp.is_full_range = bits.flag()?;
    let chroma = match (profile, depth) {
        (0, _) => Chroma::Quarter,
        (1, _) => Chroma::Full,
        (_, 12) if !bits.flag()? => Chroma::Full,
        (_, 12) if bits.flag()? => Chroma::Quarter,
        _ => Chroma::Half,
    };
    Some((depth, chroma, cicp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::bits::Writer;

    fn header(profile: u32, color: &[(u32, u32)]) -> Vec<u8> {
        let mut bits = Writer::default();
        // A still picture with a full header: no timing, one operating point of level 2.0, 12 bits for each side.
        bits.put(profile, 3)
            .put(1, 1)
            .put(0, 1)
            .put(0, 1)
            .put(0, 1)
            .put(0, 5)
            .put(0, 12)
            .put(0, 5);
        bits.put(11, 4).put(11, 4).put(639, 12).put(479, 12).put(0, 1);
        // Tools: none but the order of frames and what screens need.
        bits.put(0, 3)
            .put(0, 4)
            .put(1, 1)
            .put(0, 2)
            .put(1, 1)
            .put(1, 1)
            .put(0, 3)
            .put(0, 3);
        for &(value, count) in color {
            bits.put(value, count);
        }
        let body = bits.bytes();
        let mut unit = vec![0x0A, u8::try_from(body.len()).unwrap()];
        unit.extend(body);
        unit
    }

    #[test]
    fn depth_and_colour_are_read_in_every_profile() {
        #[expect(clippy::type_complexity, reason = "a table is read as it is")]
        let cases: [(u32, &[(u32, u32)], u8, Chroma); 7] = [
            (0, &[(0, 1), (0, 1), (0, 1), (1, 1), (0, 2)], 8, Chroma::Quarter),
            (0, &[(1, 1), (1, 1), (0, 1), (1, 1)], 10, Chroma::None),
            (1, &[(1, 1), (0, 1), (1, 1)], 10, Chroma::Full),
            (2, &[(0, 1), (0, 1), (0, 1), (1, 1)], 8, Chroma::Half),
            (
                2,
                &[(1, 1), (1, 1), (0, 1), (0, 1), (1, 1), (0, 1)],
                12,
                Chroma::Full,
            ),
            (
                2,
                &[(1, 1), (1, 1), (0, 1), (0, 1), (1, 1), (1, 1), (1, 1)],
                12,
                Chroma::Quarter,
            ),
            (
                2,
                &[(1, 1), (1, 1), (0, 1), (0, 1), (1, 1), (1, 1), (0, 1)],
                12,
                Chroma::Half,
            ),
        ];
        for (profile, color, depth, chroma) in cases {
            // A temporal delimiter comes first.
            let stream = [vec![0x12, 0], header(profile, color)].concat();
            let found = coded(&stream).unwrap();
            assert_eq!((found.size.width, found.size.height), (640, 480));
            assert_eq!((found.depth, found.chroma), (depth, chroma), "profile {profile}");
            assert!(found.cicp.is_full_range);
        }
        let numbers = [(0, 1), (0, 1), (1, 1), (12, 8), (16, 8), (6, 8), (0, 1), (0, 2)];
        let cicp = coded(&header(0, &numbers)).unwrap().cicp;
        assert_eq!(
            (cicp.primaries, cicp.transfer, cicp.matrix, cicp.is_full_range),
            (12, 16, 6, false)
        );
    }

    #[test]
    fn units_end_where_the_stream_does() {
        let whole = header(0, &[(0, 1), (0, 1), (0, 1), (1, 1), (0, 2)]);
        for length in 0..whole.len() {
            assert!(coded(&whole[..length]).is_err(), "{length}");
        }
    }
}
