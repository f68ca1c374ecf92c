use super::*;

/// Soft shades with some texture, and alpha that is 255 in one half and falls in the other.
fn picture(width: u32, height: u32, channels: usize) -> Picture {
    let byte = |value: u32| u8::try_from(value % 256).unwrap();
    let pixels = (0..width * height).flat_map(|at| {
        let (x, y) = (at % width, at / width);
        let texture = (x * 7 + y * 13) % 9;
        let color = [x + texture, y + 60 + texture, (x + y) / 2 + texture];
        let alpha = if x < width / 2 { 255 } else { 255 - y };
        [byte(color[0]), byte(color[1]), byte(color[2]), byte(alpha)]
            .into_iter()
            .take(channels)
    });
    picture_of(width, height, channels, pixels.collect())
}

fn picture_of(width: u32, height: u32, channels: usize, data: Vec<u8>) -> Picture {
    Picture {
        size: Dimensions { width, height },
        has_alpha: channels == 4,
        space: Space::Srgb,
        data,
    }
}

/// The settings of the colours, with the decoded result kept.
fn of_color(quality: u8) -> ItemSettings {
    ItemSettings {
        speed: SPEED,
        is_drawn: false,
        quantizer: quantizer(quality),
        space: Some(Space::Srgb),
        show: true,
    }
}

fn decoded(file: &[u8]) -> Vec<u8> {
    let image = avif_decode::Decoder::from_avif(file).unwrap().to_image().unwrap();
    match image {
        avif_decode::Image::Rgb8(image) => image.pixels().flat_map(|p| [p.r, p.g, p.b]).collect(),
        avif_decode::Image::Rgba8(image) => image.pixels().flat_map(|p| [p.r, p.g, p.b, p.a]).collect(),
        _ => panic!("neither RGB nor RGBA"),
    }
}

#[test]
fn the_shown_picture_is_the_one_of_another_decoder() {
    for (channels, chroma) in [
        (3, Chroma::Halved),
        (3, Chroma::Full),
        (4, Chroma::Halved),
        (4, Chroma::Full),
    ] {
        // Odd sides, so that the last colours stand for less than four pixels.
        let picture = Arc::new(picture(161, 121, channels));
        let usual = super::super::StillSettings::usual(40, picture.size.pixels());
        let settings = super::super::StillSettings { chroma, ..usual };
        let made = encode(Arc::clone(&picture), &settings, true).unwrap();
        let shown = made.shown.unwrap();
        let seen = decoded(&made.file.bytes);
        assert_eq!(seen.len(), shown.data.len());
        let squares: f64 = seen
            .iter()
            .zip(&shown.data)
            .map(|(&one, &other)| (f64::from(one) - f64::from(other)).powi(2))
            .sum();
        let psnr = 10.0 * (255.0 * 255.0 * seen.len() as f64 / squares.max(1e-9)).log10();
        // The other decoder repeats halved colours instead of interpolating them.
        assert!(psnr > 46.0, "{channels} channels, {chroma:?}: {psnr} dB");
    }
}

/// The least tile of `side` pixels a side.
fn sides(side: u32) -> LeastTile {
    LeastTile { side, area: 1 }
}

fn in_tiles(planes: Planes, settings: ItemSettings, least: LeastTile) -> EncodedFrame {
    let size = planes.size();
    let item = Item {
        planes,
        settings,
        tiled: Some(TiledFrame::new(size, least).expect("more than one tile")),
    };
    let frames = (0..item.frame_count()).map(|number| item.encode(number).unwrap());
    let frames: Vec<_> = frames.collect();
    let written: Vec<&[u8]> = frames.iter().map(|frame| frame.units.as_slice()).collect();
    let joined = item.tiled.as_ref().unwrap().join(&written);
    assert!(
        joined.is_some(),
        "{size:?}, quantizer {}: tiles do not fit",
        item.settings.quantizer
    );
    item.finish(frames).unwrap()
}

/// The file with those colours, and the picture that decoders see.
fn colored(picture: &Picture, quality: u8, chroma: Chroma, least: LeastTile) -> (Vec<u8>, Picture) {
    let planes = Planes::of_shared(picture, Range::Full, chroma).unwrap();
    let made = in_tiles(planes, of_color(quality), least);
    let file = container(picture.size, chroma, Space::Srgb, &made.units, None).unwrap();
    (file, made.shown.unwrap().to_picture().unwrap())
}

