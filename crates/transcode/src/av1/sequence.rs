//! The sequence header (sections 5.5 and 6.4): the kind of samples, the largest frame, and the fields that a container
//! repeats.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use tintype_model::Dimensions;

use super::units::{SEQUENCE_HEADER, find};
use crate::color::cicp::Cicp;
use crate::picture::Subsampling;
use crate::syntax::bits::{Bits, Writer};

/// The level "maximum parameters" (annex A.3), which the box around a tiled still states too.
const MAXIMUM_LEVEL: u32 = 31;

/// The content of a sequence header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SequenceHeader {
    pub(crate) profile: u8,
    pub(crate) is_still: bool,
    /// True if it is the reduced header of a still picture.
    pub(crate) is_reduced: bool,
    pub(crate) points: OperatingPoints,
    /// The largest frame.
    pub(crate) size: Dimensions,
    pub(crate) tools: Tools,
    pub(crate) colors: Colors,
    /// The place of the fields behind the size, in bits.
    size_end: usize,
    /// The flags behind the colours; `None` where the header is cut off before their end.
    tail: Option<Tail>,
}

/// The levels of a stream, and its timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OperatingPoints {
    /// The level and the tier of the first point.
    pub(crate) level: u8,
    pub(crate) is_high_tier: bool,
    /// True if there is one point only and no timing.
    pub(crate) is_plain: bool,
}

/// The tools that frame headers depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tools {
    pub(crate) has_large_superblocks: bool,
    pub(crate) has_superres: bool,
    pub(crate) has_cdef: bool,
    pub(crate) has_restoration: bool,
}

/// The samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colors {
    pub(crate) depth: u8,
    pub(crate) subsampling: Subsampling,
    pub(crate) cicp: Cicp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tail {
    has_separate_quantizers: bool,
    has_film_grain: bool,
    /// The place of the trailing bits, in bits.
    end: usize,
}

impl SequenceHeader {
    /// Reads the first sequence header in a stream.
    pub(crate) fn find(stream: &[u8]) -> Option<Self> {
        Self::read(find(stream, SEQUENCE_HEADER)?)
    }

    /// Reads the content of a unit; `None` when it is cut off before the end of the colours.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let bits = &mut Bits::new(body);
        let profile = bits.take(3)?;
        let (is_still, is_reduced) = (bits.flag()?, bits.flag()?);
        let points = if is_reduced {
            OperatingPoints {
                level: u8::try_from(bits.take(5)?).ok()?,
                is_high_tier: false,
                is_plain: true,
            }
        } else {
            operating_points(bits)?
        };
        let width_bits = bits.take(4)?.checked_add(1)?;
        let height_bits = bits.take(4)?.checked_add(1)?;
        let size = Dimensions {
            width: bits.take(width_bits)?.checked_add(1)?,
            height: bits.take(height_bits)?.checked_add(1)?,
        };
        let size_end = bits.position();
        if !is_reduced && bits.flag()? {
            // The lengths of frame numbers.
            bits.take(7)?;
        }
        let has_large_superblocks = bits.flag()?;
        // Filter intra and intra edge filter concern tiles only.
        bits.take(2)?;
        if !is_reduced {
            skip_inter_tools(bits)?;
        }
        let tools = Tools {
            has_large_superblocks,
            has_superres: bits.flag()?,
            has_cdef: bits.flag()?,
            has_restoration: bits.flag()?,
        };
        let colors = colors(bits, profile)?;
        Some(Self {
            profile: u8::try_from(profile).ok()?,
            is_still,
            is_reduced,
            points,
            size,
            tools,
            colors,
            size_end,
            tail: tail(bits, colors),
        })
    }

    pub(crate) fn is_monochrome(&self) -> bool {
        self.colors.subsampling == Subsampling::None
    }

    /// The bits before the level (profile and flags) and those behind the size (tools and colours) of the header that was
    /// read from `body`. `None` unless it is that of a reduced still picture that has none of what is not written here.
    pub(super) fn parts(&self, body: &[u8]) -> Option<[Writer; 2]> {
        let tail = self.tail?;
        let is_usual = self.is_still
            && self.is_reduced
            && !self.tools.has_large_superblocks
            && !self.tools.has_superres
            && !tail.has_separate_quantizers
            && !tail.has_film_grain;
        is_usual.then(|| [0..5, self.size_end..tail.end].map(|range| Writer::of(body, range)))
    }
}

