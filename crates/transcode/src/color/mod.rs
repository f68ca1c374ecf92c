//! Samples of any colour space to 8-bit sRGB or Display P3, once per source.

pub(crate) mod cicp;
pub(crate) mod gamma;
mod icc;
pub(crate) mod space;
mod tone;

use std::fmt;
use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, ProfileText, TransformExecutor};
use tintype_model::Dimensions;

use self::cicp::Cicp;
use self::space::options;
use self::tone::Mapping;
use crate::panics::quietly;
use crate::parallel;
use crate::picture::{Layout, Model, Picture, Samples, Space, round_to_8};

/// Pixels converted at a time: what is read and written stays in the second-level cache.
const BLOCK: usize = 8 << 10;
/// Blocks of pixels that one task converts.
const BLOCKS_PER_BAND: usize = 16;
/// Longest profile description that is recorded, in characters.
const MAX_DESCRIPTION: usize = 100;

/// A colour profile that fits the samples that it came with: an embedded ICC profile, or the same told by numbers.
pub(crate) struct Profile {
    profile: ColorProfile,
    /// The bytes of an embedded profile.
    embedded: Option<Box<[u8]>>,
    /// Its description tag, on one line.
    pub(crate) description: Option<String>,
    /// The name of the colour space for the record.
    pub(crate) name: &'static str,
    /// The mapping of light beyond sRGB's white to sRGB, where the samples have such light.
    mapping: Option<Box<Mapping>>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Profile").field(&self.description).finish()
    }
}

impl Profile {
    /// Reads a profile. One that is broken, or made for other samples than these, is ignored: the picture is then
    /// shown as if it had none, as browsers do.
    pub(crate) fn parse(icc: &[u8], model: Model) -> Option<Self> {
        let profile = quietly(|| ColorProfile::new_from_slice(icc).ok())??;
        let fits = matches!(
            (model, profile.color_space),
            (Model::Rgb | Model::Grey, DataColorSpace::Rgb)
                | (Model::Grey, DataColorSpace::Gray)
                | (Model::Cmyk, DataColorSpace::Cmyk)
        );
        let description = profile.description.as_ref().and_then(describe);
        let found = Self {
            profile,
            embedded: Some(icc.into()),
            description,
            name: "icc",
            mapping: None,
        };
        // A profile that makes no transform is treated as if the file had none.
        (fits && found.is_usable()).then_some(found)
    }

    /// The profile that code points stand for; `None` where that is sRGB. `peak` is the brightest pixel in cd/m².
    pub(crate) fn from_cicp(cicp: Cicp, peak: Option<u16>) -> Option<Self> {
        let profile = cicp.profile()?;
        let mapping = cicp.high_range().map(|curve| {
            let matrix = profile.transform_matrix(&ColorProfile::new_srgb()).to_f32().v;
            let weights = profile.rgb_to_xyz_matrix().to_f32().v[1];
            Box::new(Mapping::new(curve, matrix, weights, peak))
        });
        let found = Self {
            profile,
            embedded: None,
            description: None,
            name: cicp.name(),
            mapping,
        };
        found.is_usable().then_some(found)
    }

    /// An RGB profile that was made from numbers, with the name of its colour space. `None` if its primaries are no
    /// colours.
    pub(crate) fn made(profile: ColorProfile, name: &'static str) -> Option<Self> {
        let colorants = [
            profile.red_colorant,
            profile.green_colorant,
            profile.blue_colorant,
        ];
        let is_sane = |value: f64| value.is_finite() && value.abs() < 16.0;
        let are_sane = colorants
            .iter()
            .all(|color| is_sane(color.x) && is_sane(color.y) && is_sane(color.z));
        let found = Self {
            profile,
            embedded: None,
            description: None,
            name,
            mapping: None,
        };
        (are_sane && found.is_usable()).then_some(found)
    }

    /// An embedded profile with its colours alone, for a rendition that keeps it.
    pub(crate) fn colours(&self) -> Option<Vec<u8>> {
        icc::colours(self.embedded.as_deref()?)
    }

    fn is_grey(&self) -> bool {
        self.profile.color_space == DataColorSpace::Gray
    }

    /// The smallest layout that the profile describes.
    fn layout(&self) -> moxcms::Layout {
        match self.profile.color_space {
            DataColorSpace::Gray => moxcms::Layout::Gray,
            DataColorSpace::Cmyk => moxcms::Layout::Rgba,
            _ => moxcms::Layout::Rgb,
        }
    }

    /// Tells whether colours can be converted through it.
    fn is_usable(&self) -> bool {
        self.transform_8(self.layout(), Space::Srgb).is_some()
    }