#[test]
fn tiles_make_one_picture_without_seams() {
    // Soft everywhere, so that the error depends on the place alone.
    let soft = |width: u32, height: u32| {
        let wave = |at: u32| u8::try_from((at % 400).abs_diff(200)).unwrap();
        let pixels = (0..width * height).flat_map(|at| {
            let (x, y) = (at % width, at / width);
            let texture = (x * 7 + y * 13) % 9;
            [wave(x + texture), wave(y + texture), wave(x / 2 + y + texture)]
        });
        picture_of(width, height, 3, pixels.collect())
    };
    // Tiles of one superblock and of several, last ones of a single row or column, and many in a row.
    for (width, height, chroma, least) in [
        (161, 200, Chroma::Halved, 1),
        (193, 193, Chroma::Full, 1),
        (640, 481, Chroma::Halved, 180),
        (4000, 150, Chroma::Halved, 1),
        (150, 1000, Chroma::Halved, 100),
    ] {
        let picture = soft(width, height);
        let (file, shown) = colored(&picture, 60, chroma, sides(least));
        let seen = decoded(&file);
        assert_eq!(seen.len(), shown.data.len(), "{width}×{height}");
        // The mean error of each row and column: where tiles meet and end it is what it is elsewhere.
        let (columns, rows) = (width as usize, height as usize);
        let mut of_columns = vec![0.0; columns];
        let mut of_rows = vec![0.0; rows];
        let pixels = seen.chunks(3).zip(picture.data.chunks(3));
        for (at, (seen, given)) in pixels.enumerate() {
            let pairs = seen.iter().zip(given);
            let sum: f64 = pairs.map(|(&one, &other)| f64::from(one.abs_diff(other))).sum();
            of_columns[at % columns] += sum / rows as f64;
            of_rows[at / columns] += sum / columns as f64;
        }
        for (errors, what) in [(of_columns, "column"), (of_rows, "row")] {
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            for (at, error) in errors.iter().enumerate() {
                assert!(
                    *error < 3.0 * mean + 1.0,
                    "{width}×{height} {what} {at}: {error}, {mean} elsewhere"
                );
            }
        }
    }
}

/// From the top: nothing, noise, soft shades, more noise on the right.
fn mixed(width: u32, height: u32) -> Picture {
    let mut random = width * height;
    let pixels = (0..width * height).flat_map(|at| {
        let (x, y) = (at % width, at / width);
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = random >> 24;
        let value = match y / 64 {
            0 => 200,
            1 => noise,
            2 => 40 + x / 2,
            _ => (x + noise * x / width / 2).min(255),
        };
        [u8::try_from(value.min(255)).unwrap(); 3]
    });
    picture_of(width, height, 3, pixels.collect())
}

#[test]
fn tiles_fit_together_whatever_is_in_them() {
    // Sides end everywhere in a square of 64.
    let ends = [1u32, 8, 16, 23, 24, 32, 40, 48, 56, 57, 64];
    for (across, down) in ends
        .into_iter()
        .flat_map(|across| ends.map(|down| (across, down)))
    {
        let picture = mixed(128 + across, 192 + down);
        for quality in [5, 40, 65, 90] {
            let chroma = if (across + down).is_multiple_of(3) {
                Chroma::Full
            } else {
                Chroma::Halved
            };
            // Tiles with a side of 16 pixels do not fit: libaom treats them otherwise.
            let (file, _) = colored(&picture, quality, chroma, sides(17));
            assert_eq!(
                decoded(&file).len(),
                picture.data.len(),
                "{across}, {down}, {quality}"
            );
        }
    }
}

#[test]
fn tiles_with_wide_margins_fit_together_too() {
    // Tiles of two and more superblocks a side, of which the last ones lack a good deal of the area.
    let least = LeastTile {
        side: 100,
        area: 18_700,
    };
    let ends = [40u32, 48, 56, 60, 64, 96];
    for (across, down) in ends
        .into_iter()
        .flat_map(|across| ends.map(|down| (across, down)))
    {
        let picture = mixed(320 + across, 320 + down);
        for quality in [30, 65] {
            let (file, _) = colored(&picture, quality, Chroma::Halved, least);
            let pixels = decoded(&file).len();
            assert_eq!(pixels, picture.data.len(), "{across}, {down}, {quality}");
        }
    }
}

/// Strokes in two colours, with a plain part and one of soft shades.
fn drawn(width: u32, height: u32) -> Picture {
    let mut random = width ^ height;
    let pixels = (0..width * height).flat_map(|at| {
        let (x, y) = (at % width, at / width);
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match (x / 150 + y / 130) % 4 {
            0 => [250; 3],
            1 => [u8::try_from((x / 2 + y / 3) % 256).unwrap(), 90, 160],
            _ if y % 16 < 9 && (x * 7 + y / 16 * 5 + random % 2) % 11 < 3 => [20, 20, 90],
            _ => [255; 3],
        }
    });
    picture_of(width, height, 3, pixels.collect())
}

