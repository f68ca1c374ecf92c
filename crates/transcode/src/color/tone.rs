//! High dynamic range to sRGB.
//!
//! Diffuse white of 203 cd/m² (ITU-R BT.2408) becomes the white of sRGB. What is brighter is compressed by the curve of
//! ITU-R BT.2390 section 5.4.1, on the largest of the three components, so that hues stay: up to about 90 cd/m² nothing
//! changes, and the brightest pixel that the file promises (1,000 cd/m² where it promises none) becomes white.

use super::cicp::HighRange;
use crate::parallel;
use crate::picture::{Samples, round_to_8};

/// Diffuse white in cd/m² (ITU-R BT.2408-7 table 1).
const WHITE: f32 = 203.0;
/// Largest value of PQ in cd/m².
const PQ_PEAK: f32 = 10_000.0;
/// The screen that most pictures are made for, where the file does not tell; HLG is defined for it.
const USUAL_PEAK: f32 = 1_000.0;
/// The gamma of HLG's screen of 1,000 cd/m² (ITU-R BT.2100 table 5).
const HLG_GAMMA: f32 = 1.2;
/// Steps of the tables that are indexed by light; they are spaced by its square root, as the eye would.
const STEPS: usize = 4096;
/// Pixels that one task converts.
const BAND_PIXELS: usize = 128 << 10;

/// From samples of one kind to 8-bit sRGB.
pub(crate) struct Mapping {
    curve: HighRange,
    /// Light of each 16-bit sample: cd/m² for PQ, light of the scene for HLG.
    light: Vec<f32>,
    /// The factors that bring light to a scale with sRGB's white at 1, indexed by the light of the largest component.
    gain: Vec<f32>,
    peak: f32,
    /// Linear light to that of sRGB's primaries.
    matrix: [[f32; 3]; 3],
    /// The weight of each component in luminance.
    weights: [f32; 3],
    /// 8-bit sRGB of linear light.
    encoded: Vec<u8>,
}

impl Mapping {
    /// `matrix` leads from the primaries of the samples to those of sRGB, `weights` to luminance; `peak` is the
    /// brightest pixel in cd/m².
    pub(crate) fn new(curve: HighRange, matrix: [[f32; 3]; 3], weights: [f32; 3], peak: Option<u16>) -> Self {
        let peak = match curve {
            HighRange::Pq => peak.map_or(USUAL_PEAK, f32::from).clamp(WHITE, PQ_PEAK),
            HighRange::Hlg => USUAL_PEAK,
        };
        let light = (0..=u16::MAX).map(|sample| {
            let signal = f32::from(sample) / f32::from(u16::MAX);
            match curve {
                HighRange::Pq => pq_to_light(signal),
                HighRange::Hlg => hlg_to_scene(signal),
            }
        });
        Self {
            curve,
            light: light.collect(),
            gain: by_light(|share| gain(share * peak, peak)),
            peak,
            matrix,
            weights,
            encoded: by_light(srgb),
        }
    }

    /// The samples as RGB or RGBA bytes. Grey is spread over the channels.
    pub(crate) fn apply(&self, samples: &Samples, threads: usize) -> Vec<u8> {
        let from = samples.layout.channels();
        let to = if samples.layout.has_alpha() { 4 } else { 3 };
        let width = if samples.is_deep { 2 } else { 1 };
        let pixels = samples.data.len() / (from * width);
        let mut data = vec![0; pixels * to];
        parallel::for_bands(threads, &mut data, BAND_PIXELS * to, |number, band| {
            let source = &samples.data[number * BAND_PIXELS * from * width..];
            for (out, pixel) in band.chunks_exact_mut(to).zip(source.chunks_exact(from * width)) {
                let sample = |channel: usize| {
                    if samples.is_deep {
                        u16::from_be_bytes([pixel[channel * 2], pixel[channel * 2 + 1]])
                    } else {
                        u16::from(pixel[channel]) * 257
                    }
                };
                let color = if from < 3 {
                    [sample(0); 3]
                } else {
                    [sample(0), sample(1), sample(2)]
                };
                out[..3].copy_from_slice(&self.convert(color));
                if let Some(alpha) = out.get_mut(3) {
                    *alpha = round_to_8(sample(from - 1));
                }
            }
        });
        data
    }

    fn convert(&self, color: [u16; 3]) -> [u8; 3] {
        let mut light = color.map(|sample| self.light[usize::from(sample)]);
        if self.curve == HighRange::Hlg {
            // The screen brightens with the luminance of the scene (ITU-R BT.2100 table 5, OOTF).
            let luminance: f32 = light
                .iter()
                .zip(self.weights)
                .map(|(light, weight)| light * weight)
                .sum();
            let factor = USUAL_PEAK * luminance.max(0.0).powf(HLG_GAMMA - 1.0);
            light = light.map(|light| light * factor);
        }
        let largest = light.iter().copied().fold(0.0, f32::max);
        let gain = at(&self.gain, largest / self.peak);
        let light = light.map(|light| light * gain);
        self.matrix.map(|row| {
            let linear: f32 = row.iter().zip(light).map(|(factor, light)| factor * light).sum();
            at(&self.encoded, linear)
        })
    }
}

