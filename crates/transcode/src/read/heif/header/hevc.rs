//! The configuration of an HEVC decoder (ISO/IEC 14496-15 section 8.3.3.1) and the sequence parameter set in it
//! (H.265 sections 7.3.2.2 and E.2.1).

use tintype_model::Dimensions;

use super::Coded;
use crate::Error;
use crate::color::cicp::Cicp;
use crate::picture::Subsampling;
use crate::syntax::bits::Bits;
use crate::syntax::reader::Reader;

const SPS: u8 = 33;
/// More parameter sets are refused: a picture needs one of each kind.
const MAX_SETS: usize = 64;
/// Columns or rows on one side that the picture may have and not show, twice what the largest blocks make necessary.
const MAX_MARGIN: u32 = 128;
/// A sequence parameter set has at most this many bytes that are looked at.
const MAX_SPS_BYTES: usize = 4096;

/// The body of `hvcC`.
pub(crate) struct Config<'a> {
    /// Parameter sets, in the order of the file, as (type, NAL unit).
    sets: Vec<(u8, &'a [u8])>,
    /// Bytes of the number that tells how long a NAL unit is.
    length_bytes: usize,
}

impl<'a> Config<'a> {
    pub(crate) fn read(data: &'a [u8]) -> Result<Self, Error> {
        Self::parse(data).ok_or_else(|| Error::corrupt("the configuration of the HEVC picture is broken"))
    }

    fn parse(data: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::at(data, 21);
        let length_bytes = usize::from(reader.u8()? & 3).checked_add(1)?;
        let mut sets = Vec::new();
        for _ in 0..reader.u8()? {
            let kind = reader.u8()? & 0x3F;
            for _ in 0..reader.be16()? {
                let length = reader.be16()?;
                let unit = reader.take(length.into())?;
                if sets.len() == MAX_SETS {
                    return None;
                }
                sets.push((kind, unit));
            }
        }
        Some(Self { sets, length_bytes })
    }

    /// The parameter sets of one type: 32 is VPS, 33 SPS, 34 PPS.
    pub(crate) fn sets(&self, wanted: u8) -> impl Iterator<Item = &'a [u8]> {
        self.sets
            .iter()
            .filter(move |(kind, _)| *kind == wanted)
            .map(|(_, unit)| *unit)
    }

    /// The NAL units of a stream, each behind its length.
    #[cfg_attr(
        not(any(feature = "heic", test)),
        expect(dead_code, reason = "only the decoder of HEVC needs it")
    )]
    pub(crate) fn units<'b>(&self, stream: &'b [u8]) -> Result<Vec<&'b [u8]>, Error> {
        let cut = || Error::corrupt("the HEVC picture is cut off");
        let mut reader = Reader::new(stream);
        let mut units = Vec::new();
        while !reader.rest().is_empty() {
            let length = reader.take(self.length_bytes).ok_or_else(cut)?;
            let length = length
                .iter()
                .fold(0u32, |sum, &byte| (sum << 8) | u32::from(byte));
            let length = usize::try_from(length).map_err(|_| cut())?;
            units.push(reader.take(length).ok_or_else(cut)?);
        }
        Ok(units)
    }

    pub(super) fn coded(&self) -> Result<Coded, Error> {
        let broken = || Error::corrupt("the HEVC picture has no sequence parameter set that can be read");
        let mut sets = self.sets(SPS);
        let set = sets.next().ok_or_else(broken)?;
        if sets.next().is_some() {
            return Err(Error::unsupported(
                "the picture has several sequence parameter sets",
            ));
        }
        let set = set.get(..set.len().min(MAX_SPS_BYTES)).unwrap_or_default();
        parse(&mut Bits::new(&unescaped(set))).ok_or_else(broken)
    }
}

/// Without the bytes that keep start codes out of a NAL unit (H.265 section 7.3.1.1).
fn unescaped(unit: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(unit.len());
    let mut zeros = 0u8;
    for &byte in unit {
        if byte == 3 && zeros >= 2 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros.saturating_add(1) } else { 0 };
        bytes.push(byte);
    }
    bytes
}