#[test]
fn tiles_of_drawings_fit_together_too() {
    let least = LeastTile {
        side: 100,
        area: 18_700,
    };
    for (across, down) in [(40u32, 48), (56, 60), (64, 96), (96, 64), (1, 23), (8, 40)] {
        let picture = drawn(320 + across, 320 + down);
        for quality in [30, 65, 90] {
            let planes = Planes::of_shared(&picture, Range::Full, Chroma::Full).unwrap();
            let settings = ItemSettings {
                speed: DRAWN_SPEED,
                is_drawn: true,
                ..of_color(quality)
            };
            let made = in_tiles(planes, settings, least);
            let file = container(picture.size, Chroma::Full, Space::Srgb, &made.units, None).unwrap();
            let shown = made.shown.unwrap().to_picture().unwrap();
            let seen = decoded(&file);
            assert_eq!(seen.len(), shown.data.len());
            let pairs = seen.iter().zip(&shown.data);
            let far = pairs.filter(|(one, other)| one.abs_diff(**other) > 32).count();
            assert!(
                far * 100 < seen.len(),
                "{across}, {down}, {quality}: {far} of {}",
                seen.len()
            );
        }
    }
}

#[test]
fn alpha_is_put_together_from_tiles_too() {
    let picture = picture(161, 200, 4);
    let of_alpha = ItemSettings {
        quantizer: alpha_quantizer(60),
        space: None,
        ..of_color(60)
    };
    let mut planes = Planes::of_shared(&picture, Range::Full, Chroma::Halved).unwrap();
    let alpha = planes.alpha.take().unwrap();
    let made = in_tiles(
        Planes::of_luma(alpha.clone(), 161, 200, Chroma::Halved),
        of_alpha,
        sides(1),
    );
    let color = in_tiles(planes, of_color(ALPHA_QUALITY), sides(1));
    let (color, tiles) = (&color.units, Some(made.units.as_slice()));
    let file = container(picture.size, Chroma::Halved, Space::Srgb, color, tiles).unwrap();
    let avif_decode::Image::Rgba8(image) = avif_decode::Decoder::from_avif(&file)
        .unwrap()
        .to_image()
        .unwrap()
    else {
        panic!("no alpha");
    };
    for ((seen, shown), given) in image.pixels().zip(&made.shown.unwrap().y).zip(alpha) {
        assert!(
            seen.a.abs_diff(*shown) < 8 && seen.a.abs_diff(given) < 16,
            "{} {shown} {given}",
            seen.a
        );
    }
}

#[test]
fn qualities_with_the_same_quantizer_are_one() {
    for quality in 1..=100 {
        let lowest = canonical(quality);
        assert_eq!(quantizer(lowest), quantizer(quality));
        assert!(lowest <= quality && (lowest == 1 || quantizer(lowest - 1) != quantizer(quality)));
    }
}

/// Plain on the left, noise on the right.
fn halves(width: u32, height: u32) -> Picture {
    let mut random = 1u32;
    let pixels = (0..width * height).flat_map(|at| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let is_plain = at % width < width / 2;
        [if is_plain { 200 } else { random.to_be_bytes()[0] }; 3]
    });
    picture_of(width, height, 3, pixels.collect())
}

#[test]
fn a_picture_whose_tiles_do_not_fit_together_is_encoded_at_once_and_says_so() {
    // The first ends in the middle of a superblock both ways, so that no padding makes its tiles alike.
    for (height, expected) in [(1312, Some(Tiles::Refused)), (1300, None)] {
        let picture = Arc::new(halves(1504, height));
        assert_eq!(frames_of(&picture), 2);
        let settings = super::super::StillSettings::usual(65, picture.size.pixels());
        let made = encode(Arc::clone(&picture), &settings, false).unwrap().file;
        assert_eq!(made.tiles, expected, "{height} rows");
        assert_eq!(decoded(&made.bytes).len(), picture.data.len());
    }
}

#[test]
fn a_picture_is_refused_when_its_alpha_alone_is() {
    for is_damaged in [false, true] {
        let colors = halves(1504, 1300);
        let pixels = colors.data.chunks(3).flat_map(|pixel| [100, 150, 200, pixel[0]]);
        let picture = Arc::new(picture_of(1504, 1300, 4, pixels.collect()));
        let settings = super::super::StillSettings::usual(65, picture.size.pixels());
        let encoder = StillEncoder::new(Arc::clone(&picture), &settings, false).unwrap();
        let mut frames: Vec<EncodedFrame> = (0..encoder.frame_count())
            .map(|number| encoder.encode(number).unwrap())
            .collect();
        assert_eq!(frames.len(), 4);
        if is_damaged {
            frames[3].units.clear();
        }
        let made = encoder.finish(frames).unwrap().file;
        assert_eq!(made.tiles, is_damaged.then_some(Tiles::Refused));
        assert_eq!(decoded(&made.bytes).len(), picture.data.len());
    }
}
