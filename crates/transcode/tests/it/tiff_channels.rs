//! TIFF with channels beside its colours, in planes, in tiles, with and without a predictor, at every depth.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::fixtures::Random;
use crate::judge::{rejection, shown, told};

const SHORT: u16 = 3;
const LONG: u16 = 4;

/// The layout of a file.
#[derive(Clone, Copy, Debug)]
struct Kind {
    photometric: u32,
    colors: usize,
    extra: &'static [u32],
    bits: usize,
    is_planar: bool,
    is_tiled: bool,
    is_little: bool,
    is_big: bool,
    /// Deflate with horizontal prediction, or nothing at all.
    is_predicted: bool,
}

const WIDTH: usize = 21;
const HEIGHT: usize = 18;
const TILE: usize = 16;

const RGB: Kind = Kind {
    photometric: 2,
    colors: 3,
    extra: &[],
    bits: 8,
    is_planar: false,
    is_tiled: false,
    is_little: true,
    is_big: false,
    is_predicted: false,
};

impl Kind {
    const fn samples(&self) -> usize {
        self.colors + self.extra.len()
    }

    const fn most(&self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// A sample that is exactly a value of 8 bits.
    fn sample(&self, random: &mut Random) -> u64 {
        if self.bits < 8 {
            return u64::from(random.next()) & self.most();
        }
        let byte = u64::from(random.next() % 256);
        self.most() / 255 * byte
    }

    fn shown(&self, sample: u64) -> u8 {
        u8::try_from(sample * 255 / self.most()).unwrap()
    }

    fn order(&self, value: u64, bytes: usize) -> Vec<u8> {
        if self.is_little {
            value.to_le_bytes()[..bytes].to_vec()
        } else {
            value.to_be_bytes()[8 - bytes..].to_vec()
        }
    }

    /// One row of samples, of which `step` belong to a pixel.
    fn row(&self, samples: &[u64], step: usize) -> Vec<u8> {
        let differences: Vec<u64> = (0..samples.len())
            .map(|at| match at.checked_sub(step) {
                Some(before) if self.is_predicted => samples[at].wrapping_sub(samples[before]) & self.most(),
                _ => samples[at],
            })
            .collect();
        if self.bits >= 8 {
            let order = |&sample: &u64| self.order(sample, self.bits / 8);
            return differences.iter().flat_map(order).collect();
        }
        let mut row = vec![0u8; (differences.len() * self.bits).div_ceil(8)];
        for (at, &sample) in differences.iter().enumerate() {
            let bit = at * self.bits;
            row[bit / 8] |= u8::try_from(sample).unwrap() << (8 - self.bits - bit % 8);
        }
        row
    }

    /// The strips or tiles of some channels.
    fn chunks(&self, pixels: &[u64], channels: &[usize]) -> Vec<Vec<u8>> {
        let (width, height) = if self.is_tiled { (TILE, TILE) } else { (WIDTH, 7) };
        let mut chunks = Vec::new();
        for top in (0..HEIGHT).step_by(height) {
            for left in (0..WIDTH).step_by(width) {
                let bottom = if self.is_tiled {
                    top + height
                } else {
                    HEIGHT.min(top + height)
                };
                let mut chunk = Vec::new();
                for y in top..bottom {
                    let samples: Vec<u64> = (left..left + width)
                        .flat_map(|x| {
                            // Tiles are padded with the last pixels.
                            let at = (y.min(HEIGHT - 1) * WIDTH + x.min(WIDTH - 1)) * self.samples();
                            channels.iter().map(move |channel| pixels[at + channel])
                        })
                        .collect();
                    chunk.extend(self.row(&samples, channels.len()));
                }
                if self.is_predicted {
                    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
                    packed.write_all(&chunk).unwrap();
                    chunk = packed.finish().unwrap();
                }
                chunks.push(chunk);
            }
        }
        chunks
    }

    fn file(&self, pixels: &[u64]) -> Vec<u8> {
        let all: Vec<usize> = (0..self.samples()).collect();
        let chunks: Vec<Vec<u8>> = if self.is_planar {
            all.iter()
                .flat_map(|&channel| self.chunks(pixels, &[channel]))
                .collect()
        } else {
            self.chunks(pixels, &all)
        };
        let word = if self.is_big { 8 } else { 4 };
        let mut body = vec![0; 2 * word];
        let (mut offsets, mut lengths) = (Vec::new(), Vec::new());
        for chunk in &chunks {
            offsets.push(u32::try_from(body.len()).unwrap());
            lengths.push(u32::try_from(chunk.len()).unwrap());
            body.extend(chunk);
        }
        let number = |value: usize| u32::try_from(value).unwrap();
        let side = number(TILE);
        let mut entries = vec![
            (256u16, LONG, vec![number(WIDTH)]),
            (257, LONG, vec![number(HEIGHT)]),
            (258, SHORT, vec![number(self.bits); self.samples()]),
            (259, SHORT, vec![if self.is_predicted { 8 } else { 1 }]),
            (262, SHORT, vec![self.photometric]),
            (277, SHORT, vec![number(self.samples())]),
            (284, SHORT, vec![if self.is_planar { 2 } else { 1 }]),
            (317, SHORT, vec![if self.is_predicted { 2 } else { 1 }]),
        ];
        if self.is_tiled {
            entries.extend([
                (322, SHORT, vec![side]),
                (323, SHORT, vec![side]),
                (324, LONG, offsets),
                (325, LONG, lengths),
            ]);
        } else {
            entries.extend([(273, LONG, offsets), (278, SHORT, vec![7]), (279, LONG, lengths)]);
        }
        if !self.extra.is_empty() {
            entries.push((338, SHORT, self.extra.to_vec()));
        }
        if self.photometric == 3 {
            entries.push((320, SHORT, self.palette()));
        }
        entries.sort();
        self.assembled(body, &entries)
    }

    /// Every colour another one.
    fn palette(&self) -> Vec<u32> {
        let colors = 1u32 << self.bits;
        (0..3u32)
            .flat_map(|channel| (0..colors).map(move |at| (at * 7 + channel * 50) % 256 * 257))
            .collect()
    }

    fn assembled(&self, mut body: Vec<u8>, entries: &[(u16, u16, Vec<u32>)]) -> Vec<u8> {
        let word = if self.is_big { 8 } else { 4 };
        let start = body.len() as u64;
        let mark: &[u8] = if self.is_little { b"II" } else { b"MM" };
        let mut head = mark.to_vec();
        head.extend(self.order(if self.is_big { 43 } else { 42 }, 2));
        if self.is_big {
            head.extend(self.order(8, 2));
            head.extend([0, 0]);
        }
        head.extend(self.order(start, word));
        body[..head.len()].copy_from_slice(&head);
        body.extend(self.order(entries.len() as u64, if self.is_big { 8 } else { 2 }));
        let mut values = Vec::new();
        let behind = body.len() + entries.len() * (4 + 2 * word) + word;
        for (tag, kind, numbers) in entries {
            body.extend(self.order((*tag).into(), 2));
            body.extend(self.order((*kind).into(), 2));
            body.extend(self.order(numbers.len() as u64, word));
            let width = if *kind == SHORT { 2 } else { 4 };
            let mut bytes: Vec<u8> = numbers
                .iter()
                .flat_map(|&value| self.order(value.into(), width))
                .collect();
            if bytes.len() > word {
                body.extend(self.order((behind + values.len()) as u64, word));
                values.extend(bytes);
            } else {
                bytes.resize(word, 0);
                body.extend(bytes);
            }
        }
        body.extend(vec![0; word]);
        body.extend(values);
        body
    }

    /// The pixel that is to be seen, from its samples.
    fn expected(&self, samples: &[u64]) -> [u8; 4] {
        let seen: Vec<u8> = samples.iter().map(|&sample| self.shown(sample)).collect();
        let alpha = match self.extra.first() {
            Some(2) if self.photometric < 3 => seen[self.colors],
            _ => 255,
        };
        let [red, green, blue] = match self.photometric {
            0 => [255 - seen[0]; 3],
            1 => [seen[0]; 3],
            3 => {
                let at = usize::try_from(samples[0]).unwrap();
                let palette = self.palette();
                let colors = palette.len() / 3;
                [0, 1, 2].map(|channel| u8::try_from(palette[channel * colors + at] / 257).unwrap())
            }
            5 => [0, 1, 2].map(|ink| 255 - seen[ink]),
            _ => [seen[0], seen[1], seen[2]],
        };
        [red, green, blue, alpha]
    }

    fn check(&self) {
        let mut random = Random(11);
        let mut pixels = Vec::new();
        for _ in 0..WIDTH * HEIGHT {
            for channel in 0..self.samples() {
                // Without black ink the others can be told from the result.
                let sample = self.sample(&mut random);
                pixels.push(if self.photometric == 5 && channel == 3 {
                    0
                } else {
                    sample
                });
            }
        }
        let file = self.file(&pixels);
        let image = shown(&file);
        let expected: Vec<u8> = pixels
            .chunks_exact(self.samples())
            .flat_map(|samples| self.expected(samples))
            .collect();
        let wrong = image
            .rgba
            .iter()
            .zip(&expected)
            .position(|(one, other)| one != other);
        assert_eq!(wrong, None, "byte of the pixels of {self:?}, seed 11");
        let has_alpha = self.extra.first() == Some(&2) && self.photometric < 3;
        assert_eq!(told(&file).has_alpha, has_alpha, "{self:?}");
    }
}

/// Tiles in planes, with a predictor and a channel too many.
pub(crate) fn in_planes() -> Vec<u8> {
    let kind = Kind {
        extra: &[0],
        is_planar: true,
        is_tiled: true,
        is_predicted: true,
        ..RGB
    };
    let mut random = Random(3);
    let samples = WIDTH * HEIGHT * kind.samples();
    kind.file(&(0..samples).map(|_| kind.sample(&mut random)).collect::<Vec<_>>())
}

#[test]
fn channels_are_told_apart_in_every_layout() {
    for (photometric, colors) in [(0, 1), (1, 1), (2, 3), (3, 1), (5, 4)] {
        for extra in [&[][..], &[0], &[2], &[0, 0], &[2, 0]] {
            for bits in [1, 2, 4, 8, 16, 32] {
                for layout in 0..8 {
                    let is_predicted = layout & 1 == 1 && bits >= 8;
                    let is_palette_wrong = photometric == 3 && bits > 8;
                    if is_palette_wrong {
                        continue;
                    }
                    Kind {
                        photometric,
                        colors,
                        extra,
                        bits,
                        is_planar: layout & 2 == 2,
                        is_tiled: layout & 4 == 4,
                        is_predicted,
                        ..RGB
                    }
                    .check();
                }
            }
        }
    }
}

#[test]
fn both_byte_orders_and_big_files_are_read_in_planes_and_with_extra_channels() {
    for (is_little, is_big) in [(true, true), (false, false), (false, true)] {
        for (is_planar, is_tiled, bits) in [
            (false, false, 16),
            (true, false, 8),
            (true, true, 16),
            (true, true, 32),
        ] {
            Kind {
                is_little,
                is_big,
                is_planar,
                is_tiled,
                bits,
                extra: &[0],
                is_predicted: true,
                ..RGB
            }
            .check();
        }
    }
}

#[test]
fn colours_that_were_multiplied_with_alpha_are_divided_behind_a_predictor_too() {
    for (is_planar, is_tiled) in [(false, false), (true, false), (true, true)] {
        let kind = Kind {
            extra: &[1, 0],
            is_planar,
            is_tiled,
            is_predicted: true,
            ..RGB
        };
        let pixels = [100, 50, 25, 128, 77].repeat(WIDTH * HEIGHT);
        let image = shown(&kind.file(&pixels));
        assert_eq!(image.rgba, [199, 100, 50, 128].repeat(WIDTH * HEIGHT), "{kind:?}");
    }
}

#[test]
fn a_predictor_counts_only_with_a_compression_that_has_one() {
    for (extra, bits) in [(&[][..], 8), (&[0], 8), (&[2], 16)] {
        for (is_planar, is_tiled) in [(false, false), (true, false), (true, true)] {
            let kind = Kind {
                extra,
                bits,
                is_planar,
                is_tiled,
                ..RGB
            };
            let mut random = Random(5);
            let samples = WIDTH * HEIGHT * kind.samples();
            let pixels: Vec<u64> = (0..samples).map(|_| kind.sample(&mut random)).collect();
            let plain = kind.file(&pixels);
            let mut told = plain.clone();
            let entry = told
                .windows(4)
                .rposition(|bytes| bytes == [0x3D, 0x01, 3, 0])
                .unwrap();
            told[entry + 8] = 2;
            assert!(shown(&told) == shown(&plain), "{kind:?}, seed 5");
        }
    }
}

#[test]
fn planes_that_do_not_belong_together_are_refused() {
    let kind = Kind {
        is_planar: true,
        is_tiled: true,
        ..RGB
    };
    let pixels = vec![9; WIDTH * HEIGHT * 3];
    let mut file = kind.file(&pixels);
    // Two channels, where there are tiles for three.
    let entry = file
        .windows(4)
        .position(|bytes| bytes == [0x15, 0x01, 3, 0])
        .unwrap();
    file[entry + 8] = 5;
    let (code, detail) = rejection(&file);
    assert_eq!(code, "corrupt_image", "{detail}");
    assert!(detail.contains("planes"), "{detail}");
}

#[test]
fn files_that_are_not_read_by_choice_are_called_unsupported() {
    let pixels = vec![9; WIDTH * HEIGHT * 3];
    for (photometric, word) in [(8, "photometric"), (9, "photometric"), (6, "YCbCr")] {
        let (code, detail) = rejection(&Kind { photometric, ..RGB }.file(&pixels));
        assert_eq!(code, "unsupported_format", "{detail}");
        assert!(detail.contains(word), "{detail}");
    }
    let mut jpeg = Kind {
        extra: &[0],
        colors: 1,
        photometric: 1,
        ..RGB
    }
    .file(&pixels);
    let entry = jpeg
        .windows(4)
        .rposition(|bytes| bytes == [0x03, 0x01, 3, 0])
        .unwrap();
    jpeg[entry + 8] = 7;
    let (code, detail) = rejection(&jpeg);
    assert_eq!(code, "unsupported_format", "{detail}");
    let mut silent = RGB.file(&pixels);
    let entry = silent
        .windows(4)
        .rposition(|bytes| bytes == [0x06, 0x01, 3, 0])
        .unwrap();
    silent[entry] = 7;
    let (code, detail) = rejection(&silent);
    assert_eq!(code, "unsupported_format", "{detail}");
    assert!(detail.contains("photometric"), "{detail}");
    let mut mixed = RGB.file(&pixels);
    // The bits of the three channels are 8, 8 and 8.
    let at = mixed
        .windows(6)
        .rposition(|bytes| bytes == [8, 0, 8, 0, 8, 0])
        .unwrap();
    mixed[at + 2] = 4;
    let (code, detail) = rejection(&mixed);
    assert_eq!(code, "unsupported_format", "{detail}");
}
