use std::io::Cursor;
use std::num::NonZeroU64;

use gif::DisposalMethod;
use tintype_model::Dimensions;

use super::Part;
use super::canvas::{Blend, Disposal, Placement};
use crate::Error;
use crate::picture::{Layout, Samples};

/// The frames of a GIF. The header's walk has bounded the size of each of them.
pub(super) struct Frames<'a> {
    decoder: gif::Decoder<Cursor<&'a [u8]>>,
}

fn refused(error: &gif::DecodingError) -> Error {
    Error::corrupt(format!("the GIF cannot be decoded: {error}"))
}

impl<'a> Frames<'a> {
    pub(super) fn new(source: &'a [u8]) -> Result<Self, Error> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::Indexed);
        options.set_memory_limit(gif::MemoryLimit::Bytes(NonZeroU64::MAX));
        let decoder = options
            .read_info(Cursor::new(source))
            .map_err(|error| refused(&error))?;
        Ok(Self { decoder })
    }

    pub(super) fn next(&mut self) -> Result<Part, Error> {
        let shared = self.decoder.global_palette().map(<[u8]>::to_vec);
        let frame = self
            .decoder
            .read_next_frame()
            .map_err(|error| refused(&error))?
            .ok_or_else(|| Error::corrupt("the GIF has fewer frames than it seemed"))?;
        let palette = frame
            .palette
            .as_ref()
            .or(shared.as_ref())
            .ok_or_else(|| Error::corrupt("a frame of the GIF has no palette"))?;
        let mut colors = [[0, 0, 0, 255]; 256];
        for (color, entry) in colors.iter_mut().zip(palette.chunks_exact(3)) {
            color[..3].copy_from_slice(entry);
        }
        if let Some(transparent) = frame.transparent {
            colors[usize::from(transparent)] = [0; 4];
        }
        let data = frame
            .buffer
            .iter()
            .flat_map(|&index| colors[usize::from(index)])
            .collect();
        Ok(Part {
            samples: Samples {
                size: Dimensions {
                    width: frame.width.into(),
                    height: frame.height.into(),
                },
                layout: Layout::Rgba,
                is_deep: false,
                data,
            },
            placement: Placement {
                left: frame.left.into(),
                top: frame.top.into(),
                blend: Blend::Over,
                disposal: match frame.dispose {
                    DisposalMethod::Any | DisposalMethod::Keep => Disposal::Keep,
                    DisposalMethod::Background => Disposal::Clear,
                    DisposalMethod::Previous => Disposal::Restore,
                },
            },
            milliseconds: u64::from(frame.delay) * 10,
        })
    }
}
