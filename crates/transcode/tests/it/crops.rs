//! The part of a picture that `cover` keeps.

use std::path::Path;

use tintype_model::{Fit, Focus, Format, Gravity, Recipe};

use crate::fixtures::{Jpeg, exif, full_size, one, photo, rgb_png, rgba_png};
use crate::judge::{Decoded, decoded, psnr, rendered};

fn cover(bounds: (u32, u32), gravity: Gravity) -> Recipe {
    one(|variant| {
        (variant.width, variant.height) = (Some(bounds.0), Some(bounds.1));
        (variant.fit, variant.gravity) = (Fit::Cover, gravity);
    })
}

fn cropped(source: &[u8], bounds: (u32, u32), gravity: Gravity) -> Decoded {
    decoded(&rendered(source, &cover(bounds, gravity)).files[0])
}

const RADIUS: i32 = 50;

/// A chequered red disc around (`x`, `y`) on a plain ground that is a little brighter at the top.
fn subject(size: (u32, u32), (x, y): (i32, i32)) -> Vec<u8> {
    let mut pixels = Vec::new();
    for row in 0..size.1.cast_signed() {
        for column in 0..size.0.cast_signed() {
            let (dx, dy) = (column - x, row - y);
            let ground =
                150 + u8::try_from(40 * (size.1.cast_signed() - row) / size.1.cast_signed()).unwrap();
            pixels.extend(if dx * dx + dy * dy >= RADIUS * RADIUS {
                [ground; 3]
            } else if (dx.div_euclid(8) + dy.div_euclid(8)) % 2 == 0 {
                [220, 40, 30]
            } else {
                [150, 20, 20]
            });
        }
    }
    pixels
}

/// The share of the disc that is in a crop which was scaled by `scale`, 1 for all of it.
fn share(image: &Decoded, scale: f64) -> f64 {
    let red = image
        .rgba
        .chunks_exact(4)
        .filter(|pixel| pixel[0] > 100 && pixel[1] < 90);
    red.count() as f64 / (std::f64::consts::PI * f64::from(RADIUS * RADIUS) * scale * scale)
}

#[test]
fn attention_keeps_a_subject_wherever_it_is_and_whatever_the_shape() {
    for at in [(70, 200), (530, 90), (300, 330), (180, 60)] {
        let source = rgb_png(600, 400, &subject((600, 400), at));
        for bounds in [
            (200, 200),
            (100, 200),
            (120, 240),
            (300, 100),
            (300, 75),
            (200, 260),
        ] {
            let image = cropped(&source, bounds, Gravity::Attention);
            let scale = (f64::from(bounds.0) / 600.0).max(f64::from(bounds.1) / 400.0);
            let kept = share(&image, scale);
            assert!(kept > 0.93, "{at:?} in {bounds:?}: {kept}");
        }
    }
    let source = rgb_png(600, 400, &subject((600, 400), (70, 200)));
    let centred = share(&cropped(&source, (100, 200), Gravity::Center), 0.5);
    assert!(centred < 0.01, "the centre does not show it: {centred}");
}

#[test]
fn attention_finds_the_middle_of_a_picture_without_a_subject() {
    let plain = rgb_png(300, 200, &[90; 300 * 200 * 3]);
    assert_eq!(
        cropped(&plain, (100, 100), Gravity::Attention),
        cropped(&plain, (100, 100), Gravity::Center)
    );
    let nothing = rgba_png(90, 40, &[0; 90 * 40 * 4]);
    assert_eq!(cropped(&nothing, (10, 10), Gravity::Attention).rgba, [0; 400]);
    for (width, height) in [(1, 1), (1, 900), (900, 1), (2, 3)] {
        let source = rgb_png(width, height, &photo(width, height));
        cropped(&source, (1, 1), Gravity::Attention);
        cropped(&source, (7, 5), Gravity::Attention);
    }
}

