//! PNG (third edition) and APNG: chunks are walked, not decoded.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::io::Cursor;

use tintype_model::{Dimensions, Limits, RejectionCode};

use crate::Error;
use crate::color::cicp::Cicp;
use crate::color::gamma::{Chromaticities, Gamma};
use crate::header::motion::{Motion, delay_ms};
use crate::header::{MAX_PROFILE_BYTES, ParsedHeader, check_frames, check_size};
use crate::metadata::exif;
use crate::picture::Model;
use crate::syntax::png::chunk;
use crate::syntax::reader::Reader;

/// The size that ancillary chunks may inflate to, so that a small file cannot fill memory with metadata.
pub(crate) const METADATA_LIMITS: png::Limits = png::Limits {
    bytes: 2 * MAX_PROFILE_BYTES,
};

pub(crate) fn parse(source: &[u8], limits: &Limits) -> Result<ParsedHeader, Error> {
    let mut reader = Reader::at(source, 8);
    if source.get(12..16) == Some(b"CgBI") {
        return Err(Error::unsupported(
            "the PNG is of the kind that Xcode makes for iOS apps (CgBI), which no browser but Safari reads; \
             use the PNG that it was made from",
        ));
    }
    let header = chunk(&mut reader)
        .filter(|(name, data)| name == b"IHDR" && data.len() == 13)
        .ok_or_else(|| Error::corrupt("the PNG does not begin with its header chunk"))?;
    let mut fields = Reader::new(header.1);
    let header = (fields.be32(), fields.be32(), fields.u8(), fields.u8());
    let (Some(width), Some(height), Some(depth), Some(color)) = header else {
        return Err(Error::corrupt("the PNG header chunk is too short"));
    };
    let size = check_size(width, height, limits)?;
    let mut chunks = walk(reader, size, limits)?;
    if chunks.has_broken_frame {
        // Then the default image is all there is.
        (chunks.frames, chunks.motion) = (1, Motion::default());
    }
    // One description of the colours counts (PNG third edition, section 13.13).
    let has_profile = chunks.has_profile && chunks.cicp.is_none();
    let has_gamma = !has_profile && chunks.cicp.is_none() && !chunks.is_srgb;
    Ok(ParsedHeader {
        size,
        orientation: chunks.orientation,
        has_alpha: chunks.has_transparency || matches!(color, 4 | 6),
        frames: chunks.frames.min(chunks.announced_frames).max(1),
        motion: chunks.motion,
        // Palettes hold 8 bits per channel whatever the size of their indices.
        bit_depth: if color == 3 { 8 } else { depth },
        model: if matches!(color, 0 | 4) {
            Model::Grey
        } else {
            Model::Rgb
        },
        icc: if has_profile { profile(source)? } else { None },
        cicp: chunks.cicp,
        peak: chunks.peak,
        gamma: has_gamma.then_some(chunks.gamma),
        exif: chunks.exif.into(),
        ..ParsedHeader::default()
    })
}

#[derive(Default)]
struct Chunks {
    frames: u32,
    announced_frames: u32,
    /// The number that the next control chunk or frame data has to have.
    sequence: u32,
    /// True if a control chunk still waits for its data.
    lacks_data: bool,
    has_broken_frame: bool,
    motion: Motion,
    orientation: Option<u8>,
    exif: Option<Vec<u8>>,
    has_transparency: bool,
    has_profile: bool,
    cicp: Option<Cicp>,
    peak: Option<u16>,
    is_srgb: bool,
    gamma: Gamma,
}

impl Chunks {
    /// Looks at the sequence number that a chunk of the animation begins with.
    fn count(&mut self, data: &[u8]) {
        let is_next = Reader::new(data).be32() == Some(self.sequence);
        self.has_broken_frame |= !is_next && self.frames <= self.announced_frames;
        self.sequence = self.sequence.saturating_add(1);
    }
}

/// Tells whether a control chunk is valid (PNG, third edition, section 11.3.6.2). The frame of the default image covers
/// the canvas.
fn is_control_sound(data: &[u8], canvas: Dimensions, is_default: bool) -> bool {
    let mut fields = Reader::at(data, 4);
    let numbers = (fields.be32(), fields.be32(), fields.be32(), fields.be32());
    let (Some(width), Some(height), Some(left), Some(top)) = numbers else {
        return false;
    };
    let fits = |side: u32, place: u32, canvas: u32| {
        side > 0 && place.checked_add(side).is_some_and(|end| end <= canvas)
    };
    let covers = (left, top, width, height) == (0, 0, canvas.width, canvas.height);
    let operations = (Reader::at(data, 24).u8(), Reader::at(data, 25).u8());
    data.len() == 26
        && fits(width, left, canvas.width)
        && fits(height, top, canvas.height)
        && (covers || !is_default)
        && matches!(operations, (Some(0..=2), Some(0..=1)))
}

