//! Quantizers (ITU-T T.81 B.2.4.1).

/// 64 quantizers in the order of the zigzag.
#[derive(Clone, Debug)]
pub(super) struct Quantizer([u16; 64]);

/// Those of luma in T.81 K.1, which libjpeg scales, in the order of the zigzag.
const LUMA: [u16; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40,
    58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103,
    104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
];

impl Quantizer {
    /// Reads the tables of a segment into their places.
    pub(super) fn read_all(mut body: &[u8], tables: &mut [Option<Self>; 4]) -> Option<()> {
        while let Some((&id, rest)) = body.split_first() {
            let mut quantizer = [0; 64];
            let is_wide = match id >> 4 {
                0 => false,
                1 => true,
                _ => return None,
            };
            let (values, rest) = rest.split_at_checked(if is_wide { 128 } else { 64 })?;
            for (at, to) in quantizer.iter_mut().enumerate() {
                *to = if is_wide {
                    u16::from_be_bytes([values[2 * at], values[2 * at + 1]])
                } else {
                    values[at].into()
                };
            }
            if quantizer.contains(&0) {
                return None;
            }
            *tables.get_mut(usize::from(id & 15))? = Some(Self(quantizer));
            body = rest;
        }
        Some(())
    }

    /// Adds the table to the body of a segment.
    pub(super) fn write(&self, number: u8, body: &mut Vec<u8>) {
        let narrow: Option<Vec<u8>> = self.0.iter().map(|&value| u8::try_from(value).ok()).collect();
        if let Some(narrow) = narrow {
            body.push(number);
            body.extend(narrow);
        } else {
            body.push(0x10 | number);
            body.extend(self.0.iter().flat_map(|value| value.to_be_bytes()));
        }
    }

    /// The quality at which libjpeg's quantizers for luma are as coarse, as a mean.
    pub(super) fn quality(&self) -> u8 {
        let share = |(&own, &usual): (&u16, &u16)| 100.0 * f64::from(own) / f64::from(usual);
        let scale = self.0.iter().zip(&LUMA).map(share).sum::<f64>() / 64.0;
        let quality = if scale <= 100.0 {
            (200.0 - scale) / 2.0
        } else {
            5000.0 / scale
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the value is between 1 and 100"
        )]
        let quality = quality.round().clamp(1.0, 100.0) as u8;
        quality
    }
}