/// A table of `value` for 0 to 1, spaced by the square root.
fn by_light<T>(value: impl Fn(f32) -> T) -> Vec<T> {
    (0..=STEPS)
        .map(|step| {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand steps are exact")]
            let root = step as f32 / STEPS as f32;
            value(root * root)
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the share is clamped to 0 to 1, and a few thousand steps are exact"
)]
fn at<T: Copy>(table: &[T], share: f32) -> T {
    table[(share.clamp(0.0, 1.0).sqrt() * STEPS as f32 + 0.5) as usize]
}

/// SMPTE ST 2084, equation 4.1: cd/m² of a signal from 0 to 1.
fn pq_to_light(signal: f32) -> f32 {
    let power = signal.powf(1.0 / M2);
    let fraction = (power - C1).max(0.0) / (C2 - C3 * power);
    PQ_PEAK * fraction.powf(1.0 / M1)
}

/// SMPTE ST 2084, equation 5.2.
fn light_to_pq(light: f32) -> f32 {
    let power = (light / PQ_PEAK).powf(M1);
    ((C1 + C2 * power) / (1.0 + C3 * power)).powf(M2)
}

const M1: f32 = 2610.0 / 16_384.0;
const M2: f32 = 2523.0 / 4096.0 * 128.0;
const C1: f32 = 3424.0 / 4096.0;
const C2: f32 = 2413.0 / 4096.0 * 32.0;
const C3: f32 = 2392.0 / 4096.0 * 32.0;

/// ITU-R BT.2100 table 5, inverse OETF: light of the scene from 0 to 1.
fn hlg_to_scene(signal: f32) -> f32 {
    const A: f32 = 0.178_832_77;
    const B: f32 = 0.284_668_92;
    const C: f32 = 0.559_910_7;
    if signal <= 0.5 {
        signal * signal / 3.0
    } else {
        (((signal - C) / A).exp() + B) / 12.0
    }
}

/// The factor that `light` is multiplied with (ITU-R BT.2390 section 5.4.1, with black at 0).
fn gain(light: f32, peak: f32) -> f32 {
    if light <= 0.0 || peak <= WHITE {
        return 1.0 / WHITE;
    }
    let top = light_to_pq(peak);
    let white = light_to_pq(WHITE) / top;
    let knee = 1.5 * white - 0.5;
    let signal = light_to_pq(light) / top;
    if signal < knee {
        return 1.0 / WHITE;
    }
    let t = (signal - knee) / (1.0 - knee);
    let (t2, t3) = (t * t, t * t * t);
    let mapped = (2.0 * t3 - 3.0 * t2 + 1.0) * knee
        + (t3 - 2.0 * t2 + t) * (1.0 - knee)
        + (-2.0 * t3 + 3.0 * t2) * white;
    pq_to_light(mapped * top) / light / WHITE
}

/// IEC 61966-2-1: 8 bits of linear light.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between 0 and 255"
)]
fn srgb(linear: f32) -> u8 {
    let value = if linear <= 0.003_130_8 {
        12.92 * linear
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    };
    (value * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use tintype_model::Dimensions;

    use super::*;
    use crate::picture::Layout;

    const SAME: [[f32; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    const BT709: [f32; 3] = [0.2126, 0.7152, 0.0722];

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "signals are 0 to 1"
    )]
    fn sample(signal: f32) -> u16 {
        (signal * 65_535.0).round() as u16
    }

    fn grey(mapping: &Mapping, signal: f32) -> u8 {
        let [r, g, b] = mapping.convert([sample(signal); 3]);
        assert!(r == g && g == b);
        r
    }

    #[test]
    fn shadows_stay_white_nears_white_and_the_peak_is_white() {
        let pq = Mapping::new(HighRange::Pq, SAME, BT709, None);
        // 50 cd/m² is below the knee: linear 0.246 is sRGB 136.
        assert!(grey(&pq, light_to_pq(50.0)).abs_diff(136) <= 1);
        assert!(
            (220..240).contains(&grey(&pq, light_to_pq(203.0))),
            "{}",
            grey(&pq, light_to_pq(203.0))
        );
        assert_eq!(grey(&pq, light_to_pq(1000.0)), 255);
        assert_eq!(grey(&pq, 1.0), 255);
        assert_eq!(grey(&pq, 0.0), 0);
        // A file without light brighter than white is not changed.
        let dim = Mapping::new(HighRange::Pq, SAME, BT709, Some(203));
        assert_eq!(grey(&dim, light_to_pq(203.0)), 255);
    }

    #[test]
    fn brighter_is_never_darker() {
        for curve in [HighRange::Pq, HighRange::Hlg] {
            let mapping = Mapping::new(curve, SAME, BT709, Some(4000));
            let shades: Vec<u8> = (0..=1000u16)
                .map(|step| grey(&mapping, f32::from(step) / 1000.0))
                .collect();
            assert!(shades.is_sorted(), "{curve:?}");
            assert_eq!((shades[0], shades[1000]), (0, 255), "{curve:?}");
        }
    }

    #[test]
    fn the_white_of_hlg_is_at_three_quarters_of_the_signal() {
        let mapping = Mapping::new(HighRange::Hlg, SAME, BT709, None);
        assert!(
            (220..240).contains(&grey(&mapping, 0.75)),
            "{}",
            grey(&mapping, 0.75)
        );
    }

    #[test]
    fn samples_of_every_layout_are_read() {
        let mapping = Mapping::new(HighRange::Pq, SAME, BT709, None);
        let apply = |layout, is_deep, data: &[u8]| {
            let samples = Samples {
                size: Dimensions { width: 1, height: 1 },
                layout,
                is_deep,
                data: data.to_vec(),
            };
            mapping.apply(&samples, 2)
        };
        let white = mapping.convert([65_535; 3]);
        assert_eq!(apply(Layout::Grey, false, &[255]), white);
        assert_eq!(apply(Layout::GreyAlpha, true, &[255, 255, 128, 128])[3], 128);
        let color = apply(Layout::Rgba, true, &[255, 255, 0, 0, 0, 0, 1, 1]);
        assert_eq!(color, [255, 0, 0, 1]);
    }
}
