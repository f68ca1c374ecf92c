//! The colour spaces of renditions, and the profile or code points by which a file names its own.

use moxcms::{ColorProfile, DataColorSpace, Layout, RenderingIntent, TransformOptions};
use tintype_model::Rgb;

use crate::panics::quietly;
use crate::picture::Space;

impl Space {
    /// The space as the colour engine knows it.
    pub(crate) fn profile(self) -> ColorProfile {
        match self {
            Self::Srgb => ColorProfile::new_srgb(),
            Self::DisplayP3 => ColorProfile::new_display_p3(),
        }
    }

    /// The values that a colour of the recipe has here.
    pub(crate) fn express(self, color: Rgb) -> Rgb {
        if self == Self::Srgb {
            return color;
        }
        let mut values = color;
        let done = quietly(|| {
            let to = self.profile();
            let options = TransformOptions::default();
            let transform = Self::Srgb
                .profile()
                .create_transform_8bit(Layout::Rgb, &to, Layout::Rgb, options)
                .ok()?;
            transform.transform(&color.0, &mut values.0).ok()
        });
        if done.flatten().is_some() { values } else { color }
    }

    /// The profile to embed; `None` where the pixels need none.
    pub(crate) fn icc(self) -> Option<Vec<u8>> {
        match self {
            Self::Srgb => None,
            Self::DisplayP3 => Some(display_p3()),
        }
    }
}

/// Perceptual is what profiles are made for where they hold tables; between matrix profiles, sRGB among them, all
/// intents are the same.
pub(super) fn options() -> TransformOptions {
    TransformOptions {
        rendering_intent: RenderingIntent::Perceptual,
        ..TransformOptions::default()
    }
}

/// Tells whether an RGB profile has colours outside sRGB: its purest red, green or blue is purer than sRGB's.
pub(crate) fn is_wide(profile: &ColorProfile) -> bool {
    let (Some(ours), Some(theirs)) = (primaries(profile), primaries(&Space::Srgb.profile())) else {
        return false;
    };
    ours.iter()
        .zip(&theirs)
        .enumerate()
        .any(|(index, (&ours, &theirs))| {
            // Red of red, green of green, blue of blue.
            let is_own = index % 4 == 0;
            if is_own {
                ours > theirs.saturating_add(2)
            } else {
                ours.saturating_add(2) < theirs
            }
        })
}

/// Full red, green and blue of an RGB profile, in Display P3.
fn primaries(profile: &ColorProfile) -> Option<[u8; 9]> {
    const FULL: [u8; 9] = [255, 0, 0, 0, 255, 0, 0, 0, 255];
    let layout = Layout::Rgb;
    if profile.color_space != DataColorSpace::Rgb {
        return None;
    }
    quietly(|| {
        let mut shown = FULL;
        let transform = profile.create_transform_8bit(layout, &Space::DisplayP3.profile(), layout, options());
        transform.ok()?.transform(&FULL, &mut shown).ok()?;
        Some(shown)
    })?
}

/// Display P3 as an ICC profile of version 4 (ICC.1:2022): three primaries and one curve, in 492 bytes.
///
/// It is written out here because a profile from a library carries the time at which it was made.
fn display_p3() -> Vec<u8> {
    let name = text("Display P3");
    let rights = text("CC0");
    let white = xyz(D50);
    let adaptation = numbers(*b"sf32", &D65_TO_D50);
    let curve = numbers(*b"para", &SRGB_CURVE);
    let [red, green, blue] = PRIMARIES.map(xyz);
    let tags: [(&[u8; 4], &[u8]); 10] = [
        (b"desc", &name),
        (b"cprt", &rights),
        (b"wtpt", &white),
        (b"chad", &adaptation),
        (b"rXYZ", &red),
        (b"gXYZ", &green),
        (b"bXYZ", &blue),
        (b"rTRC", &curve),
        (b"gTRC", &curve),
        (b"bTRC", &curve),
    ];
    let start = HEADER + 4 + 12 * tags.len();
    let (mut table, mut data) = (number(tags.len()).to_vec(), Vec::new());
    let mut last: Option<(&[u8], usize)> = None;
    for (name, content) in tags {
        let at = match last {
            // The three curves are one.
            Some((before, at)) if before == content => at,
            _ => {
                let at = start + data.len();
                data.extend_from_slice(content);
                at
            }
        };
        last = Some((content, at));
        table.extend_from_slice(name);
        table.extend(number(at));
        table.extend(number(content.len()));
    }
    let mut profile = header(start + data.len());
    profile.extend(table);
    profile.extend(data);
    profile
}

