use tintype_model::Dimensions;

use super::decode;
use super::header::{Frame, frame};
use crate::Error;
use crate::header::frames::{self, Blend, Disposal, Placement, StoredFrame};
use crate::syntax::reader::Reader;
use crate::syntax::riff::{chunk, chunks};

/// The frames of a WebP (RFC 9649 section 2.7.1).
///
/// Each is decoded as a still picture of its own and laid on the canvas here: image-webp 0.2.4 clears the wrong pixels
/// before an opaque frame, and the whole canvas before one that covers it.
pub(super) struct Frames<'a> {
    chunks: Reader<'a>,
    canvas: Dimensions,
}

impl<'a> Frames<'a> {
    pub(super) fn new(source: &'a [u8], canvas: Dimensions) -> Result<Self, Error> {
        let chunks = chunks(source)?;
        Ok(Self { chunks, canvas })
    }
}

impl frames::Frames for Frames<'_> {
    fn next(&mut self) -> Result<StoredFrame, Error> {
        loop {
            let (name, data) = chunk(&mut self.chunks)?
                .ok_or_else(|| Error::corrupt("the WebP has fewer frames than its chunks announce"))?;
            if &name == b"ANMF" {
                return part(&frame(data, self.canvas)?);
            }
        }
    }
}

fn part(frame: &Frame<'_>) -> Result<StoredFrame, Error> {
    Ok(StoredFrame {
        samples: decode::pixels(&still(frame), frame.size)?,
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

/// The frame as a file of the extended format. The alpha flag of a lossless bitstream is only a hint.
fn still(frame: &Frame<'_>) -> Vec<u8> {
    let has_alpha = frame.alpha.is_some() || &frame.pixels.0 == b"VP8L";
    decode::still(frame.size, has_alpha, frame.alpha, frame.pixels)
}