/// Looks at the names of all chunks. Where the walk has to stop early, the decoder finds out what is missing.
fn walk(mut reader: Reader<'_>, canvas: Dimensions, limits: &Limits) -> Result<Chunks, Error> {
    let mut chunks = Chunks::default();
    let mut has_pixels = false;
    chunks.motion.is_cut = true;
    while let Some((name, data)) = chunk(&mut reader) {
        match &name {
            b"acTL" if !has_pixels => {
                let mut fields = Reader::new(data);
                chunks.announced_frames = fields.be32().unwrap_or(0);
                check_frames(chunks.announced_frames, limits)?;
                chunks.motion.set_plays(fields.be32().unwrap_or(0));
            }
            b"fcTL" => {
                chunks.frames = chunks.frames.saturating_add(1);
                check_frames(chunks.frames, limits)?;
                if chunks.frames <= chunks.announced_frames {
                    chunks.motion.add(delay(data));
                    let is_sound = is_control_sound(data, canvas, !has_pixels);
                    chunks.has_broken_frame |= !is_sound || chunks.lacks_data;
                }
                chunks.lacks_data = true;
                chunks.count(data);
            }
            b"fdAT" => {
                chunks.lacks_data = false;
                chunks.count(data);
            }
            b"eXIf" if chunks.orientation.is_none() => {
                chunks.orientation = exif::orientation(data);
                chunks.exif = chunks.exif.or_else(|| exif::keep(data));
            }
            b"tRNS" => chunks.has_transparency |= !has_pixels,
            b"iCCP" => chunks.has_profile |= !has_pixels,
            b"cICP" if !has_pixels => chunks.cicp = chunks.cicp.or_else(|| code_points(data)),
            b"cLLI" if !has_pixels => chunks.peak = chunks.peak.or_else(|| light_level(data)),
            b"sRGB" => chunks.is_srgb |= !has_pixels,
            b"gAMA" if !has_pixels => chunks.gamma.exponent = exponent(data),
            b"cHRM" if !has_pixels => chunks.gamma.primaries = chromaticities(data),
            b"IDAT" => {
                has_pixels = true;
                chunks.lacks_data = false;
            }
            b"IEND" => {
                chunks.has_broken_frame |= chunks.lacks_data && chunks.frames <= chunks.announced_frames;
                chunks.motion.is_cut = false;
                break;
            }
            _ => {}
        }
    }
    if !has_pixels && reader.rest().len() < 8 {
        return Err(Error::corrupt("the PNG has no pixel data"));
    }
    Ok(chunks)
}

/// `cICP`. PNG holds RGB, so only the matrix of RGB is one of PNG's; values of the range that video uses are not known
/// to exist in PNG, and would need more than a profile.
fn code_points(data: &[u8]) -> Option<Cicp> {
    let [primaries, transfer, matrix, range] = *data else {
        return None;
    };
    let cicp = Cicp {
        primaries,
        transfer,
        matrix,
        is_full_range: range == 1,
    };
    (cicp.matrix == 0 && cicp.is_full_range).then_some(cicp)
}

/// The brightest pixel in cd/m²: `cLLI` counts in steps of 0.0001.
fn light_level(data: &[u8]) -> Option<u16> {
    let level = Reader::new(data).be32()?.checked_div(10_000)?;
    u16::try_from(level).ok().filter(|&level| level > 0)
}

/// `gAMA` is the exponent that made samples of light, in steps of 1/100,000.
fn exponent(data: &[u8]) -> Option<f32> {
    let gamma = Reader::new(data).be32().filter(|&gamma| gamma > 0)?;
    Some(1.0 / hundred_thousandths(gamma))
}

fn chromaticities(data: &[u8]) -> Option<Chromaticities> {
    let mut reader = Reader::new(data);
    let mut next = || reader.be32().map(hundred_thousandths);
    Some([
        (next()?, next()?),
        (next()?, next()?),
        (next()?, next()?),
        (next()?, next()?),
    ])
}

#[expect(
    clippy::cast_precision_loss,
    reason = "values that mean anything have six digits"
)]
fn hundred_thousandths(value: u32) -> f32 {
    value as f32 / 100_000.0
}

/// The delay of a frame, in milliseconds.
fn delay(control: &[u8]) -> u64 {
    let mut fields = Reader::at(control, 20);
    delay_ms(fields.be16().unwrap_or(0), fields.be16().unwrap_or(0))
}

/// The file without what makes it an animation: its default image alone. `None` if there is no such thing in it.
///
/// A decoder that knows animations refuses the whole file for a control chunk that is wrong; others show this.
pub(crate) fn without_animation(source: &[u8]) -> Option<Vec<u8>> {
    let mut still = source.get(..8)?.to_vec();
    let mut reader = Reader::at(source, 8);
    let mut has_some = false;
    loop {
        let rest = reader.rest();
        // The decoder reports chunks that cannot be read.
        let Some((name, _)) = chunk(&mut reader) else {
            still.extend_from_slice(rest);
            return has_some.then_some(still);
        };
        if matches!(&name, b"acTL" | b"fcTL" | b"fdAT") {
            has_some = true;
        } else {
            let length = rest.len().saturating_sub(reader.rest().len());
            still.extend_from_slice(rest.get(..length)?);
        }
    }
}

fn profile(source: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(source), METADATA_LIMITS);
    decoder.set_ignore_text_chunk(true);
    match decoder.read_info() {
        Ok(reader) => Ok(reader
            .info()
            .icc_profile
            .as_ref()
            .filter(|profile| profile.len() <= MAX_PROFILE_BYTES)
            .map(|profile| profile.to_vec())),
        Err(error) => Err(refused(&error)),
    }
}

/// Turns an error of a PNG decoder into one about the source.
pub(crate) fn refused(error: &png::DecodingError) -> Error {
    let code = match error {
        png::DecodingError::IoError(_)
        | png::DecodingError::Format(_)
        | png::DecodingError::Parameter(_)
        | png::DecodingError::LimitsExceeded => RejectionCode::CorruptImage,
    };
    Error::rejected(code, format!("the PNG cannot be decoded: {error}"))
}
