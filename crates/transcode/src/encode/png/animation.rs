use std::io::{self, Write};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use png::{BitDepth, BlendOp, ColorType, Compression, DisposeOp};

use crate::encode::settings::AnimationSettings;
use crate::error::EncodeError;
use crate::picture::Picture;

/// The most bytes of an animation; one that would be larger becomes a still, because lossless frames have no other bound.
const MAX_BYTES: usize = 16 << 20;

/// Above this many pixels a frame the fast compressor is used, as for stills.
const LARGE_PIXELS: u64 = 500_000;

/// The encoder of an animated PNG (PNG, third edition, section 4.9): each frame holds the rectangle that changed.
pub(crate) struct Animation {
    /// `None` once the file is too large.
    writer: Option<png::Writer<Output>>,
    output: Output,
    before: Vec<[u8; 4]>,
    width: usize,
    /// The first frame: written as a still, in place of an animation that is too large.
    first: Option<Arc<Picture>>,
}

/// Bytes that are read again when the writer, which owns its output, is gone.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Animation {
    pub(crate) fn new(settings: &AnimationSettings) -> Result<Self, EncodeError> {
        let output = Output::default();
        let size = settings.size;
        let mut encoder = png::Encoder::new(output.clone(), size.width, size.height);
        encoder.set_color(ColorType::Rgba);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(if size.pixels() > LARGE_PIXELS {
            Compression::Fast
        } else {
            Compression::Balanced
        });
        encoder.set_animated(settings.frames, settings.plays.map_or(0, NonZeroU32::get))?;
        encoder.set_dispose_op(DisposeOp::None)?;
        encoder.validate_sequence(true);
        Ok(Self {
            writer: Some(encoder.write_header()?),
            output,
            before: Vec::new(),
            width: size.width as usize,
            first: None,
        })
    }

    /// Adds a frame, which has the animation's size.
    pub(crate) fn add(&mut self, picture: &Arc<Picture>, duration_ms: u32) -> Result<(), EncodeError> {
        self.first.get_or_insert_with(|| Arc::clone(picture));
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let (numerator, denominator) = delay(duration_ms);
        writer.set_frame_delay(numerator, denominator)?;
        let now = rgba(picture);
        if self.before.is_empty() {
            writer.write_image_data(now.as_flattened())?;
        } else {
            let change = Change::between(&self.before, &now, self.width);
            writer.reset_frame_position()?;
            writer.set_frame_dimension(side(change.width), side(change.height))?;
            writer.set_frame_position(side(change.left), side(change.top))?;
            writer.set_blend_op(if change.lies_over {
                BlendOp::Over
            } else {
                BlendOp::Source
            })?;
            writer.write_image_data(change.pixels.as_flattened())?;
        }
        self.before = now;
        if self.output.len() > MAX_BYTES {
            self.writer = None;
            self.before = Vec::new();
            drop(self.output.take());
        }
        Ok(())
    }

    /// The file, and whether it is animated.
    pub(crate) fn finish(self) -> Result<(Vec<u8>, bool), EncodeError> {
        match (self.writer, self.first) {
            (Some(writer), _) => {
                writer.finish()?;
                Ok((self.output.take(), true))
            }
            (None, Some(first)) => Ok((super::encode(first)?, false)),
            (None, None) => Err(EncodeError::Pixels("there is no frame".to_owned())),
        }
    }
}

fn side(pixels: usize) -> u32 {
    u32::try_from(pixels).unwrap_or(u32::MAX)
}

/// A fraction of a second with 16 bits for each number: thousandths while they fit, hundredths for the rest.
fn delay(milliseconds: u32) -> (u16, u16) {
    match u16::try_from(milliseconds) {
        Ok(thousandths) => (thousandths, 1000),
        Err(_) => (u16::try_from(milliseconds / 10).unwrap_or(u16::MAX), 100),
    }
}