fn parse(bits: &mut Bits<'_>) -> Option<Coded> {
    bits.skip(16 + 4)?;
    let sub_layers = bits.take(3)?;
    bits.skip(1)?;
    skip_profile(bits, sub_layers)?;
    bits.golomb()?;
    let format = bits.golomb()?;
    let has_separate_planes = format == 3 && bits.flag()?;
    let (width, height) = (bits.golomb()?, bits.golomb()?);
    let (horizontal, vertical) = match format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let mut window = [0; 4];
    if bits.flag()? {
        for side in &mut window {
            *side = bits.golomb()?;
        }
    }
    let [left, right, top, bottom] = window;
    // A window makes up for blocks at the edges. A larger one would hide what the decoder allocates.
    if left.max(right).max(top).max(bottom) > MAX_MARGIN {
        return None;
    }
    let cropped = |whole: u32, one: u32, other: u32, unit: u32| {
        whole.checked_sub(one.checked_add(other)?.checked_mul(unit)?)
    };
    let size = Dimensions {
        width: cropped(width, left, right, horizontal)?,
        height: cropped(height, top, bottom, vertical)?,
    };
    let depth = u8::try_from(bits.golomb()?.checked_add(8)?).ok()?;
    bits.golomb()?;
    let chroma = match format {
        1 => Subsampling::Quarter,
        2 => Subsampling::Half,
        3 => Subsampling::Full,
        _ => Subsampling::None,
    };
    Some(Coded {
        size,
        depth,
        chroma,
        has_separate_planes,
        cicp: color(bits, sub_layers).unwrap_or(Cicp::UNSPECIFIED),
    })
}

fn skip_profile(bits: &mut Bits<'_>, sub_layers: u32) -> Option<()> {
    bits.skip(96)?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if sub_layers > 0 {
        for _ in sub_layers..8 {
            bits.skip(2)?;
        }
    }
    for (has_profile, has_level) in present {
        bits.skip(if has_profile { 88 } else { 0 })?;
        bits.skip(if has_level { 8 } else { 0 })?;
    }
    Some(())
}

/// The colour space and range of the samples, from the end of the set; `None` when it does not tell them, or is one of
/// a kind that no still picture has. Then the samples are as in video (H.265 section E.3.1).
fn color(bits: &mut Bits<'_>, sub_layers: u32) -> Option<Cicp> {
    let order_bits = bits.golomb()?.checked_add(4)?;
    let layers = if bits.flag()? {
        sub_layers.checked_add(1)?
    } else {
        1
    };
    for _ in 0..layers.checked_mul(3)?.checked_add(6)? {
        bits.golomb()?;
    }
    if bits.flag()? && bits.flag()? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2)?;
    if bits.flag()? {
        bits.skip(8)?;
        bits.golomb()?;
        bits.golomb()?;
        bits.skip(1)?;
    }
    for index in 0..bits.golomb()? {
        // Sets that are predicted from others are for video.
        if index > 0 && bits.flag()? {
            return None;
        }
        for _ in 0..bits.golomb()?.checked_add(bits.golomb()?)? {
            bits.golomb()?;
            bits.skip(1)?;
        }
    }
    if bits.flag()? {
        for _ in 0..bits.golomb()? {
            bits.skip(order_bits.checked_add(1)?)?;
        }
    }
    bits.skip(2)?;
    if !bits.flag()? {
        return None;
    }
    if bits.flag()? && bits.take(8)? == 255 {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    if !bits.flag()? {
        return None;
    }
    bits.skip(3)?;
    let mut cicp = Cicp {
        is_full_range: bits.flag()?,
        ..Cicp::UNSPECIFIED
    };
    if bits.flag()? {
        cicp.primaries = u8::try_from(bits.take(8)?).ok()?;
        cicp.transfer = u8::try_from(bits.take(8)?).ok()?;
        cicp.matrix = u8::try_from(bits.take(8)?).ok()?;
    }
    Some(cicp)
}

