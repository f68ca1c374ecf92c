//! Pixels between the steps.

use tintype_model::{Dimensions, Rgb};

/// 8-bit pixels, upright, rows from the top without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) size: Dimensions,
    /// RGBA (not premultiplied) when true, RGB when false.
    pub(crate) has_alpha: bool,
    pub(crate) space: Space,
    pub(crate) data: Vec<u8>,
}

impl Picture {
    pub(crate) const fn channels(&self) -> usize {
        if self.has_alpha { 4 } else { 3 }
    }

    pub(crate) const fn width(&self) -> usize {
        self.size.width as usize
    }

    pub(crate) const fn height(&self) -> usize {
        self.size.height as usize
    }

    /// RGB when every pixel is opaque: no encoder then spends a byte on alpha.
    pub(crate) fn without_idle_alpha(self) -> Self {
        if !self.has_alpha || self.data.chunks_exact(4).any(|pixel| pixel[3] != 255) {
            return self;
        }
        Self {
            size: self.size,
            has_alpha: false,
            space: self.space,
            data: drop_alpha(&self.data),
        }
    }

    /// RGBA, opaque where there was no alpha.
    pub(crate) fn with_alpha(self) -> Self {
        if self.has_alpha {
            return self;
        }
        let (pixels, _) = self.data.as_chunks::<3>();
        Self {
            size: self.size,
            has_alpha: true,
            space: self.space,
            data: pixels
                .iter()
                .flat_map(|&[red, green, blue]| [red, green, blue, 255])
                .collect(),
        }
    }

    /// The picture in the middle of a larger canvas. The rest is transparent where the picture has alpha, so that a
    /// cut-out stays one, and `background` where it has none.
    pub(crate) fn padded(self, canvas: Dimensions, Rgb(background): Rgb) -> Self {
        if canvas == self.size {
            return self;
        }
        let rest: &[u8] = if self.has_alpha { &[0; 4] } else { &background };
        self.surrounded(canvas, rest)
    }

    /// The same with `background` around a picture that has alpha.
    pub(crate) fn padded_opaque(self, canvas: Dimensions, Rgb([red, green, blue]): Rgb) -> Self {
        self.with_alpha().surrounded(canvas, &[red, green, blue, 255])
    }

    fn surrounded(self, canvas: Dimensions, rest: &[u8]) -> Self {
        let channels = self.channels();
        let mut data = rest.repeat(canvas.width as usize * canvas.height as usize);
        let left = (canvas.width.saturating_sub(self.size.width) / 2) as usize;
        let top = (canvas.height.saturating_sub(self.size.height) / 2) as usize;
        let rows = data.chunks_exact_mut(canvas.width as usize * channels).skip(top);
        for (to, from) in rows.zip(self.data.chunks_exact(self.width() * channels)) {
            to[left * channels..][..from.len()].copy_from_slice(from);
        }
        Self {
            size: canvas,
            has_alpha: self.has_alpha,
            space: self.space,
            data,
        }
    }
}

/// The colour channels of RGBA pixels.
pub(crate) fn drop_alpha(rgba: &[u8]) -> Vec<u8> {
    let mut rgb = vec![0; rgba.len() / 4 * 3];
    for (to, from) in rgb.chunks_exact_mut(3).zip(rgba.chunks_exact(4)) {
        to.copy_from_slice(&from[..3]);
    }
    rgb
}

/// The colour space of a picture's RGB values. Both spaces have the same transfer curve, so that scaling in linear
/// light is the same work in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Space {
    /// The space of an untagged file.
    #[default]
    Srgb,
    /// The primaries of today's wide-gamut displays, white at D65.
    DisplayP3,
}

/// Samples as a decoder gives them: one frame, rows from the top without padding.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    pub(crate) size: Dimensions,
    pub(crate) layout: Layout,
    /// Two big-endian bytes per sample instead of one byte.
    pub(crate) is_deep: bool,
    pub(crate) data: Vec<u8>,
}

/// The channels of one pixel, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    /// Amounts of light let through, 255 for none of the ink, as Adobe stores them in JPEG.
    InvertedCmyk,
}

impl Layout {
    pub(crate) const fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::InvertedCmyk => 4,
        }
    }

    pub(crate) const fn has_alpha(self) -> bool {
        match self {
            Self::GreyAlpha | Self::Rgba => true,
            Self::Grey | Self::Rgb | Self::InvertedCmyk => false,
        }
    }
}

/// The number of colour samples in relation to luma samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subsampling {
    /// None: 4:0:0.
    None,
    /// One for four: 4:2:0.
    Quarter,
    /// One for two side by side: 4:2:2.
    Half,
    /// As many: 4:4:4.
    Full,
}

impl Subsampling {
    /// The size of a plane of colour.
    pub(crate) const fn size(self, luma: Dimensions) -> Dimensions {
        let (width, height) = (luma.width, luma.height);
        match self {
            Self::None => Dimensions { width: 0, height: 0 },
            Self::Quarter => Dimensions {
                width: width.div_ceil(2),
                height: height.div_ceil(2),
            },
            Self::Half => Dimensions {
                width: width.div_ceil(2),
                height,
            },
            Self::Full => luma,
        }
    }
}

/// The colour model of the stored samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Model {
    Grey,
    #[default]
    Rgb,
    Cmyk,
}

/// A 16-bit sample in 8 bits, rounded.
#[expect(
    clippy::cast_possible_truncation,
    reason = "65535 becomes 255, nothing becomes more"
)]
pub(crate) fn round_to_8(sample: u16) -> u8 {
    ((u32::from(sample) * 255 + 32_895) >> 16) as u8
}
