use tintype_model::Dimensions;

use super::Part;
use super::canvas::{Blend, Disposal, Placement};
use crate::header::webp::{Frame, chunk, frame};
use crate::reader::Reader;
use crate::{Error, decode};

/// The frames of a WebP (RFC 9649 section 2.7.1).
///
/// Each is decoded as a still picture of its own and laid on the canvas here: image-webp 0.2.4 clears the wrong pixels
/// before an opaque frame, and the whole canvas before one that covers it.
pub(super) struct Frames<'a> {
    chunks: Reader<'a>,
    canvas: Dimensions,
}

impl<'a> Frames<'a> {
    pub(super) fn new(source: &'a [u8], canvas: Dimensions) -> Self {
        Self {
            chunks: Reader::at(source, 12),
            canvas,
        }
    }

    pub(super) fn next(&mut self) -> Result<Part, Error> {
        loop {
            let (name, data) = chunk(&mut self.chunks)?
                .ok_or_else(|| Error::corrupt("the WebP has fewer frames than it seemed"))?;
            if &name == b"ANMF" {
                return part(&frame(data, self.canvas)?);
            }
        }
    }
}

fn part(frame: &Frame<'_>) -> Result<Part, Error> {
    Ok(Part {
        samples: decode::webp::decode(&still(frame), frame.size)?,
        placement: Placement {
            left: frame.left,
            top: frame.top,
            blend: if frame.replaces {
                Blend::Replace
            } else {
                Blend::Over
            },
            disposal: if frame.is_cleared {
                Disposal::Clear
            } else {
                Disposal::Keep
            },
        },
        milliseconds: frame.milliseconds.into(),
    })
}

/// The frame as a file of the extended format. A lossless bitstream's own word on its alpha is only a hint.
fn still(frame: &Frame<'_>) -> Vec<u8> {
    const ALPHA: u8 = 0b1_0000;
    let (name, pixels) = frame.pixels;
    let has_alpha = frame.alpha.is_some() || &name == b"VP8L";
    let side = |pixels: u32| {
        let [a, b, c, _] = pixels.saturating_sub(1).to_le_bytes();
        [a, b, c]
    };
    let flags = if has_alpha { ALPHA } else { 0 };
    let mut extended = vec![flags, 0, 0, 0];
    extended.extend(side(frame.size.width));
    extended.extend(side(frame.size.height));
    let mut body = b"WEBP".to_vec();
    push_chunk(&mut body, b"VP8X", &extended);
    if let Some(alpha) = frame.alpha {
        push_chunk(&mut body, b"ALPH", alpha);
    }
    push_chunk(&mut body, &name, pixels);
    let mut file = Vec::with_capacity(body.len() + 8);
    push_chunk(&mut file, b"RIFF", &body);
    file
}

fn push_chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend_from_slice(name);
    // Chunks come from a file that counts its bytes in the same 32 bits.
    file.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    file.extend_from_slice(data);
    if data.len() % 2 == 1 {
        file.push(0);
    }
}
