//! WebP (RFC 9649): RIFF chunks are walked, and each size that a decoder would trust is compared with the canvas.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use tintype_model::{Dimensions, Limits};

use crate::Error;
use crate::header::{MAX_PROFILE_BYTES, ParsedHeader, check_frames, check_size};
use crate::metadata::exif;
use crate::syntax::reader::Reader;
use crate::syntax::riff::{ALPHA, ANIMATED, Chunk, chunk, chunks, cut};

pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<ParsedHeader, Error> {
    let mut reader = chunks(source)?;
    let (name, data) = chunk(&mut reader)?.ok_or_else(cut)?;
    let mut parsed = ParsedHeader {
        frames: 1,
        bit_depth: 8,
        ..ParsedHeader::default()
    };
    match &name {
        b"VP8 " => parsed.size = bounded(lossy_size(data)?, limits)?,
        b"VP8L" => {
            let (size, has_alpha) = lossless_size(data)?;
            parsed.size = bounded(size, limits)?;
            parsed.has_alpha = has_alpha;
        }
        b"VP8X" => extended(data, reader, limits, &mut parsed)?,
        _ => return Err(Error::corrupt("the WebP begins with an unknown chunk")),
    }
    Ok(parsed)
}

fn bounded(size: Dimensions, limits: &Limits) -> Result<Dimensions, Error> {
    check_size(size.width, size.height, limits)
}

/// The flags and the canvas of a `VP8X` chunk (RFC 9649 section 2.7).
fn canvas(header: &[u8]) -> Result<(u8, u32, u32), Error> {
    let mut fields = Reader::new(header);
    let header = (fields.u8(), fields.skip(3), fields.le24(), fields.le24());
    let (Some(flags), Some(()), Some(width), Some(height)) = header else {
        return Err(cut());
    };
    Ok((flags, width.saturating_add(1), height.saturating_add(1)))
}

fn extended(
    header: &[u8],
    mut reader: Reader<'_>,
    limits: &Limits,
    parsed: &mut ParsedHeader,
) -> Result<(), Error> {
    let (flags, width, height) = canvas(header)?;
    let size = check_size(width, height, limits)?;
    let is_animated = flags & ANIMATED != 0;
    parsed.size = size;
    parsed.frames = 0;
    let mut pixels = None;
    let mut has_alpha_chunk = false;
    while let Some((name, data)) = next_chunk(&mut reader, pixels.is_some() && !is_animated)? {
        match &name {
            b"VP8 " | b"VP8L" if !is_animated => {
                if pixels.is_some() {
                    return Err(Error::corrupt("the WebP has two bitstreams and is no animation"));
                }
                pixels = Some(bitstream_size(name, data)?);
                parsed.frames = 1;
                parsed.has_alpha = has_alpha(flags, (name, data), has_alpha_chunk)?;
            }
            b"ALPH" => has_alpha_chunk = true,
            b"ANMF" if is_animated => {
                if pixels.is_none() {
                    pixels = Some(frame(data, size)?.size);
                }
                let duration = Reader::at(data, 12).le24().unwrap_or(0);
                parsed.motion.add(duration.into());
                parsed.frames = parsed.frames.saturating_add(1);
                parsed.has_alpha = flags & ALPHA != 0;
                check_frames(parsed.frames, limits)?;
            }
            b"ANIM" if is_animated => {
                parsed
                    .motion
                    .set_plays(Reader::at(data, 4).le16().unwrap_or(0).into());
            }
            b"ICCP" if parsed.icc.is_none() && data.len() <= MAX_PROFILE_BYTES => {
                parsed.icc = Some(data.to_vec());
            }
            b"EXIF" if parsed.orientation.is_none() => {
                parsed.orientation = exif::orientation(data);
                if matches!(parsed.exif, exif::Block::None) {
                    parsed.exif = exif::keep(data).into();
                }
            }
            _ => {}
        }
    }
    let pixels = pixels.ok_or_else(|| Error::corrupt("the WebP has no pixel data"))?;
    if !is_animated && pixels != size {
        return Err(mismatch(pixels, size));
    }
    Ok(())
}

/// The parts of a WebP that show its first picture. The rest may be missing or broken.
pub(crate) enum First<'a> {
    Still {
        /// The alpha flag of a file of the extended format; `None` for the simple format.
        extended: Option<bool>,
        size: Dimensions,
        alpha: Option<&'a [u8]>,
        pixels: Chunk<'a>,
    },
    Animated {
        has_alpha: bool,
        size: Dimensions,
        /// The `ANMF` chunk of the first frame.
        frame: &'a [u8],
    },
}

/// Finds the first picture of a file that [`parse`] let pass.
pub(crate) fn first(source: &[u8]) -> Result<First<'_>, Error> {
    let mut reader = chunks(source)?;
    let (name, header) = chunk(&mut reader)?.ok_or_else(cut)?;
    if &name != b"VP8X" {
        return Ok(First::Still {
            extended: None,
            size: bitstream_size(name, header)?,
            alpha: None,
            pixels: (name, header),
        });
    }
    let (flags, width, height) = canvas(header)?;
    let size = Dimensions { width, height };
    let mut alpha = None;
    while let Some((name, data)) = chunk(&mut reader)? {
        match &name {
            b"ALPH" => alpha = alpha.or(Some(data)),
            b"VP8 " | b"VP8L" if flags & ANIMATED == 0 => {
                let pixels = (name, data);
                let has_alpha = has_alpha(flags, pixels, alpha.is_some())?;
                return Ok(First::Still {
                    extended: Some(has_alpha),
                    size,
                    alpha: alpha.filter(|_| has_alpha && &name == b"VP8 "),
                    pixels,
                });
            }
            b"ANMF" if flags & ANIMATED != 0 => {
                return Ok(First::Animated {
                    has_alpha: flags & ALPHA != 0,
                    size,
                    frame: data,
                });
            }
            _ => {}
        }
    }
    Err(Error::corrupt("the WebP has no pixel data"))
}

