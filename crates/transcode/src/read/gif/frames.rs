use std::io::Cursor;

use gif::DisposalMethod;
use tintype_model::Dimensions;

use super::decode::{colors, first_place, open, refused};
use crate::Error;
use crate::header::frames::{self, Blend, Disposal, Placement, StoredFrame};
use crate::picture::{Layout, Samples};

/// The frames of a GIF.
pub(super) struct Frames<'a> {
    decoder: gif::Decoder<Cursor<&'a [u8]>>,
    is_first: bool,
}

impl<'a> Frames<'a> {
    pub(super) fn new(source: &'a [u8]) -> Result<Self, Error> {
        open(source).map(|decoder| Self {
            decoder,
            is_first: true,
        })
    }
}

impl frames::Frames for Frames<'_> {
    fn next(&mut self) -> Result<StoredFrame, Error> {
        let screen = (self.decoder.width(), self.decoder.height());
        let shared = self.decoder.global_palette().map(<[u8]>::to_vec);
        let frame = self
            .decoder
            .read_next_frame()
            .map_err(|error| refused(&error))?
            .ok_or_else(|| Error::corrupt("the GIF has fewer frames than its blocks announce"))?;
        let colors = colors(frame, shared.as_deref())?;
        let (left, top) = if std::mem::take(&mut self.is_first) {
            first_place(frame, screen)
        } else {
            (frame.left, frame.top)
        };
        let data = frame
            .buffer
            .iter()
            .flat_map(|&index| colors[usize::from(index)])
            .collect();
        Ok(StoredFrame {
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
                left: left.into(),
                top: top.into(),
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
