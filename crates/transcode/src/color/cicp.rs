//! Colours told by numbers: coding-independent code points (ITU-T H.273, ISO/IEC 23091-2).

use moxcms::{CicpColorPrimaries, CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};

/// The colour space and the range of a picture's samples, in the numbers of H.273.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cicp {
    pub(crate) primaries: u8,
    pub(crate) transfer: u8,
    pub(crate) matrix: u8,
    /// True if luma uses all values, and not only those from 16 to 235.
    pub(crate) is_full_range: bool,
}

const UNSPECIFIED: u8 = 2;
const PQ: u8 = 16;
const HLG: u8 = 18;

/// The light behind a sample, where that is more than a screen of today shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HighRange {
    /// Perceptual quantizer (SMPTE ST 2084).
    Pq,
    /// Hybrid log-gamma (ARIB STD-B67).
    Hlg,
}

impl Cicp {
    /// Nothing is said: sRGB, by BT.601 from the values that video uses.
    pub(crate) const UNSPECIFIED: Self = Self {
        primaries: UNSPECIFIED,
        transfer: UNSPECIFIED,
        matrix: UNSPECIFIED,
        is_full_range: false,
    };

    pub(crate) const fn high_range(self) -> Option<HighRange> {
        match self.transfer {
            PQ => Some(HighRange::Pq),
            HLG => Some(HighRange::Hlg),
            _ => None,
        }
    }

    /// The name of the colour space for the record.
    pub(crate) const fn name(self) -> &'static str {
        match (self.transfer, self.primaries) {
            (PQ, _) => "pq",
            (HLG, _) => "hlg",
            (_, 9) => "rec2020",
            (_, 11 | 12) => "display-p3",
            _ => "cicp",
        }
    }

    /// A profile that says the same; `None` for sRGB and whatever is shown like it.
    ///
    /// The curve of BT.709 and its kin describes cameras: pictures that name it were seen on a screen, so they are
    /// taken for sRGB, as browsers do.
    pub(crate) fn profile(self) -> Option<ColorProfile> {
        let curve = match self.transfer {
            code @ (4 | 5 | 7..=10 | 17) => TransferCharacteristics::try_from(code).ok()?,
            _ => TransferCharacteristics::Srgb,
        };
        let primaries = match self.primaries {
            // Digital cinema's white is meant for projectors; on screens P3 has that of sRGB.
            11 => CicpColorPrimaries::Smpte432,
            code @ (4..=10 | 12 | 22) => CicpColorPrimaries::try_from(code).ok()?,
            _ => CicpColorPrimaries::Bt709,
        };
        let is_srgb = primaries == CicpColorPrimaries::Bt709 && curve == TransferCharacteristics::Srgb;
        if is_srgb && self.high_range().is_none() {
            return None;
        }
        let mut profile = ColorProfile::new_from_cicp(CicpProfile {
            color_primaries: primaries,
            transfer_characteristics: curve,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        });
        // Curves and colorants say it all; nothing is left to choose between.
        profile.cicp = None;
        Some(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(primaries: u8, transfer: u8) -> Cicp {
        Cicp {
            primaries,
            transfer,
            ..Cicp::UNSPECIFIED
        }
    }

    #[test]
    fn code_points_shown_as_srgb_need_no_profile() {
        for (primaries, transfer) in [(1, 13), (2, 2), (1, 1), (2, 13), (1, 6), (200, 200), (3, 0)] {
            assert!(
                with(primaries, transfer).profile().is_none(),
                "{primaries} {transfer}"
            );
        }
        for (primaries, transfer) in [(12, 13), (9, 1), (1, 8), (1, 16), (9, 18)] {
            assert!(
                with(primaries, transfer).profile().is_some(),
                "{primaries} {transfer}"
            );
        }
    }
}
