//! The quality of a lossy WebP, from its quantizers (RFC 6386, sections 7, 9.2 to 9.6 and 19.2).

use crate::syntax::reader::Reader;
use crate::syntax::riff::chunk;

/// The quality at which libwebp takes quantizers that are as coarse, 1 to 100; `None` for what is no lossy still.
pub(super) fn quality(webp: &[u8]) -> Option<u8> {
    let mut chunks = Reader::at(webp, 12);
    loop {
        match chunk(&mut chunks).ok()?? {
            (name, frame) if &name == b"VP8 " => return quality_at(quantizer(frame)?),
            (name, _) if matches!(&name, b"VP8L" | b"ANIM" | b"ANMF") => return None,
            _ => {}
        }
    }
}

/// libwebp's scale (`QualityToCompression` in its `quant_enc.c`), from the other end.
fn quality_at(quantizer: f64) -> Option<u8> {
    let linear = (1.0 - quantizer / 127.0).powi(3);
    let share = if linear < 0.5 {
        linear * 1.5
    } else {
        (linear + 1.0) / 2.0
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value is between 1 and 100"
    )]
    let quality = (share * 100.0).round().clamp(1.0, 100.0) as u8;
    Some(quality)
}

/// The mean of the quantizers of a key frame's segments, 0 to 127.
fn quantizer(frame: &[u8]) -> Option<f64> {
    let mut reader = Reader::new(frame);
    let is_key = reader.u8()? & 1 == 0;
    reader.skip(2)?;
    if !is_key || reader.take(3)? != [0x9D, 0x01, 0x2A] {
        return None;
    }
    reader.skip(4)?;
    let mut bits = Bools::new(reader.rest());
    // Colour space, clamping.
    bits.take(2);
    let mut segments = None;
    if bits.flag() {
        segments = segment_quantizers(&mut bits);
    }
    // Kind, level and sharpness of the loop filter.
    bits.take(10);
    if bits.flag() && bits.flag() {
        for _ in 0..8 {
            bits.optional(6);
        }
    }
    // Number of partitions.
    bits.take(2);
    let base = bits.take(7);
    let all = match segments {
        None => [base; 4],
        Some((true, own)) => own,
        Some((false, own)) => own.map(|own| base + own),
    };
    let sum: i32 = all.iter().map(|quantizer| (*quantizer).clamp(0, 127)).sum();
    Some(f64::from(sum) / 4.0)
}

/// The quantizers of the segments, if they have their own, and whether these are not added to that of the frame.
fn segment_quantizers(bits: &mut Bools<'_>) -> Option<(bool, [i32; 4])> {
    let (has_map, has_values) = (bits.flag(), bits.flag());
    let mut quantizers = None;
    if has_values {
        let is_absolute = bits.flag();
        let own = [0; 4].map(|_: i32| bits.optional(7));
        for _ in 0..4 {
            bits.optional(6);
        }
        quantizers = Some((is_absolute, own));
    }
    if has_map {
        for _ in 0..3 {
            if bits.flag() {
                bits.take(8);
            }
        }
    }
    quantizers
}

/// The boolean decoder for bits that are as often set as not (RFC 6386 section 7.3); zeros follow the end.
struct Bools<'a> {
    data: std::slice::Iter<'a, u8>,
    value: u32,
    range: u32,
    shifts: u32,
}

impl<'a> Bools<'a> {
    fn new(data: &'a [u8]) -> Self {
        let mut data = data.iter();
        let mut next = || data.next().copied().map_or(0, u32::from);
        let value = (next() << 8) | next();
        Self {
            data,
            value,
            range: 255,
            shifts: 0,
        }
    }

    fn flag(&mut self) -> bool {
        let split = 1 + (self.range - 1) / 2;
        let is_set = self.value >= split << 8;
        if is_set {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.value <<= 1;
            self.range <<= 1;
            self.shifts += 1;
            if self.shifts == 8 {
                self.shifts = 0;
                self.value |= self.data.next().copied().map_or(0, u32::from);
            }
        }
        is_set
    }

    fn take(&mut self, count: u32) -> i32 {
        (0..count).fold(0, |value, _| value << 1 | i32::from(self.flag()))
    }

    /// A number with a sign behind it, or 0 where a flag says that there is none.
    fn optional(&mut self, count: u32) -> i32 {
        if !self.flag() {
            return 0;
        }
        let value = self.take(count);
        if self.flag() { -value } else { value }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tintype_model::{Dimensions, Format, Rgb};

    use super::*;
    use crate::picture::{Picture, Space};

    #[test]
    fn quality_is_read_off_the_quantizers() {
        for (width, height, has_alpha) in [(200, 150, false), (200, 150, true), (1200, 900, false)] {
            let size = Dimensions { width, height };
            let pixels = (0..width * height).flat_map(|at| {
                let (x, y) = (at % width, at / width);
                let byte = |value: u32| (value + (x * 7 + y * 13) % 9).to_le_bytes()[0];
                let color = [byte(x / 2), byte(y / 2), byte(x + y), byte(200 + x % 40)];
                color.into_iter().take(if has_alpha { 4 } else { 3 })
            });
            let picture = Arc::new(Picture {
                size,
                has_alpha,
                space: Space::Srgb,
                data: pixels.collect(),
            });
            for wanted in [10u8, 30, 50, 75, 90] {
                let file = crate::encode::encode(Arc::clone(&picture), Format::Webp, wanted, Rgb::default())
                    .unwrap();
                let told = quality(&file.bytes).unwrap();
                // The mean of the segments lies below what was asked for.
                assert!(
                    told <= wanted + 2 && told + 16 >= wanted,
                    "{width}×{height} {wanted}: {told}"
                );
            }
        }
    }

    #[test]
    fn a_file_that_is_not_lossy_has_no_quality() {
        for file in [
            &b"RIFF\0\0\0\0WEBPVP8L\x04\0\0\0abcd"[..],
            b"RIFF\0\0\0\0WEBPVP8 \x02\0\0\0ab",
            b"RIFF",
        ] {
            assert_eq!(quality(file), None);
        }
    }
}