/// The content of the header of a reduced still picture of another size that has the same [parts](SequenceHeader::parts).
pub(super) fn written(size: Dimensions, [before, behind]: &[Writer; 2]) -> Vec<u8> {
    let mut bits = Writer::default();
    bits.append(before).put(MAXIMUM_LEVEL, 5);
    let sides = [size.width, size.height].map(|side| side.saturating_sub(1));
    let last_bits = sides.map(|side| side.checked_ilog2().unwrap_or(0));
    for last_bit in last_bits {
        bits.put(last_bit, 4);
    }
    for (side, last_bit) in sides.into_iter().zip(last_bits) {
        bits.put(side, last_bit.saturating_add(1));
    }
    // The trailing bits begin with a one.
    bits.append(behind).put(1, 1).bytes()
}

fn operating_points(bits: &mut Bits<'_>) -> Option<OperatingPoints> {
    let (mut has_model, mut delay_bits) = (false, 0);
    let has_timing = bits.flag()?;
    if has_timing {
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
    let others = bits.take(5)?;
    let mut first = None;
    for _ in 0..=others {
        bits.take(12)?;
        let level = bits.take(5)?;
        let is_high_tier = level > 7 && bits.flag()?;
        first = first.or(Some((level, is_high_tier)));
        if has_model && bits.flag()? {
            bits.take(delay_bits)?;
            bits.take(delay_bits)?;
            bits.take(1)?;
        }
        if has_delays && bits.flag()? {
            bits.take(4)?;
        }
    }
    let (level, is_high_tier) = first?;
    Some(OperatingPoints {
        level: u8::try_from(level).ok()?,
        is_high_tier,
        is_plain: !has_timing && !has_delays && others == 0,
    })
}

/// The inter-frame tools.
fn skip_inter_tools(bits: &mut Bits<'_>) -> Option<()> {
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

fn colors(bits: &mut Bits<'_>, profile: u32) -> Option<Colors> {
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
        return Some(Colors {
            depth,
            subsampling: Subsampling::None,
            cicp,
        });
    }
    if is_srgb {
        cicp.is_full_range = true;
        return Some(Colors {
            depth,
            subsampling: Subsampling::Full,
            cicp,
        });
    }
    cicp.is_full_range = bits.flag()?;
    let subsampling = match (profile, depth) {
        (0, _) => Subsampling::Quarter,
        (1, _) => Subsampling::Full,
        (_, 12) if !bits.flag()? => Subsampling::Full,
        (_, 12) if bits.flag()? => Subsampling::Quarter,
        _ => Subsampling::Half,
    };
    Some(Colors {
        depth,
        subsampling,
        cicp,
    })
}

/// The flags behind the colours.
fn tail(bits: &mut Bits<'_>, colors: Colors) -> Option<Tail> {
    if colors.subsampling == Subsampling::Quarter {
        // The position of the samples of colour.
        bits.take(2)?;
    }
    Some(Tail {
        has_separate_quantizers: colors.subsampling != Subsampling::None && bits.flag()?,
        has_film_grain: bits.flag()?,
        end: bits.position(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        crate::av1::units::written(SEQUENCE_HEADER, &body)
    }

    #[test]
    fn depth_and_colour_are_read_in_every_profile() {
        #[expect(clippy::type_complexity, reason = "a table is read as it is")]
        let cases: [(u32, &[(u32, u32)], u8, Subsampling); 7] = [
            (
                0,
                &[(0, 1), (0, 1), (0, 1), (1, 1), (0, 2)],
                8,
                Subsampling::Quarter,
            ),
            (0, &[(1, 1), (1, 1), (0, 1), (1, 1)], 10, Subsampling::None),
            (1, &[(1, 1), (0, 1), (1, 1)], 10, Subsampling::Full),
            (2, &[(0, 1), (0, 1), (0, 1), (1, 1)], 8, Subsampling::Half),
            (
                2,
                &[(1, 1), (1, 1), (0, 1), (0, 1), (1, 1), (0, 1)],
                12,
                Subsampling::Full,
            ),
            (
                2,
                &[(1, 1), (1, 1), (0, 1), (0, 1), (1, 1), (1, 1), (1, 1)],
                12,
                Subsampling::Quarter,
            ),
            (
                2,
                &[(1, 1), (1, 1), (0, 1), (0, 1), (1, 1), (1, 1), (0, 1)],
                12,
                Subsampling::Half,
            ),
        ];
        for (profile, color, depth, chroma) in cases {
            // A temporal delimiter comes first.
            let stream = [vec![0x12, 0], header(profile, color)].concat();
            let found = SequenceHeader::find(&stream).unwrap();
            assert_eq!((found.size.width, found.size.height), (640, 480));
            assert_eq!(
                (found.colors.depth, found.colors.subsampling),
                (depth, chroma),
                "profile {profile}"
            );
            assert!(found.colors.cicp.is_full_range);
        }
        let numbers = [(0, 1), (0, 1), (1, 1), (12, 8), (16, 8), (6, 8), (0, 1), (0, 2)];
        let cicp = SequenceHeader::find(&header(0, &numbers)).unwrap().colors.cicp;
        assert_eq!(
            (cicp.primaries, cicp.transfer, cicp.matrix, cicp.is_full_range),
            (12, 16, 6, false)
        );
    }

    #[test]
    fn units_end_where_the_stream_does() {
        let whole = header(0, &[(0, 1), (0, 1), (0, 1), (1, 1), (0, 2)]);
        for length in 0..whole.len() {
            assert!(SequenceHeader::find(&whole[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn level_and_tier_are_those_of_the_first_point() {
        let mut bits = Writer::default();
        // Profile 0, no still picture, no timing, one point of level 13 and high tier.
        bits.put(0, 3)
            .put(0, 2)
            .put(0, 2)
            .put(0, 5)
            .put(0, 12)
            .put(13, 5)
            .put(1, 1);
        bits.put(11, 4).put(11, 4).put(639, 12).put(479, 12).put(0, 1);
        bits.put(0, 3).put(0, 5).put(0, 2).put(0, 3);
        // 8 bits, monochrome.
        bits.put(0, 1).put(1, 1).put(0, 2);
        let unit = crate::av1::units::written(SEQUENCE_HEADER, &bits.bytes());
        let stream = [&[0x12, 0], &unit[..]].concat();
        let header = SequenceHeader::find(&stream).unwrap();
        assert_eq!((header.profile, header.points.level), (0, 13));
        assert!(header.points.is_high_tier && header.is_monochrome() && header.points.is_plain);
        assert_eq!(SequenceHeader::find(&stream[..8]), None);
        assert_eq!(SequenceHeader::find(&[0x32, 1, 7]), None);
    }

    #[test]
    fn a_header_written_for_another_size_has_the_same_tools_and_colours() {
        let mut bits = Writer::default();
        // A reduced still picture of 640 by 480 with CDEF, of 8 bits, 4:2:0.
        bits.put(0, 3).put(3, 2).put(0, 5);
        bits.put(9, 4).put(8, 4).put(639, 10).put(479, 9);
        bits.put(0, 3).put(0, 1).put(1, 1).put(0, 1);
        bits.put(0, 3).put(1, 1).put(0, 2).put(0, 2).put(1, 1);
        let body = bits.bytes();
        let header = SequenceHeader::read(&body).unwrap();
        let parts = header.parts(&body).unwrap();
        for size in [(1, 1), (2, 256), (65_536, 4097)] {
            let size = Dimensions {
                width: size.0,
                height: size.1,
            };
            let other = written(size, &parts);
            let read = SequenceHeader::read(&other).unwrap();
            assert_eq!(read.size, size);
            assert_eq!((read.tools, read.colors), (header.tools, header.colors));
            assert_eq!(read.points.level, 31);
            assert!(read.parts(&other) == Some(parts.clone()));
        }
    }
}