/// Tells whether a still of the extended format has alpha. The flag is wrong for a lossy picture without an `ALPH` chunk;
/// a lossless picture has a flag of its own, which counts as well.
fn has_alpha(flags: u8, (name, data): Chunk<'_>, has_chunk: bool) -> Result<bool, Error> {
    let is_promised = flags & ALPHA != 0;
    if &name == b"VP8L" {
        Ok(is_promised || lossless_size(data)?.1)
    } else {
        Ok(is_promised && has_chunk)
    }
}

fn mismatch(pixels: Dimensions, announced: Dimensions) -> Error {
    Error::corrupt(format!(
        "the WebP announces {}x{} pixels and holds {}x{}",
        announced.width, announced.height, pixels.width, pixels.height
    ))
}

/// The next chunk; one that does not fit is the end of the file where nothing that is shown can follow.
fn next_chunk<'a>(reader: &mut Reader<'a>, is_shown: bool) -> Result<Option<Chunk<'a>>, Error> {
    match chunk(reader) {
        Err(_) if is_shown => Ok(None),
        parsed => parsed,
    }
}

/// An ANMF chunk (RFC 9649 section 2.7.1.1).
pub(crate) struct Frame<'a> {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) size: Dimensions,
    /// The time for which it asks to be shown, in milliseconds.
    pub(crate) milliseconds: u32,
    /// True if its pixels replace those of the canvas instead of being laid over them.
    pub(crate) replaces: bool,
    /// True if its part of the canvas is cleared when its time is over.
    pub(crate) is_cleared: bool,
    pub(crate) alpha: Option<&'a [u8]>,
    /// The name of its bitstream's chunk, and the bitstream.
    pub(crate) pixels: Chunk<'a>,
}

/// Reads a frame, which must lie on the canvas and agree with its bitstream.
pub(crate) fn frame(data: &[u8], canvas: Dimensions) -> Result<Frame<'_>, Error> {
    let mut reader = Reader::new(data);
    let fields = (reader.le24(), reader.le24(), reader.le24(), reader.le24());
    let (Some(x), Some(y), Some(width), Some(height)) = fields else {
        return Err(cut());
    };
    let milliseconds = reader.le24().ok_or_else(cut)?;
    let flags = reader.u8().ok_or_else(cut)?;
    let (left, top) = (x.saturating_mul(2), y.saturating_mul(2));
    let size = Dimensions {
        width: width.saturating_add(1),
        height: height.saturating_add(1),
    };
    let right = left.saturating_add(size.width);
    let bottom = top.saturating_add(size.height);
    if right > canvas.width || bottom > canvas.height {
        return Err(Error::corrupt("a frame of the WebP lies outside its canvas"));
    }
    let no_pixels = || Error::corrupt("a frame of the WebP has no pixel data");
    let (mut name, mut pixels) = chunk(&mut reader)?.ok_or_else(no_pixels)?;
    let mut alpha = None;
    // The decoder takes whatever follows an alpha chunk for a lossy bitstream, so nothing else may stand there.
    if &name == b"ALPH" {
        alpha = Some(pixels);
        (name, pixels) = chunk(&mut reader)?
            .filter(|(name, _)| name == b"VP8 ")
            .ok_or_else(no_pixels)?;
    }
    if !matches!(&name, b"VP8 " | b"VP8L") {
        return Err(no_pixels());
    }
    let parsed = bitstream_size(name, pixels)?;
    if parsed != size {
        return Err(mismatch(parsed, size));
    }
    Ok(Frame {
        left,
        top,
        size,
        milliseconds,
        replaces: flags & 0b10 != 0,
        is_cleared: flags & 0b1 != 0,
        alpha,
        pixels: (name, pixels),
    })
}

fn bitstream_size(name: [u8; 4], data: &[u8]) -> Result<Dimensions, Error> {
    if &name == b"VP8 " {
        lossy_size(data)
    } else {
        lossless_size(data).map(|(size, _)| size)
    }
}

/// RFC 6386 section 9.1.
fn lossy_size(data: &[u8]) -> Result<Dimensions, Error> {
    let mut reader = Reader::new(data);
    let header = (reader.le24(), reader.le24(), reader.le16(), reader.le16());
    let (Some(tag), Some(0x002A_019D), Some(width), Some(height)) = header else {
        return Err(Error::corrupt(
            "the WebP's lossy bitstream has no key frame header",
        ));
    };
    if tag & 1 != 0 {
        return Err(Error::corrupt("the WebP's lossy bitstream is no key frame"));
    }
    Ok(Dimensions {
        width: (width & 0x3FFF).into(),
        height: (height & 0x3FFF).into(),
    })
}

/// RFC 9649 section 3.4.
fn lossless_size(data: &[u8]) -> Result<(Dimensions, bool), Error> {
    let mut reader = Reader::new(data);
    let (Some(0x2F), Some(bits)) = (reader.u8(), reader.le32()) else {
        return Err(Error::corrupt("the WebP's lossless bitstream has no header"));
    };
    let size = Dimensions {
        width: (bits & 0x3FFF).saturating_add(1),
        height: ((bits >> 14) & 0x3FFF).saturating_add(1),
    };
    Ok((size, (bits >> 28) & 1 == 1))
}