    /// Tells whether the profile has colours outside sRGB that can be kept: it is not of a high dynamic range.
    pub(crate) fn is_wide(&self) -> bool {
        self.mapping.is_none() && space::is_wide(&self.profile)
    }

    /// Tells whether the profile changes no value by more than one: it is sRGB's, or cannot be used.
    pub(crate) fn is_idle(&self) -> bool {
        let levels = || (0..=255).step_by(17);
        let (layout, data): (_, Vec<u8>) = if self.is_grey() {
            (Layout::Grey, (0..=255).collect())
        } else {
            let pairs = levels().flat_map(|red| levels().map(move |green| (red, green)));
            let colors = pairs.flat_map(|(red, green)| levels().flat_map(move |blue| [red, green, blue]));
            (Layout::Rgb, colors.collect())
        };
        let pixels = data.len() / layout.channels();
        let samples = Samples {
            size: Dimensions {
                width: u32::try_from(pixels).unwrap_or(0),
                height: 1,
            },
            layout,
            is_deep: false,
            data: data.clone(),
        };
        let shown = convert(samples, Some(self), Space::Srgb, 1).data;
        let expected = data
            .iter()
            .flat_map(|&level| std::iter::repeat_n(level, shown.len() / data.len()));
        shown
            .iter()
            .zip(expected)
            .all(|(one, other)| one.abs_diff(other) <= 1)
    }

    fn transform_8(
        &self,
        from: moxcms::Layout,
        space: Space,
    ) -> Option<Arc<dyn TransformExecutor<u8> + Send + Sync>> {
        let (space, to) = (space.profile(), self.output(from));
        quietly(|| {
            self.profile
                .create_transform_8bit(from, &space, to, options())
                .ok()
        })?
    }

    fn transform_16(
        &self,
        from: moxcms::Layout,
        space: Space,
    ) -> Option<Arc<dyn TransformExecutor<u16> + Send + Sync>> {
        let (space, to) = (space.profile(), self.output(from));
        quietly(|| {
            self.profile
                .create_transform_16bit(from, &space, to, options())
                .ok()
        })?
    }

    /// The layout that `from` becomes: alpha is kept, ink becomes RGB.
    fn output(&self, from: moxcms::Layout) -> moxcms::Layout {
        match from {
            moxcms::Layout::GrayAlpha => moxcms::Layout::Rgba,
            moxcms::Layout::Rgba if self.profile.color_space != DataColorSpace::Cmyk => moxcms::Layout::Rgba,
            _ => moxcms::Layout::Rgb,
        }
    }
}