#[test]
fn attention_is_the_same_on_any_number_of_threads() {
    let source = rgb_png(500, 300, &photo(500, 300));
    let recipe = cover((50, 100), Gravity::Attention);
    let limits = tintype_model::Limits::default();
    let made = |threads| {
        let rendered = tintype_transcode::render(&source, &recipe, &limits, threads).unwrap();
        rendered.files[0].bytes.clone()
    };
    assert_eq!(made(1), made(3));
}

/// Columns of one colour each, so that the crop tells where it is.
fn columns(width: u32, height: u32) -> Vec<u8> {
    let row: Vec<u8> = (0..width)
        .flat_map(|x| [u8::try_from(255 * x / width).unwrap(); 3])
        .collect();
    row.repeat(height as usize)
}

#[test]
fn gravity_and_a_focal_point_choose_the_side() {
    let source = rgb_png(400, 100, &columns(400, 100));
    let middle = |gravity| {
        let image = cropped(&source, (100, 100), gravity);
        image.pixel(50, 50)[0]
    };
    let near = |value: u8, column: u8| assert!(value.abs_diff(column) <= 2, "{value} is not {column}");
    near(middle(Gravity::West), 32);
    near(middle(Gravity::North), 127);
    near(middle(Gravity::Southeast), 223);
    near(middle(Gravity::Focus(Focus { x: 3000, y: 0 })), 76);
    near(middle(Gravity::Focus(Focus { x: 9900, y: 0 })), 223);
}

/// The stored picture lies on its side; the point is told in the upright one.
#[test]
fn a_focal_point_is_one_of_the_upright_picture() {
    let stored = Jpeg {
        exif: Some(&exif(6, b"on its side")),
        ..Jpeg::default()
    };
    // Stored columns become rows: bright at the bottom.
    let source = stored.encode(&columns(400, 100), 400, 100);
    let upright = decoded(&rendered(&source, &full_size(&[Format::Png])).files[0]);
    assert_eq!((upright.width, upright.height), (100, 400));
    let image = cropped(&source, (100, 100), Gravity::Focus(Focus { x: 0, y: 7500 }));
    assert!(image.pixel(50, 50)[0].abs_diff(upright.pixel(50, 300)[0]) <= 2);
    assert!(
        image.pixel(50, 50)[0].abs_diff(191) <= 4,
        "{:?}",
        image.pixel(50, 50)
    );
}

/// A face left of the middle, as a part of the whole picture, looked for along the side that a crop slides on.
#[test]
fn attention_keeps_the_face_of_a_portrait() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/photos/portrait_face.jpg");
    let Ok(source) = std::fs::read(path) else { return };
    let whole = decoded(&rendered(&source, &full_size(&[Format::Png])).files[0]);
    let (left, top, side) = (262, 120, 90);
    let part = |image: &Decoded, left: u32, top: u32| {
        let rows = (top..top + side).flat_map(|y| (left..left + side).map(move |x| (x, y)));
        rows.map(|(x, y)| image.pixel(x, y)[0]).collect::<Vec<u8>>()
    };
    let face = part(&whole, left, top);
    let likeness = |bounds: (u32, u32), gravity| {
        let image = cropped(&source, bounds, gravity);
        let places: Vec<(u32, u32)> = if image.height == whole.height {
            (0..=image.width - side).map(|left| (left, top)).collect()
        } else {
            (0..=image.height - side).map(|top| (left, top)).collect()
        };
        let likeness = places
            .into_iter()
            .map(|(left, top)| psnr(&face, &part(&image, left, top)));
        likeness.fold(0.0, f64::max)
    };
    for bounds in [(700, 700), (350, 700), (280, 700), (840, 420)] {
        let best = likeness(bounds, Gravity::Attention);
        assert!(best > 30.0, "{bounds:?}: {best} dB");
    }
    let best = likeness((280, 700), Gravity::Center);
    assert!(best < 25.0, "the centre shows it too: {best} dB");
}
