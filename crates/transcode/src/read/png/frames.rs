use png::{BlendOp, DisposeOp};

use super::decode;
use super::header::{METADATA_LIMITS, refused};
use crate::Error;
use crate::header::Header;
use crate::header::frames::{self, Blend, Disposal, Placement, StoredFrame};
use crate::header::motion::delay_ms;

/// The frames of an APNG (PNG, third edition, section 4.9). The decoder bounds each of them by the canvas.
pub(super) struct Frames<'a> {
    reader: decode::Reader<'a>,
    /// True if the next frame of the decoder is the default image of an animation that does not show it.
    skips_default: bool,
    buffer: Vec<u8>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(source: &'a [u8], header: &Header) -> Result<Self, Error> {
        // The decoder counts the row buffers of all frames together, eight bytes for the largest pixel.
        let rows = (header.frames as usize).saturating_mul(header.size.width as usize);
        let limits = png::Limits {
            bytes: METADATA_LIMITS.bytes.saturating_add(rows.saturating_mul(16)),
        };
        let (reader, buffer) = decode::open(source, limits)?;
        Ok(Self {
            skips_default: reader.info().frame_control.is_none(),
            reader,
            buffer,
        })
    }
}

impl frames::Frames for Frames<'_> {
    fn next(&mut self) -> Result<StoredFrame, Error> {
        if std::mem::take(&mut self.skips_default) {
            self.reader.next_frame_info().map_err(|error| refused(&error))?;
        }
        let frame = self
            .reader
            .next_frame(&mut self.buffer)
            .map_err(|error| refused(&error))?;
        let info = self.reader.info();
        let control = info
            .frame_control
            .ok_or_else(|| Error::corrupt("a frame of the PNG has no control chunk"))?;
        // Interlaced rows are as far apart as those of the canvas, others as those of the frame.
        let stride = if info.interlaced {
            self.reader.output_line_size(info.width)
        } else {
            Some(frame.line_size)
        };
        let stride = stride.ok_or_else(|| Error::corrupt("the PNG is too large"))?;
        let mut data = Vec::with_capacity(frame.buffer_size());
        for row in self.buffer.chunks_exact(stride).take(frame.height as usize) {
            data.extend_from_slice(&row[..frame.line_size]);
        }
        Ok(StoredFrame {
            samples: decode::samples(&frame, data)?,
            placement: Placement {
                left: control.x_offset,
                top: control.y_offset,
                blend: match control.blend_op {
                    BlendOp::Source => Blend::Replace,
                    BlendOp::Over => Blend::Over,
                },
                disposal: match control.dispose_op {
                    DisposeOp::None => Disposal::Keep,
                    DisposeOp::Background => Disposal::Clear,
                    DisposeOp::Previous => Disposal::Restore,
                },
            },
            milliseconds: delay_ms(control.delay_num, control.delay_den),
        })
    }
}