fn describe(text: &ProfileText) -> Option<String> {
    let text = match text {
        ProfileText::PlainString(text) => text,
        ProfileText::Localizable(texts) => &texts.first()?.value,
        ProfileText::Description(text) if text.ascii_string.is_empty() => &text.unicode_string,
        ProfileText::Description(text) => &text.ascii_string,
    };
    let text: String = text
        .chars()
        .filter(|character| !character.is_control())
        .take(MAX_DESCRIPTION)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Converts decoded samples to sRGB. Without a profile they are taken for it (or grey with its curve), and ink is
/// converted by the formula of the browsers.
pub(crate) fn to_srgb(samples: Samples, profile: Option<&Profile>, threads: usize) -> Picture {
    convert(samples, profile, Space::Srgb, threads)
}

/// The same for either space; for any but sRGB the samples have to have a profile.
pub(crate) fn convert(samples: Samples, profile: Option<&Profile>, space: Space, threads: usize) -> Picture {
    let (size, has_alpha) = (samples.size, samples.layout.has_alpha());
    let data = if let Some(mapping) = profile.and_then(|profile| profile.mapping.as_ref()) {
        mapping.apply(&samples, threads)
    } else if samples.is_deep {
        convert_deep(&samples, profile, space, threads)
    } else {
        convert_bytes(samples, profile, space, threads)
    };
    Picture {
        size,
        has_alpha,
        space,
        data,
    }
}

fn moxcms_layout(layout: Layout) -> moxcms::Layout {
    match layout {
        Layout::Grey => moxcms::Layout::Gray,
        Layout::GreyAlpha => moxcms::Layout::GrayAlpha,
        Layout::Rgb => moxcms::Layout::Rgb,
        Layout::Rgba | Layout::InvertedCmyk => moxcms::Layout::Rgba,
    }
}

/// The layout after grey is spread over three channels, which is what an RGB profile on grey samples needs.
const fn spread_layout(layout: Layout) -> Layout {
    match layout {
        Layout::Grey => Layout::Rgb,
        Layout::GreyAlpha => Layout::Rgba,
        Layout::Rgb | Layout::Rgba | Layout::InvertedCmyk => layout,
    }
}

fn convert_bytes(samples: Samples, profile: Option<&Profile>, space: Space, threads: usize) -> Vec<u8> {
    let layout = samples.layout;
    let through = match profile {
        Some(profile) if profile.is_grey() => layout,
        _ => spread_layout(layout),
    };
    let transform = profile.and_then(|profile| profile.transform_8(moxcms_layout(through), space));
    let from = layout.channels();
    let to = if layout.has_alpha() { 4 } else { 3 };
    if matches!(layout, Layout::Rgb | Layout::Rgba) {
        let mut data = samples.data;
        if let Some(transform) = transform {
            parallel::for_bands(threads, &mut data, BLOCK * BLOCKS_PER_BAND * to, |_, band| {
                let mut before = vec![0; BLOCK * to];
                for block in band.chunks_mut(BLOCK * to) {
                    let before = &mut before[..block.len()];
                    before.copy_from_slice(block);
                    if transform.transform(before, block).is_err() {
                        block.copy_from_slice(before);
                    }
                }
            });
        }
        return data;
    }
    let pixels = samples.data.len() / from;
    let mut data = vec![0; pixels * to];
    let band_pixels = BLOCK * BLOCKS_PER_BAND;
    parallel::for_bands(threads, &mut data, band_pixels * to, |number, band| {
        let source = &samples.data[number * band_pixels * from..];
        let mut prepared = vec![0; BLOCK * through.channels()];
        for (out, block) in band.chunks_mut(BLOCK * to).zip(source.chunks(BLOCK * from)) {
            let prepared = &mut prepared[..out.len() / to * through.channels()];
            match &transform {
                Some(transform) => {
                    prepare(layout, through, block, prepared);
                    if transform.transform(prepared, out).is_ok() {
                        continue;
                    }
                    untagged(layout, block, out);
                }
                None => untagged(layout, block, out),
            }
        }
    });
    data
}

/// Brings samples into the form that the transform of layout `through` reads.
fn prepare(layout: Layout, through: Layout, from: &[u8], to: &mut [u8]) {
    if layout == Layout::InvertedCmyk {
        for (to, from) in to.iter_mut().zip(from) {
            *to = 255 - from;
        }
    } else if layout == through {
        to.copy_from_slice(from);
    } else {
        untagged(layout, from, to);
    }
}

/// Samples without a profile, as RGB or RGBA.
fn untagged(layout: Layout, from: &[u8], to: &mut [u8]) {
    match layout {
        Layout::Grey => {
            for (to, &grey) in to.chunks_exact_mut(3).zip(from) {
                to.fill(grey);
            }
        }
        Layout::GreyAlpha => {
            for (to, from) in to.chunks_exact_mut(4).zip(from.chunks_exact(2)) {
                to[..3].fill(from[0]);
                to[3] = from[1];
            }
        }
        Layout::Rgb | Layout::Rgba => to.copy_from_slice(from),
        Layout::InvertedCmyk => {
            for (to, ink) in to.chunks_exact_mut(3).zip(from.chunks_exact(4)) {
                for (to, &ink_light) in to.iter_mut().zip(ink) {
                    *to = times(ink_light, ink[3]);
                }
            }
        }
    }
}

/// `a * b / 255`, rounded.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the product of two fractions of 255 is one"
)]
fn times(a: u8, b: u8) -> u8 {
    ((u16::from(a) * u16::from(b) + 127) / 255) as u8
}

/// 16-bit samples: converted at full precision, then rounded to 8 bits.
fn convert_deep(samples: &Samples, profile: Option<&Profile>, space: Space, threads: usize) -> Vec<u8> {
    let layout = samples.layout;
    let through = match profile {
        Some(profile) if profile.is_grey() => layout,
        _ => spread_layout(layout),
    };
    let transform = profile.and_then(|profile| profile.transform_16(moxcms_layout(through), space));
    let (from, to) = (layout.channels(), if layout.has_alpha() { 4 } else { 3 });
    let pixels = samples.data.len() / (2 * from);
    let mut data = vec![0; pixels * to];
    let band_pixels = BLOCK * BLOCKS_PER_BAND;
    parallel::for_bands(threads, &mut data, band_pixels * to, |number, band| {
        let source = &samples.data[number * band_pixels * from * 2..];
        let mut prepared = vec![0u16; BLOCK * through.channels()];
        let mut converted = vec![0u16; BLOCK * to];
        for (out, block) in band.chunks_mut(BLOCK * to).zip(source.chunks(BLOCK * from * 2)) {
            let prepared = &mut prepared[..out.len() / to * through.channels()];
            let converted = &mut converted[..out.len()];
            read_deep(layout, through, block, prepared);
            let done = transform
                .as_ref()
                .is_some_and(|transform| transform.transform(prepared, converted).is_ok());
            if !done {
                // Grey with a grey profile whose transform fails is the one case that is not yet spread.
                read_deep(layout, spread_layout(layout), block, converted);
            }
            for (to, &from) in out.iter_mut().zip(converted.iter()) {
                *to = round_to_8(from);
            }
        }
    });
    data
}

