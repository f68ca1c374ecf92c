//! The HEIC files of the corpus, against what libheif 1.23.6 with libde265 makes of them.
#![cfg(feature = "heic")]

use tintype_model::Format;

use crate::corpus::corpus;
use crate::fixtures::full_size;
use crate::judge::{decoded, rendered};

/// Size, and the mean colours of three by three parts, in rows; in sRGB by LittleCMS, on white.
#[expect(clippy::type_complexity, reason = "a table is read as it is")]
const LIBHEIF: [(&str, (u32, u32), [[u8; 3]; 9]); 6] = [
    (
        "alpha.heic",
        (720, 480),
        [
            [232, 235, 234],
            [147, 158, 155],
            [255, 255, 255],
            [175, 179, 178],
            [118, 102, 96],
            [242, 242, 241],
            [231, 233, 233],
            [175, 173, 168],
            [255, 255, 255],
        ],
    ),
    (
        "generated_1000px.heic",
        (1000, 667),
        [
            [131, 155, 93],
            [226, 237, 201],
            [247, 250, 241],
            [80, 102, 33],
            [131, 154, 34],
            [168, 187, 59],
            [62, 84, 12],
            [77, 97, 12],
            [77, 93, 11],
        ],
    ),
    (
        "immich_iphone_IMG_2682.heic",
        (4032, 3024),
        [
            [114, 130, 142],
            [69, 86, 100],
            [78, 98, 113],
            [60, 78, 85],
            [57, 70, 74],
            [46, 61, 68],
            [89, 93, 83],
            [80, 81, 72],
            [63, 75, 80],
        ],
    ),
    (
        "iphone_24mp.heic",
        (5712, 4284),
        [
            [141, 123, 101],
            [145, 132, 113],
            [145, 138, 131],
            [144, 133, 117],
            [49, 45, 40],
            [125, 114, 99],
            [117, 78, 47],
            [119, 85, 53],
            [132, 92, 57],
        ],
    ),
    (
        "libheif_example.heic",
        (1280, 854),
        [
            [146, 171, 200],
            [158, 200, 241],
            [124, 153, 183],
            [123, 116, 105],
            [138, 126, 105],
            [159, 140, 100],
            [66, 67, 58],
            [86, 75, 44],
            [103, 91, 56],
        ],
    ),
    (
        "rainbow-451x461.heic",
        (451, 461),
        [
            [206, 116, 254],
            [170, 173, 255],
            [131, 224, 252],
            [255, 162, 210],
            [247, 238, 235],
            [172, 255, 203],
            [255, 142, 117],
            [251, 236, 163],
            [168, 255, 117],
        ],
    ),
];

fn mean(
    pixels: &[[u8; 4]],
    width: usize,
    (left, right): (usize, usize),
    (top, bottom): (usize, usize),
) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for row in pixels.chunks_exact(width).take(bottom).skip(top) {
        for pixel in &row[left..right] {
            let alpha = f64::from(pixel[3]) / 255.0;
            for (sum, &value) in sum.iter_mut().zip(pixel) {
                *sum += f64::from(value) * alpha + 255.0 * (1.0 - alpha);
            }
        }
    }
    let count = ((right - left) * (bottom - top)) as f64;
    sum.map(|sum| sum / count)
}

#[test]
fn the_heic_files_of_the_corpus_look_as_libheif_sees_them() {
    let Some(corpus) = corpus() else { return };
    for (name, size, parts) in LIBHEIF {
        let source = std::fs::read(corpus.join("heic").join(name)).unwrap();
        let image = decoded(&rendered(&source, &full_size(&[Format::Png])).files[0]);
        assert_eq!((image.width, image.height), size, "{name}");
        let (width, height) = (size.0 as usize, size.1 as usize);
        let (pixels, _) = image.rgba.as_chunks::<4>();
        for (number, expected) in parts.iter().enumerate() {
            let span = |place: usize, whole: usize| (place * whole / 3, (place + 1) * whole / 3);
            let seen = mean(pixels, width, span(number % 3, width), span(number / 3, height));
            for (seen, &want) in seen.iter().zip(expected) {
                assert!(
                    (seen - f64::from(want)).abs() < 1.5,
                    "{name}, part {number}: {seen:.1} for {want}"
                );
            }
        }
    }
}

/// Pictures of `../shared/field` in 4:2:2 and 4:4:4, against what libheif makes of them.
#[test]
fn pictures_with_more_colour_look_as_libheif_sees_them() {
    let field = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/field");
    for (name, reference) in [
        ("h17a_422_8bit_q80.heic", "H17a.png"),
        ("h17c_422_10bit.heic", "H17c.png"),
        ("h18b_444_10bit.heic", "H18b.png"),
    ] {
        let (Ok(source), Ok(reference)) = (
            std::fs::read(field.join(name)),
            std::fs::read(field.join("refs").join(reference)),
        ) else {
            continue;
        };
        let seen = crate::judge::shown(&source);
        let expected = crate::judge::shown(&reference);
        assert_eq!(
            (seen.width, seen.height),
            (expected.width, expected.height),
            "{name}"
        );
        let psnr = crate::judge::psnr(&seen.rgb(), &expected.rgb());
        assert!(psnr > 34.0, "{name}: {psnr} dB");
    }
}
