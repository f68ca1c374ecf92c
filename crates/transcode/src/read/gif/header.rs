//! GIF89a: blocks are walked, image data is passed over.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use tintype_model::{Dimensions, Limits};

use crate::Error;
use crate::header::motion::Motion;
use crate::header::{MAX_PROFILE_BYTES, ParsedHeader, check_frames, check_size};
use crate::syntax::reader::Reader;

pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<ParsedHeader, Error> {
    let cut = || Error::corrupt("the GIF is cut off before its first frame");
    let mut reader = Reader::at(source, 6);
    let (Some(width), Some(height), Some(flags)) = (reader.le16(), reader.le16(), reader.u8()) else {
        return Err(cut());
    };
    let mut screen = Screen {
        width,
        height,
        canvas: Dimensions::default(),
    };
    reader.skip(2).ok_or_else(cut)?;
    skip_palette(&mut reader, flags).ok_or_else(cut)?;

    let mut parsed = ParsedHeader {
        bit_depth: 8,
        ..ParsedHeader::default()
    };
    let mut control = Control::default();
    // A file that breaks off after its first frame still has one: the decoder says whether that frame is whole.
    while let Some(block) = reader.u8() {
        match block {
            0x21 => {
                if extension(&mut reader, &mut control, &mut parsed).is_none() {
                    parsed.motion.is_cut = true;
                    break;
                }
            }
            0x2C => {
                parsed.frames = parsed.frames.saturating_add(1);
                check_frames(parsed.frames, limits)?;
                let Some(frame) = image(&mut reader) else {
                    if parsed.frames == 1 {
                        return Err(Error::corrupt("the GIF is cut off in its first frame"));
                    }
                    parsed.motion.is_cut = true;
                    break;
                };
                let size = check_size(frame.width.into(), frame.height.into(), limits)?;
                if parsed.frames == 1 {
                    let covers = screen.fit(&frame, limits)?;
                    parsed.size = screen.canvas;
                    parsed.has_alpha = control.is_transparent || !covers;
                }
                parsed.motion.add(u64::from(control.delay).saturating_mul(10));
                parsed.motion.add_excess(size.pixels(), screen.canvas.pixels());
                control = Control::default();
                if skip_sub_blocks(&mut reader).is_none() {
                    parsed.motion.is_cut = true;
                    break;
                }
            }
            _ => break,
        }
    }
    if parsed.frames == 0 {
        return Err(Error::corrupt("the GIF has no frame"));
    }
    Ok(parsed)
}

/// The screen that a file asks for, and the one that its frames are laid on.
struct Screen {
    width: u16,
    height: u16,
    /// The screen that counts.
    canvas: Dimensions,
}

impl Screen {
    /// Settles the canvas by the first frame, and tells whether that covers it.
    fn fit(&mut self, first: &Frame, limits: &Limits) -> Result<bool, Error> {
        if is_outgrown((self.width, self.height), (first.width, first.height)) {
            self.canvas = check_size(first.width.into(), first.height.into(), limits)?;
            return Ok(true);
        }
        self.canvas = check_size(self.width.into(), self.height.into(), limits)?;
        Ok((first.left, first.top, first.width, first.height) == (0, 0, self.width, self.height))
    }
}

/// Tells whether the screen is too small for the first frame in one direction, or has no size. The frame then is the
/// canvas, and lies at its corner, as in browsers.
pub(crate) const fn is_outgrown(screen: (u16, u16), first: (u16, u16)) -> bool {
    screen.0 < first.0 || screen.1 < first.1
}

/// The properties of a frame in the graphic control extension before it.
#[derive(Default)]
struct Control {
    is_transparent: bool,
    /// In hundredths of a second.
    delay: u16,
}

struct Frame {
    left: u16,
    top: u16,
    width: u16,
    height: u16,
}

fn image(reader: &mut Reader<'_>) -> Option<Frame> {
    let frame = Frame {
        left: reader.le16()?,
        top: reader.le16()?,
        width: reader.le16()?,
        height: reader.le16()?,
    };
    let flags = reader.u8()?;
    skip_palette(reader, flags)?;
    reader.skip(1)?;
    Some(frame)
}

fn extension(reader: &mut Reader<'_>, control: &mut Control, parsed: &mut ParsedHeader) -> Option<()> {
    match reader.u8()? {
        0xF9 => {
            let mut block = *reader;
            if block.u8()? == 4 {
                control.is_transparent = block.u8()? & 1 == 1;
                control.delay = block.le16()?;
            }
        }
        0xFF => {
            let mut block = *reader;
            let name = if block.u8()? == 11 { block.take(11)? } else { b"" };
            match name {
                b"ICCRGBG1012" if parsed.icc.is_none() => parsed.icc = sub_blocks(&mut block),
                b"NETSCAPE2.0" | b"ANIMEXTS1.0" => repeat(&mut block, &mut parsed.motion),
                _ => {}
            }
        }
        _ => {}
    }
    skip_sub_blocks(reader)
}

/// The number is of repeats after the first showing, as browsers take it; 0 is without end.
fn repeat(block: &mut Reader<'_>, motion: &mut Motion) {
    if let (Some(3), Some(1), Some(repeats)) = (block.u8(), block.u8(), block.le16()) {
        let plays = if repeats == 0 {
            0
        } else {
            u32::from(repeats).saturating_add(1)
        };
        motion.set_plays(plays);
    }
}

fn skip_palette(reader: &mut Reader<'_>, flags: u8) -> Option<()> {
    if flags & 0x80 == 0 {
        return Some(());
    }
    let bytes = match flags & 7 {
        0 => 6,
        1 => 12,
        2 => 24,
        3 => 48,
        4 => 96,
        5 => 192,
        6 => 384,
        _ => 768,
    };
    reader.skip(bytes)
}

fn skip_sub_blocks(reader: &mut Reader<'_>) -> Option<()> {
    loop {
        match reader.u8()? {
            0 => return Some(()),
            length => reader.skip(length.into())?,
        }
    }
}

fn sub_blocks(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        match reader.u8()? {
            0 => return Some(data),
            length => data.extend_from_slice(reader.take(length.into())?),
        }
        if data.len() > MAX_PROFILE_BYTES {
            return None;
        }
    }
}
