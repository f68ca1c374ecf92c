//! Colours told by primaries and a gamma, as PNG's `gAMA` and `cHRM` and JPEG XL do.

use moxcms::{Chromaticity, ColorPrimaries, ColorProfile, ToneReprCurve, curve_from_gamma};

use super::Profile;

/// White, red, green and blue as CIE 1931 x and y, in the order of PNG's `cHRM`.
pub(crate) type Chromaticities = [(f32, f32); 4];

/// The primaries of the samples, and the curve from samples to light.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Gamma {
    /// sRGB's if `None`.
    pub(crate) primaries: Option<Chromaticities>,
    /// The exponent that makes light of samples, about 2.2 for most; sRGB's curve if `None`.
    pub(crate) exponent: Option<f32>,
    /// True if light follows from samples by the inverse of BT.709's curve for cameras instead.
    pub(crate) is_camera: bool,
}

/// The inverse of the curve of ITU-R BT.709 (item 1.2), as exponent, factor, offset, slope and limit of a parametric
/// curve.
const CAMERA: [f32; 5] = [1.0 / 0.45, 0.909_672_4, 0.090_327_6, 1.0 / 4.5, 0.081_242_86];

impl Gamma {
    /// `None` if that is sRGB, or describes no colours.
    pub(crate) fn profile(self) -> Option<Profile> {
        let curve = match self.exponent {
            // These numbers stand for sRGB's own curve.
            Some(exponent) if (2.15..=2.25).contains(&exponent) => None,
            Some(exponent) if !(0.1..=10.0).contains(&exponent) => return None,
            None if self.is_camera => Some(ToneReprCurve::Parametric(CAMERA.to_vec())),
            exponent => exponent.map(curve_from_gamma),
        };
        let primaries = self.primaries.filter(|found| !are_close(*found, SRGB));
        if primaries.is_none() && curve.is_none() {
            return None;
        }
        let mut profile = ColorProfile::new_srgb();
        if let Some(found) = primaries {
            let are_colors = found
                .iter()
                .all(|(x, y)| (0.0..=1.0).contains(x) && (0.01..=1.0).contains(y));
            if !are_colors || !spans_colors(found) {
                return None;
            }
            let [white, red, green, blue] = found.map(|(x, y)| Chromaticity { x, y });
            profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
        }
        if let Some(curve) = curve {
            profile.red_trc = Some(curve.clone());
            profile.green_trc = Some(curve.clone());
            profile.blue_trc = Some(curve);
        }
        // moxcms would prefer the code points of sRGB to these numbers.
        profile.cicp = None;
        Profile::made(profile, "gamma")
    }
}

pub(crate) const SRGB: Chromaticities = [(0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)];

/// Tells whether red, green and blue are the corners of a triangle and not points on a line.
fn spans_colors([_, red, green, blue]: Chromaticities) -> bool {
    let doubled_area = (green.0 - red.0) * (blue.1 - red.1) - (blue.0 - red.0) * (green.1 - red.1);
    doubled_area.abs() > 1e-3
}

fn are_close(one: Chromaticities, other: Chromaticities) -> bool {
    one.iter()
        .zip(other)
        .all(|(a, b)| (a.0 - b.0).abs() < 0.002 && (a.1 - b.1).abs() < 0.002)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(primaries: Option<Chromaticities>, exponent: Option<f32>) -> Option<Profile> {
        let is_camera = false;
        Gamma {
            primaries,
            exponent,
            is_camera,
        }
        .profile()
    }

    #[test]
    fn primaries_and_gamma_of_srgb_need_no_profile() {
        assert!(of(None, None).is_none());
        assert!(of(None, Some(100_000.0 / 45_455.0)).is_none());
        assert!(of(Some(SRGB), Some(2.2)).is_none());
        assert!(of(Some(SRGB), Some(1.0)).is_some());
        let p3 = [(0.3127, 0.329), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)];
        assert!(of(Some(p3), None).is_some());
    }

    #[test]
    fn numbers_that_are_no_colours_are_ignored() {
        for primaries in [
            [(0.0, 0.0); 4],
            [(0.3127, 0.329), (f32::NAN, 0.33), (0.3, 0.6), (0.15, 0.06)],
            [(0.3127, 0.329), (0.5, 0.5), (0.5, 0.5), (0.5, 0.5)],
        ] {
            assert!(of(Some(primaries), Some(1.0)).is_none(), "{primaries:?}");
        }
        assert!(of(None, Some(0.0)).is_none());
        assert!(of(None, Some(f32::NAN)).is_none());
        assert!(of(None, Some(f32::INFINITY)).is_none());
    }
}