fn rgba(picture: &Picture) -> Vec<[u8; 4]> {
    if picture.has_alpha {
        picture.data.as_chunks::<4>().0.to_vec()
    } else {
        let (pixels, _) = picture.data.as_chunks::<3>();
        pixels
            .iter()
            .map(|&[red, green, blue]| [red, green, blue, 255])
            .collect()
    }
}

/// The smallest rectangle that makes one frame of another.
struct Change {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    /// Transparent pixels let the frame before through; otherwise the pixels replace it.
    lies_over: bool,
    pixels: Vec<[u8; 4]>,
}

fn differ(before: [u8; 4], now: [u8; 4]) -> bool {
    before != now && (before[3] != 0 || now[3] != 0)
}

impl Change {
    fn between(before: &[[u8; 4]], now: &[[u8; 4]], width: usize) -> Self {
        let rows = || before.chunks_exact(width).zip(now.chunks_exact(width));
        // A frame holds one pixel at least.
        let (mut left, mut right, mut top, mut bottom) = (width, 0, usize::MAX, 0);
        for (y, (before, now)) in rows().enumerate() {
            let is_changed = |(before, now): (&[u8; 4], &[u8; 4])| differ(*before, *now);
            if let Some(first) = before.iter().zip(now).position(is_changed) {
                let last = before.iter().zip(now).rposition(is_changed).unwrap_or(first);
                left = left.min(first);
                right = right.max(last + 1);
                top = top.min(y);
                bottom = y + 1;
            }
        }
        if top == usize::MAX {
            (left, right, top, bottom) = (0, 1, 0, 1);
        }
        let changed = || {
            rows()
                .skip(top)
                .take(bottom - top)
                .flat_map(|(before, now)| before[left..right].iter().zip(&now[left..right]))
        };
        let (mut kept, mut can_lie_over) = (0, true);
        for (&before, &now) in changed() {
            if differ(before, now) {
                can_lie_over &= now[3] == 255;
            } else {
                kept += 1;
            }
        }
        // Runs of one value cost next to nothing; a few holes would only disturb the filters.
        let area = (right - left) * (bottom - top);
        let lies_over = can_lie_over && kept * 4 >= area;
        let pixels = changed()
            .map(|(&before, &now)| {
                if lies_over && !differ(before, now) {
                    [0; 4]
                } else {
                    now
                }
            })
            .collect();
        Self {
            left,
            top,
            width: right - left,
            height: bottom - top,
            lies_over,
            pixels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 4] = [1, 2, 3, 255];
    const B: [u8; 4] = [9, 9, 9, 255];
    const HOLE: [u8; 4] = [0; 4];

    #[test]
    fn a_change_is_the_rectangle_around_what_differs() {
        let before = [A; 20];
        let mut now = before;
        (now[6], now[13]) = (B, B);
        let change = Change::between(&before, &now, 5);
        assert_eq!(
            (change.left, change.top, change.width, change.height),
            (1, 1, 3, 2)
        );
        assert!(change.lies_over);
        assert_eq!(change.pixels, [B, HOLE, HOLE, HOLE, HOLE, B]);
        // Pixels that become transparent cannot be laid over the canvas.
        now[6] = HOLE;
        let change = Change::between(&before, &now, 5);
        assert!(!change.lies_over);
        assert_eq!(change.pixels, [HOLE, A, A, A, A, B]);
    }

    #[test]
    fn no_change_is_one_pixel() {
        let before = [A, HOLE];
        let change = Change::between(&before, &[A, [7, 7, 7, 0]], 2);
        assert_eq!((change.width, change.height), (1, 1));
    }

    #[test]
    fn delays_are_exact_up_to_a_minute() {
        assert_eq!(delay(40), (40, 1000));
        assert_eq!(delay(65_535), (65_535, 1000));
        assert_eq!(delay(65_540), (6554, 100));
        assert_eq!(delay(655_350), (65_535, 100));
    }
}