fn skip_scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    for (matrices, coefficients, has_dc) in [(6, 16, false), (6, 64, false), (6, 64, true), (2, 64, true)] {
        for _ in 0..matrices {
            if !bits.flag()? {
                bits.golomb()?;
                continue;
            }
            for _ in 0..u32::from(has_dc).checked_add(coefficients)? {
                bits.golomb()?;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::bits::Writer;

    /// The configuration of a picture of 10 bits, coded as 96x64 and shown without `margin` pairs of columns.
    fn config(margin: u32, matrix: u32) -> Vec<u8> {
        let mut sps = Writer::default();
        // NAL unit header, no sub-layers, and a profile of which nothing is read.
        sps.put(0x4201, 16).put(0, 4).put(0, 3).put(1, 1);
        for _ in 0..3 {
            sps.put(0x0101_0101, 32);
        }
        sps.golomb(&[0, 1, 96, 64]).put(1, 1).golomb(&[margin, 0, 0, 0]);
        sps.golomb(&[2, 2, 4])
            .put(1, 1)
            .golomb(&[0, 0, 0, 0, 3, 0, 3, 0, 0]);
        // Scaling lists, each taken from another; then tools, and no sets of references.
        sps.put(1, 1).put(1, 1);
        for _ in 0..20 {
            sps.put(0, 1).golomb(&[0]);
        }
        sps.put(0, 2).put(0, 1).golomb(&[0]).put(0, 1).put(0, 2);
        // The meaning of the samples: no aspect ratio or overscan, full range, three numbers.
        sps.put(1, 1).put(0, 2).put(1, 1).put(5, 3).put(1, 1).put(1, 1);
        sps.put(9, 8).put(16, 8).put(matrix, 8).put(1, 8);
        let sps = escaped(&sps.bytes());
        let mut config = vec![0; 21];
        config.extend([3, 1, 33, 0, 1]);
        config.extend(u16::try_from(sps.len()).unwrap().to_be_bytes());
        config.extend(sps);
        config
    }

    fn escaped(bytes: &[u8]) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        for &byte in bytes {
            if byte <= 3 && out.ends_with(&[0, 0]) {
                out.push(3);
            }
            out.push(byte);
        }
        out
    }

    #[test]
    fn a_parameter_set_tells_the_size_the_depth_and_the_colours() {
        let coded = Config::read(&config(3, 9)).unwrap().coded().unwrap();
        assert_eq!((coded.size.width, coded.size.height), (90, 64));
        assert_eq!((coded.depth, coded.chroma), (10, Subsampling::Quarter));
        let cicp = coded.cicp;
        assert_eq!(
            (cicp.primaries, cicp.transfer, cicp.matrix, cicp.is_full_range),
            (9, 16, 9, true)
        );
        // Zeros in a row are kept apart by a byte that does not count.
        let zero = Config::read(&config(3, 0)).unwrap().coded().unwrap();
        assert_eq!(zero.cicp.matrix, 0);
    }

    #[test]
    fn windows_that_hide_most_of_the_picture_are_refused() {
        assert!(Config::read(&config(129, 9)).unwrap().coded().is_err());
        assert!(
            Config::read(&config(48, 9))
                .unwrap()
                .coded()
                .is_ok_and(|coded| coded.size.width == 0)
        );
    }

    #[test]
    fn a_configuration_that_is_cut_off_is_refused() {
        let whole = config(3, 9);
        for length in 0..whole.len() {
            assert!(Config::read(&whole[..length]).is_err(), "{length}");
        }
        // A set without its end is read as far as the size needs.
        let mut cut = whole;
        let length = 26;
        cut[26..28].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        cut.truncate(28 + length);
        assert!(
            Config::read(&cut)
                .unwrap()
                .coded()
                .is_ok_and(|coded| coded.cicp == Cicp::UNSPECIFIED)
        );
    }

    #[test]
    fn units_are_as_long_as_they_say() {
        let bytes = config(3, 9);
        let config = Config::read(&bytes).unwrap();
        assert_eq!(
            config.units(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9]).unwrap(),
            [&[7, 8][..], &[9]]
        );
        for bad in [&[0, 0, 0, 3, 7, 8][..], &[0xFF; 4], &[0, 0]] {
            assert!(config.units(bad).is_err(), "{bad:?}");
        }
    }
}
