//! Transparency: kept where the format has it, flattened where it has not, without fringes.

use tintype_model::{Format, Recipe, Rgb};

use crate::fixtures::{full_size, one, photo, rgba_png};
use crate::judge::{Decoded, decoded, rendered};

/// An orange disc with a soft edge; what is invisible is black, as most programs leave it.
fn disc(side: u32) -> Vec<u8> {
    let middle = f64::from(side) / 2.0;
    let mut pixels = Vec::new();
    for y in 0..side {
        for x in 0..side {
            let distance = (f64::from(x) + 0.5 - middle).hypot(f64::from(y) + 0.5 - middle);
            let alpha = crate::fixtures::byte((middle * 0.8 - distance + 0.5) * 255.0);
            let color = if alpha == 0 { [0, 0, 0] } else { [255, 140, 0] };
            pixels.extend([color[0], color[1], color[2], alpha]);
        }
    }
    pixels
}

/// The colour that each visible pixel has, which must be the disc's everywhere.
fn assert_no_fringe(image: &Decoded, tolerance: u8, message: &str) {
    for pixel in image.rgba.chunks_exact(4).filter(|pixel| pixel[3] > 24) {
        let off = [255, 140, 0]
            .iter()
            .zip(pixel)
            .map(|(want, got): (&u8, &u8)| want.abs_diff(*got))
            .max();
        assert!(off.unwrap() <= tolerance, "{message}: {pixel:?}");
    }
}

#[test]
fn edges_have_no_dark_fringe_in_any_format_and_size() {
    let source = rgba_png(240, 240, &disc(240));
    for side in [240, 160, 60, 37] {
        let recipe = one(|variant| {
            variant.width = Some(side);
            variant.formats = vec![Format::Avif, Format::Webp, Format::Png];
        });
        for file in rendered(&source, &recipe).files {
            let image = decoded(&file);
            let tolerance = if file.format == Format::Png { 6 } else { 24 };
            assert_no_fringe(&image, tolerance, &format!("{:?} at {side}", file.format));
            assert_eq!(image.pixel(0, 0)[3], 0, "{:?}", file.format);
            assert!(image.pixel(side / 2, side / 2)[3] >= 252, "{:?}", file.format);
        }
    }
}

#[test]
fn alpha_keeps_its_values() {
    let side = 128;
    let pixels: Vec<u8> = photo(side, side)
        .chunks_exact(3)
        .enumerate()
        .flat_map(|(at, pixel)| [pixel[0], pixel[1], pixel[2], u8::try_from(at % 128 * 2).unwrap()])
        .collect();
    let source = rgba_png(side, side, &pixels);
    let rendered = rendered(&source, &full_size(&[Format::Avif, Format::Webp, Format::Png]));
    assert!(rendered.image.has_alpha);
    for file in rendered.files {
        let image = decoded(&file);
        let worst = image
            .rgba
            .chunks_exact(4)
            .zip(pixels.chunks_exact(4))
            .map(|(got, want)| got[3].abs_diff(want[3]))
            .max()
            .unwrap();
        let tolerance = if file.format == Format::Avif { 3 } else { 0 };
        assert!(worst <= tolerance, "{:?} is off by {worst}", file.format);
    }
}

#[test]
fn jpeg_shows_the_background_where_the_source_is_transparent() {
    let mut recipe = full_size(&[Format::Jpeg]);
    recipe.background = Rgb([20, 200, 90]);
    let image = decoded(&rendered(&rgba_png(64, 64, &disc(64)), &recipe).files[0]);
    for (at, want) in [((1, 1), [20, 200, 90]), ((32, 32), [255, 140, 0])] {
        let got = image.pixel(at.0, at.1);
        assert!(
            (0..3).all(|channel| got[channel].abs_diff(want[channel]) <= 8),
            "{got:?}"
        );
    }
}

#[test]
fn alpha_that_hides_nothing_costs_nothing() {
    let opaque: Vec<u8> = photo(50, 40)
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], 255])
        .collect();
    let with = rendered(&rgba_png(50, 40, &opaque), &Recipe::default());
    let without = rendered(
        &crate::fixtures::rgb_png(50, 40, &photo(50, 40)),
        &Recipe::default(),
    );
    for (with, without) in with.files.iter().zip(&without.files) {
        assert!(with.bytes == without.bytes, "{:?}", with.format);
    }
}

#[test]
fn contain_pads_a_cut_out_with_transparency() {
    let recipe = one(|variant| {
        (variant.width, variant.height) = (Some(100), Some(50));
        variant.fit = tintype_model::Fit::Contain;
        variant.formats = vec![Format::Png, Format::Jpeg];
    });
    let files = rendered(&rgba_png(64, 64, &disc(64)), &recipe).files;
    assert_eq!(decoded(&files[0]).pixel(2, 25), [0; 4]);
    assert!(
        decoded(&files[1]).pixel(2, 25)[..3]
            .iter()
            .all(|&value| value >= 250)
    );
}