fn read_deep(layout: Layout, through: Layout, from: &[u8], to: &mut [u16]) {
    let mut samples = from
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&bytes| u16::from_be_bytes(bytes));
    if layout == through {
        for (to, from) in to.iter_mut().zip(samples) {
            *to = from;
        }
        return;
    }
    for pixel in to.chunks_exact_mut(through.channels()) {
        let grey = samples.next().unwrap_or_default();
        pixel[..3].fill(grey);
        if let Some(alpha) = pixel.get_mut(3) {
            *alpha = samples.next().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use tintype_model::Dimensions;

    use super::*;

    fn convert(layout: Layout, data: &[u8], icc: Option<Vec<u8>>, model: Model) -> Vec<u8> {
        let width = u32::try_from(data.len() / layout.channels()).unwrap();
        let samples = Samples {
            size: Dimensions { width, height: 1 },
            layout,
            is_deep: false,
            data: data.to_vec(),
        };
        let profile = icc.and_then(|icc| Profile::parse(&icc, model));
        to_srgb(samples, profile.as_ref(), 2).data
    }

    #[test]
    fn display_p3_red_lands_outside_srgb_and_is_clipped() {
        let icc = ColorProfile::new_display_p3().encode().unwrap();
        let out = convert(Layout::Rgb, &[255, 0, 0, 128, 128, 128], Some(icc), Model::Rgb);
        assert_eq!(out[..3], [255, 0, 0]);
        assert!(out[3..].iter().all(|&grey| grey.abs_diff(128) <= 1), "{out:?}");
        let icc = ColorProfile::new_display_p3().encode().unwrap();
        // Display P3 (0.5, 0.25, 0.25) computed by hand through XYZ is sRGB (138, 59, 62).
        let out = convert(Layout::Rgba, &[128, 64, 64, 77], Some(icc), Model::Rgb);
        for (got, want) in out.iter().zip([138u8, 59, 62, 77]) {
            assert!(got.abs_diff(want) <= 2, "{out:?}");
        }
    }

    #[test]
    fn profiles_that_do_not_fit_are_ignored() {
        let rgb = ColorProfile::new_display_p3().encode().unwrap();
        let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        assert!(Profile::parse(&grey, Model::Rgb).is_none());
        assert!(Profile::parse(&rgb, Model::Cmyk).is_none());
        assert!(Profile::parse(&rgb[..rgb.len() / 2], Model::Rgb).is_none());
        assert!(Profile::parse(b"", Model::Rgb).is_none());
        assert!(Profile::parse(&grey, Model::Grey).is_some());
        assert!(Profile::parse(&rgb, Model::Grey).is_some());
    }

    #[test]
    fn grey_follows_its_curve() {
        let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let out = convert(Layout::GreyAlpha, &[55, 200, 255, 0], Some(linear), Model::Grey);
        // Linear 55/255 is sRGB 128.
        assert!(out[..3].iter().all(|&grey| grey.abs_diff(128) <= 1), "{out:?}");
        assert_eq!([out[3], out[4], out[7]], [200, 255, 0]);
        assert_eq!(convert(Layout::Grey, &[55], None, Model::Grey), [55; 3]);
    }

    #[test]
    fn ink_without_a_profile_is_multiplied_by_black() {
        let inks = [
            255, 255, 255, 255, 0, 255, 255, 255, 255, 255, 255, 0, 255, 128, 0, 255,
        ];
        let out = convert(Layout::InvertedCmyk, &inks, None, Model::Cmyk);
        assert_eq!(out, [255, 255, 255, 0, 255, 255, 0, 0, 0, 255, 128, 0]);
    }

    #[test]
    fn deep_samples_are_rounded_not_cut() {
        for (sample, byte) in [
            (0u16, 0u8),
            (128, 0),
            (129, 1),
            (65_535, 255),
            (32_767, 127),
            (32_769, 128),
        ] {
            assert_eq!(round_to_8(sample), byte, "{sample}");
        }
        let samples = Samples {
            size: Dimensions { width: 2, height: 1 },
            layout: Layout::GreyAlpha,
            is_deep: true,
            data: vec![0xFF, 0xFF, 0x80, 0x80, 0, 0, 0, 0],
        };
        assert_eq!(to_srgb(samples, None, 1).data, [255, 255, 255, 128, 0, 0, 0, 0]);
    }
}