const HEADER: usize = 128;
/// The white of the profile connection space, as 16.16 fixed-point numbers like all that follow.
const D50: [i32; 3] = [0xF6D6, 0x1_0000, 0xD32D];
/// The Bradford adaptation of a D65 white.
const D65_TO_D50: [i32; 9] = [
    0x1_0C42, 0x05DE, -0x0CDA, 0x0793, 0xFD90, -0x045E, -0x025D, 0x03DC, 0xC06E,
];
/// Red, green and blue, adapted to D50.
const PRIMARIES: [[i32; 3]; 3] = [
    [0x83DF, 0x3DBF, -0x0045],
    [0x4ABF, 0xB137, 0x0AB9],
    [0x2838, 0x110B, 0xC8B9],
];
/// Curve type 3 and its parameters: IEC 61966-2-1.
const SRGB_CURVE: [i32; 6] = [3 << 16, 0x2_6666, 0xF2A7, 0x0D59, 0x13D0, 0x0A5B];

fn header(length: usize) -> Vec<u8> {
    let mut header = vec![0; HEADER];
    let fields: [(usize, &[u8]); 8] = [
        (0, &number(length)),
        (8, &[4, 0x40]),
        (12, b"mntrRGB XYZ "),
        // Any date will do, so that it is always the same: 1 January 2026.
        (24, &[0x07, 0xEA, 0, 1, 0, 1]),
        (36, b"acsp"),
        (68, &D50[0].to_be_bytes()),
        (72, &D50[1].to_be_bytes()),
        (76, &D50[2].to_be_bytes()),
    ];
    for (at, bytes) in fields {
        header[at..at + bytes.len()].copy_from_slice(bytes);
    }
    header
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes()
}

fn numbers(kind: [u8; 4], values: &[i32]) -> Vec<u8> {
    let mut tag = [kind, [0; 4]].concat();
    tag.extend(values.iter().flat_map(|value| value.to_be_bytes()));
    tag
}

fn xyz(values: [i32; 3]) -> Vec<u8> {
    numbers(*b"XYZ ", &values)
}

/// A text in one language, padded to four bytes.
fn text(text: &str) -> Vec<u8> {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut tag = [
        *b"mluc",
        [0; 4],
        number(1),
        number(12),
        *b"enUS",
        number(utf16.len()),
        number(28),
    ]
    .concat();
    tag.extend(utf16);
    tag.resize(tag.len().next_multiple_of(4), 0);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_means_display_p3() {
        let icc = Space::DisplayP3.icc().unwrap();
        assert!(icc.len() < 500, "{}", icc.len());
        let read = ColorProfile::new_from_slice(&icc).unwrap();
        assert_eq!(read.rendering_intent, RenderingIntent::Perceptual);
        let colors: Vec<u8> = (0..=255u8)
            .flat_map(|step| [[step, 0, 0], [0, step, 99], [255, 128, step], [step; 3]].concat())
            .collect();
        let to_srgb = |profile: &ColorProfile| {
            let mut out = vec![0; colors.len()];
            profile
                .create_transform_8bit(
                    Layout::Rgb,
                    &ColorProfile::new_srgb(),
                    Layout::Rgb,
                    TransformOptions::default(),
                )
                .unwrap()
                .transform(&colors, &mut out)
                .unwrap();
            out
        };
        let (ours, theirs) = (to_srgb(&read), to_srgb(&Space::DisplayP3.profile()));
        let furthest = ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(furthest <= Some(1), "{furthest:?}");
    }

    #[test]
    fn only_profiles_beyond_srgb_are_wide() {
        let is_wide = |profile: ColorProfile| {
            let icc = profile.encode().unwrap();
            is_wide(&ColorProfile::new_from_slice(&icc).unwrap())
        };
        assert!(!is_wide(ColorProfile::new_srgb()));
        assert!(is_wide(ColorProfile::new_display_p3()));
        assert!(is_wide(ColorProfile::new_adobe_rgb()));
        assert!(is_wide(ColorProfile::new_bt2020()));
        assert!(is_wide(ColorProfile::new_pro_photo_rgb()));
        assert!(!is_wide(ColorProfile::new_gray_with_gamma(1.0)));
    }

    #[test]
    fn colours_of_the_recipe_look_the_same_in_both() {
        let Rgb(red) = Space::DisplayP3.express(Rgb([255, 0, 0]));
        assert!(
            red.iter().zip([234, 51, 35]).all(|(a, b)| a.abs_diff(b) <= 1),
            "{red:?}"
        );
        assert_eq!(Space::DisplayP3.express(Rgb::default()), Rgb::default());
        assert_eq!(Space::Srgb.express(Rgb([255, 0, 0])), Rgb([255, 0, 0]));
    }

    #[test]
    fn an_untagged_file_is_srgb() {
        assert_eq!(Space::Srgb.icc(), None);
    }
}
