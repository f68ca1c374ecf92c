//! JPEGs that break a rule of T.81 and that libjpeg shows all the same, and every sampling that it reads.

use mozjpeg::{ColorSpace, Compress, Decompress};

use crate::fixtures::photo;
use crate::judge::{psnr, rejection, shown, told};

const WIDTH: u32 = 83;
const HEIGHT: u32 = 61;

/// As many components as there are sampling factors: grey, YCbCr or CMYK.
fn encoded(factors: &[(i32, i32)], is_progressive: bool) -> Vec<u8> {
    let rgb = photo(WIDTH, HEIGHT);
    let (space, pixels) = match factors.len() {
        1 => (
            ColorSpace::JCS_GRAYSCALE,
            rgb.chunks_exact(3).map(|p| p[1]).collect(),
        ),
        3 => (ColorSpace::JCS_RGB, rgb),
        _ => {
            let inks = rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 200]);
            (ColorSpace::JCS_CMYK, inks.collect::<Vec<u8>>())
        }
    };
    let mut jpeg = Compress::new(space);
    jpeg.set_size(WIDTH as usize, HEIGHT as usize);
    jpeg.set_fastest_defaults();
    jpeg.set_quality(95.0);
    if is_progressive {
        jpeg.set_progressive_mode();
    }
    for (component, &(horizontal, vertical)) in jpeg.components_mut().iter_mut().zip(factors) {
        component.h_samp_factor = horizontal;
        component.v_samp_factor = vertical;
    }
    let mut jpeg = jpeg.start_compress(Vec::new()).unwrap();
    jpeg.write_scanlines(&pixels).unwrap();
    jpeg.finish().unwrap()
}

/// The pixels as libjpeg decodes them.
fn reference(jpeg: &[u8]) -> Vec<u8> {
    let mut started = Decompress::new_mem(jpeg).unwrap().rgb().unwrap();
    let pixels = started.read_scanlines::<u8>().unwrap();
    started.finish().unwrap();
    pixels
}

/// Each segment up to the first scan, and everything from there on.
#[derive(Clone)]
struct Parts {
    segments: Vec<(u8, Vec<u8>)>,
    scan: Vec<u8>,
}

impl Parts {
    fn of(jpeg: &[u8]) -> Self {
        let (mut segments, mut at) = (Vec::new(), 2);
        while jpeg[at + 1] != 0xDA {
            let length = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
            segments.push((jpeg[at + 1], jpeg[at + 4..at + 2 + length].to_vec()));
            at += 2 + length;
        }
        Self {
            segments,
            scan: jpeg[at..].to_vec(),
        }
    }

    fn file(&self) -> Vec<u8> {
        let mut file = vec![0xFF, 0xD8];
        for (marker, content) in &self.segments {
            file.extend([0xFF, *marker]);
            file.extend(u16::try_from(content.len() + 2).unwrap().to_be_bytes());
            file.extend(content);
        }
        file.extend(&self.scan);
        file
    }

    fn without(mut self, marker: u8) -> Self {
        self.segments.retain(|(found, _)| *found != marker);
        self
    }

    fn with_first(mut self, marker: u8, content: &[u8]) -> Self {
        self.segments.insert(0, (marker, content.to_vec()));
        self
    }

    fn adobe(self, transform: u8) -> Self {
        let content = [&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat();
        self.without(0xEE).with_first(0xEE, &content)
    }

    /// Names the components, in the frame and in a scan of all of them.
    fn named(mut self, ids: &[u8]) -> Self {
        let frame = self
            .segments
            .iter_mut()
            .find(|(marker, _)| matches!(marker, 0xC0..=0xC2));
        let (_, content) = frame.unwrap();
        for (place, &id) in ids.iter().enumerate() {
            content[6 + 3 * place] = id;
            self.scan[5 + 2 * place] = id;
        }
        self
    }

    /// Spectral selection and approximation of a scan of three components.
    fn scanned_by(mut self, parameters: [u8; 3]) -> Self {
        let at = 5 + 2 * usize::from(self.scan[4]);
        self.scan[at..at + 3].copy_from_slice(&parameters);
        self
    }
}

/// A baseline JPEG as webcams write its frames.
pub(crate) fn without_tables() -> Vec<u8> {
    Parts::of(&encoded(&[(2, 1), (1, 1), (1, 1)], false))
        .without(0xC4)
        .file()
}

#[test]
fn every_sampling_that_libjpeg_reads_looks_as_it_does_there() {
    let mut read = 0;
    for luma in 0x11..=0x44 {
        for chroma in [0x11, 0x12, 0x21, 0x22, 0x13, 0x31, 0x14, 0x41, 0x42, 0x24] {
            for other in [chroma, 0x11] {
                let factors = [luma, chroma, other].map(|factor: i32| (factor >> 4, factor & 15));
                // The encoder wants one component at least without a factor.
                let is_written =
                    |pick: fn(&(i32, i32)) -> i32| factors.iter().any(|factor| pick(factor) == 1);
                let divides = |pick: fn(&(i32, i32)) -> i32| {
                    let most = factors.iter().map(pick).max().unwrap();
                    factors
                        .iter()
                        .all(|factor| pick(factor) > 0 && most % pick(factor) == 0)
                };
                let blocks: i32 = factors.iter().map(|(one, two)| one * two).sum();
                let is_read = divides(|f| f.0) && divides(|f| f.1) && blocks <= 10;
                if luma & 15 > 4 || !is_read || !is_written(|f| f.0) || !is_written(|f| f.1) {
                    continue;
                }
                for is_progressive in [false, true] {
                    let source = encoded(&factors, is_progressive);
                    let psnr = psnr(&shown(&source).rgb(), &reference(&source));
                    // Decoders differ in how they spread chroma.
                    assert!(
                        psnr > 30.0,
                        "{factors:?}, progressive {is_progressive}: {psnr} dB"
                    );
                    read += 1;
                }
            }
        }
    }
    assert!(read > 60, "{read}");
}

#[test]
fn a_single_component_has_no_sampling() {
    let plain = shown(&encoded(&[(1, 1)], false));
    for factors in [0x12, 0x21, 0x22, 0x33, 0x31, 0x44] {
        let mut parts = Parts::of(&encoded(&[(1, 1)], false));
        let frame = parts
            .segments
            .iter_mut()
            .find(|(marker, _)| *marker == 0xC0)
            .unwrap();
        frame.1[7] = factors;
        let psnr = psnr(&shown(&parts.file()).rgb(), &plain.rgb());
        assert!(psnr > 38.0, "{factors:x}: {psnr} dB");
    }
}

#[test]
fn ink_of_unusual_sampling_is_read() {
    let plain = shown(&encoded(&[(1, 1); 4], false));
    for factors in [
        [(2, 1), (1, 1), (1, 1), (2, 1)],
        [(1, 2), (1, 1), (1, 1), (1, 2)],
        [(3, 1), (1, 1), (1, 1), (3, 1)],
        [(1, 1), (2, 1), (2, 1), (1, 1)],
    ] {
        let psnr = psnr(&shown(&encoded(&factors, false)).rgb(), &plain.rgb());
        assert!(psnr > 20.0, "{factors:?}: {psnr} dB");
    }
}

#[test]
fn scan_parameters_of_a_sequential_file_do_not_matter() {
    for factors in [[(1, 1); 3], [(2, 2), (1, 1), (1, 1)]] {
        let parts = Parts::of(&encoded(&factors, false));
        let plain = shown(&parts.file());
        for parameters in [
            [0, 64, 1],
            [1, 63, 0],
            [0, 0, 0],
            [0, 63, 0x10],
            [255, 255, 255],
            [63, 0, 0xFD],
        ] {
            let image = shown(&parts.clone().scanned_by(parameters).file());
            let psnr = psnr(&image.rgb(), &plain.rgb());
            // Another decoder, with another way to spread chroma.
            assert!(psnr > 38.0, "{parameters:?}, {factors:?}: {psnr} dB");
        }
    }
}

#[test]
fn huffman_tables_that_are_missing_are_the_standard_ones() {
    for factors in [
        &[(1, 1)][..],
        &[(1, 1); 3],
        &[(2, 1), (1, 1), (1, 1)],
        &[(1, 1); 4],
    ] {
        let parts = Parts::of(&encoded(factors, false));
        let plain = shown(&parts.file()).rgb();
        let tables: Vec<(u8, Vec<u8>)> = parts
            .segments
            .iter()
            .filter(|(marker, _)| *marker == 0xC4)
            .cloned()
            .collect();
        let bare = parts.clone().without(0xC4);
        let motion = bare
            .clone()
            .without(0xE0)
            .with_first(0xE0, b"AVI1\0\0\0\0\0\0\0\0\0\0");
        let mut files = vec![("none", bare.file()), ("of a film", motion.file())];
        for table in &tables {
            files.push(("one", bare.clone().with_first(table.0, &table.1).file()));
        }
        for (name, file) in files {
            let psnr = psnr(&shown(&file).rgb(), &plain);
            assert!(psnr > 38.0, "{name} of {factors:?}: {psnr} dB");
        }
    }
    let (code, detail) = rejection(&Parts::of(&encoded(&[(1, 1); 3], true)).without(0xC4).file());
    assert_eq!(code, "corrupt_image", "{detail}");
}

#[test]
fn components_of_the_same_name_are_taken_in_their_order() {
    for factors in [[(1, 1); 3], [(2, 2), (1, 1), (1, 1)]] {
        let parts = Parts::of(&encoded(&factors, false));
        let plain = shown(&parts.file()).rgb();
        for ids in [[1, 1, 1], [0, 0, 0], [1, 2, 2], [7, 7, 9], [0, 1, 0]] {
            let psnr = psnr(&shown(&parts.clone().named(&ids).file()).rgb(), &plain);
            assert!(psnr > 38.0, "{ids:?}: {psnr} dB");
        }
    }
    // Scans of single components cannot be told apart.
    let (code, detail) = rejection(&Parts::of(&encoded(&[(1, 1); 3], true)).named(&[1, 1, 1]).file());
    assert_eq!(code, "unsupported_format", "{detail}");
}

/// The choice between YCbCr and RGB, judged by libjpeg.
#[test]
fn the_colour_model_is_the_one_of_libjpeg() {
    let parts = Parts::of(&encoded(&[(1, 1); 3], false));
    let without_jfif = parts.clone().without(0xE0);
    let mut variants = vec![("JFIF", parts.clone()), ("nothing", without_jfif.clone())];
    for transform in [0, 1, 2, 7] {
        variants.push(("JFIF and Adobe", parts.clone().adobe(transform)));
        variants.push(("Adobe", without_jfif.clone().adobe(transform)));
        variants.push((
            "Adobe and RGB",
            without_jfif.clone().adobe(transform).named(b"RGB"),
        ));
    }
    variants.push(("RGB", without_jfif.clone().named(b"RGB")));
    variants.push(("JFIF and RGB", parts.clone().named(b"RGB")));
    variants.push(("other names", without_jfif.named(&[5, 6, 7])));
    for (name, variant) in variants {
        let file = variant.file();
        let psnr = psnr(&shown(&file).rgb(), &reference(&file));
        assert!(psnr > 36.0, "{name}: {psnr} dB");
    }
    // As large as that is the mistake.
    let (ycbcr, rgb) = (
        shown(&parts.file()),
        shown(&parts.clone().without(0xE0).adobe(0).file()),
    );
    assert!(psnr(&ycbcr.rgb(), &rgb.rgb()) < 20.0);
}

#[test]
fn a_transform_that_adobe_never_named_is_the_usual_one_for_ink() {
    let parts = Parts::of(&encoded(&[(1, 1); 4], false));
    let shown_by = |transform| shown(&parts.clone().adobe(transform).file()).rgb();
    assert_eq!(told(&parts.file()).color_space, "cmyk");
    for transform in [1, 3, 9] {
        assert!(psnr(&shown_by(transform), &shown_by(2)) > 36.0, "{transform}");
    }
    assert!(psnr(&shown_by(0), &shown_by(2)) < 25.0);
}
