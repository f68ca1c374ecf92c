//! AVIF and HEIC as sources, with the operations that their containers ask for.

use crate::container::{self, Heif, Item, boxed, full, streams};
use crate::fixtures::{self, photo};
use crate::judge::{Decoded, psnr, shown, told};

const WIDTH: u32 = 96;
const HEIGHT: u32 = 64;

fn stream(width: u32, height: u32) -> Vec<u8> {
    streams(width, height, &photo(width, height)).remove(0)
}

/// One picture with properties beside its size.
fn with(more: &[Vec<u8>]) -> Vec<u8> {
    Heif::avif(vec![Item::picture((WIDTH, HEIGHT), &stream(WIDTH, HEIGHT), more)]).file()
}

fn assert_close(one: &Decoded, other: &Decoded, least: f64, message: &str) {
    assert_eq!((one.width, one.height), (other.width, other.height), "{message}");
    let psnr = psnr(&one.rgba, &other.rgba);
    assert!(psnr > least, "{message}: {psnr} dB");
}

#[test]
fn pictures_of_every_size_come_back_as_they_were() {
    for (width, height) in [(96, 64), (123, 77), (1, 1), (2, 1), (1, 2), (3, 5), (65, 130)] {
        let pixels = photo(width, height);
        let source = Heif::avif(vec![Item::picture((width, height), &stream(width, height), &[])]).file();
        let seen = shown(&source);
        assert_close(
            &seen,
            &Decoded::new(width, height, 3, &pixels),
            // In a handful of pixels most of the colour is lost to subsampling.
            if width * height < 100 { 20.0 } else { 29.0 },
            &format!("{width}x{height}"),
        );
        let theirs = crate::judge::avif(&source);
        // The other decoder repeats colour where this one interpolates.
        let least = if width * height < 100 { 22.0 } else { 30.0 };
        assert_close(&seen, &theirs, least, &format!("{width}x{height}, two decoders"));
    }
}

#[test]
fn facts_in_the_container_are_told() {
    let found = told(&with(&[]));
    assert_eq!(found.format, "avif");
    assert_eq!((found.dimensions.width, found.dimensions.height), (WIDTH, HEIGHT));
    assert_eq!((found.frames, found.bit_depth, found.has_alpha), (1, 8, false));
    assert_eq!((found.color_space.as_str(), found.duration_ms), ("srgb", None));
    assert!(!found.has_gain_map);
}

fn with_alpha(premultiplied: bool) -> (Vec<u8>, Vec<u8>) {
    let pixels: Vec<u8> = (0..WIDTH * HEIGHT)
        .flat_map(|at| {
            let alpha = u8::try_from(at % WIDTH * 2 + 60).unwrap();
            let color = [200, 120, 40].map(|value: u16| {
                u8::try_from(if premultiplied {
                    value * u16::from(alpha) / 255
                } else {
                    value
                })
                .unwrap()
            });
            [color[0], color[1], color[2], alpha]
        })
        .collect();
    let streams = streams(WIDTH, HEIGHT, &pixels);
    let role = [container::alpha_role()];
    let items = vec![
        Item::picture((WIDTH, HEIGHT), &streams[0], &[]),
        Item::picture((WIDTH, HEIGHT), &streams[1], &role),
    ];
    let mut file = Heif::avif(items).refer(b"auxl", 2, &[1]);
    if premultiplied {
        file = file.refer(b"prem", 1, &[2]);
    }
    (file.file(), pixels)
}

#[test]
fn alpha_is_taken_from_its_own_picture_and_divided_out_where_it_was_multiplied_in() {
    for premultiplied in [false, true] {
        let (source, pixels) = with_alpha(premultiplied);
        assert!(told(&source).has_alpha);
        let seen = shown(&source);
        for (seen, was) in seen.rgba.chunks_exact(4).zip(pixels.chunks_exact(4)) {
            assert!(seen[3].abs_diff(was[3]) <= 2, "{seen:?} {was:?}");
            for (seen, want) in seen.iter().zip([200u8, 120, 40]) {
                // The loss of coding grows when alpha is divided out.
                let lost = if premultiplied {
                    1000 / u16::from(was[3])
                } else {
                    0
                };
                assert!(
                    u16::from(seen.abs_diff(want)) <= 6 + lost,
                    "premultiplied {premultiplied}: {seen} for {want} at {}",
                    was[3]
                );
            }
        }
    }
}

#[test]
fn a_picture_without_colour_is_grey() {
    let (_, pixels) = with_alpha(false);
    let grey = streams(WIDTH, HEIGHT, &pixels).remove(1);
    let source = Heif::avif(vec![Item::picture((WIDTH, HEIGHT), &grey, &[])]).file();
    assert_eq!(told(&source).color_space, "grey");
    for (seen, was) in shown(&source).rgba.chunks_exact(4).zip(pixels.chunks_exact(4)) {
        assert!(seen[0] == seen[1] && seen[1] == seen[2] && seen[0].abs_diff(was[3]) <= 2);
    }
}

/// Four tiles of 64x64 of which 100x90 pixels are shown.
fn tiled() -> (Heif, Decoded) {
    let whole = photo(128, 128);
    let part = |x: usize, y: usize, width: usize, height: usize| -> Vec<u8> {
        let rows = whole.chunks_exact(128 * 3).skip(y).take(height);
        rows.flat_map(|row| row[x * 3..(x + width) * 3].to_vec())
            .collect()
    };
    let mut items = vec![Item::new(
        b"grid",
        &[container::ispe(100, 90)],
        &container::grid(2, 2, 100, 90),
    )];
    for (x, y) in [(0, 0), (64, 0), (0, 64), (64, 64)] {
        let stream = streams(64, 64, &part(x, y, 64, 64)).remove(0);
        items.push(Item::picture((64, 64), &stream, &[container::nclx(1, 13, 6)]));
    }
    let file = Heif::avif(items).refer(b"dimg", 1, &[2, 3, 4, 5]);
    (file, Decoded::new(100, 90, 3, &part(0, 0, 100, 90)))
}

#[test]
fn grids_are_put_together_and_cut_to_size() {
    let (file, expected) = tiled();
    assert_close(&shown(&file.file()), &expected, 30.0, "grid");
}

#[test]
fn turning_mirroring_and_cropping_are_done_in_this_order() {
    let plain = shown(&with(&[]));
    let turn = |quarters: u8| boxed(b"irot", &[quarters]);
    let mirror = |sideways: u8| boxed(b"imir", &[sideways]);
    // The place of the upright pixel (x, y), in a picture of 96x64.
    type Source = fn(u32, u32) -> (u32, u32);
    let cases: [(&[Vec<u8>], u8, Source); 7] = [
        (&[turn(1)], 8, |x, y| (95 - y, x)),
        (&[turn(2)], 3, |x, y| (95 - x, 63 - y)),
        (&[turn(3)], 6, |x, y| (y, 63 - x)),
        (&[mirror(0)], 4, |x, y| (x, 63 - y)),
        (&[mirror(1)], 2, |x, y| (95 - x, y)),
        (&[turn(1), mirror(0)], 5, |x, y| (y, x)),
        (&[turn(3), mirror(0)], 7, |x, y| (95 - y, 63 - x)),
    ];
    for (properties, orientation, source_of) in cases {
        let source = with(properties);
        assert_eq!(told(&source).orientation, orientation);
        let seen = shown(&source);
        let swaps = orientation > 4;
        let size = if swaps { (HEIGHT, WIDTH) } else { (WIDTH, HEIGHT) };
        assert_eq!((seen.width, seen.height), size);
        for (x, y) in [(0, 0), (5, 9), (size.0 - 1, 3), (2, size.1 - 1)] {
            let (from_x, from_y) = source_of(x, y);
            assert_eq!(
                seen.pixel(x, y),
                plain.pixel(from_x, from_y),
                "{orientation} at {x},{y}"
            );
        }
    }
    // 40x20 pixels around the middle, 8 to the right of it and 4 above, then turned.
    let numbers = [40u32, 1, 20, 1, 8, 1, 4u32.wrapping_neg(), 1];
    let clap = boxed(b"clap", &numbers.map(u32::to_be_bytes).concat());
    let seen = shown(&with(&[clap, turn(3)]));
    assert_eq!((seen.width, seen.height), (20, 40));
    assert_eq!(seen.pixel(19, 0), plain.pixel(36, 18));
    assert_eq!(seen.pixel(0, 39), plain.pixel(75, 37));
}

#[test]
fn the_orientation_of_an_exif_block_is_not_applied_twice() {
    let mut block = vec![0, 0, 0, 0];
    block.extend(fixtures::exif(6, b"camera"));
    let picture = Item::picture((WIDTH, HEIGHT), &stream(WIDTH, HEIGHT), &[]);
    let file = Heif::avif(vec![picture, Item::new(b"Exif", &[], &block)]).refer(b"cdsc", 2, &[1]);
    let found = told(&file.file());
    assert_eq!((found.orientation, found.dimensions.width), (1, WIDTH));
}

#[test]
fn colours_follow_the_profile_or_the_numbers_that_stand_for_it() {
    let pixels = [128u8, 64, 64].repeat((WIDTH * HEIGHT) as usize);
    let stream = streams(WIDTH, HEIGHT, &pixels).remove(0);
    let color_of = |property: Vec<u8>| {
        let source = Heif::avif(vec![Item::picture((WIDTH, HEIGHT), &stream, &[property])]).file();
        (told(&source), shown(&source).pixel(50, 30))
    };
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let (by_profile, seen) = color_of(container::icc(&p3));
    assert_eq!(
        (
            by_profile.color_space.as_str(),
            by_profile.icc_description.is_some()
        ),
        ("icc", true)
    );
    // Display P3 (0.5, 0.25, 0.25) computed by hand through XYZ is sRGB (138, 59, 62).
    for (got, want) in seen.iter().zip([138u8, 59, 62, 255]) {
        assert!(got.abs_diff(want) <= 3, "{seen:?}");
    }
    let (by_numbers, same) = color_of(container::nclx(12, 13, 6));
    assert_eq!(by_numbers.color_space, "display-p3");
    for (got, want) in same.iter().zip(seen) {
        assert!(got.abs_diff(want) <= 1, "{same:?} {seen:?}");
    }
    let (plain, unchanged) = color_of(container::nclx(1, 13, 6));
    assert_eq!(plain.color_space, "srgb");
    for (got, want) in unchanged.iter().zip([128u8, 64, 64, 255]) {
        assert!(got.abs_diff(want) <= 2, "{unchanged:?}");
    }
}

#[test]
fn high_dynamic_range_is_brought_down_to_the_screen() {
    // PQ of diffuse white, 203 cd/m², is 0.58 of the signal: grey to who reads it as sRGB.
    let pixels = [148u8; 3].repeat((WIDTH * HEIGHT) as usize);
    let stream = streams(WIDTH, HEIGHT, &pixels).remove(0);
    for (transfer, name, range) in [(16, "pq", 220..=240), (18, "hlg", 155..=175)] {
        let property = container::nclx(9, transfer, 6);
        let source = Heif::avif(vec![Item::picture((WIDTH, HEIGHT), &stream, &[property])]).file();
        assert_eq!(told(&source).color_space, name);
        let seen = shown(&source).pixel(50, 30);
        assert!(
            range.contains(&seen[0]) && seen[0].abs_diff(seen[2]) <= 2,
            "{name}: {seen:?}"
        );
    }
}

#[test]
fn a_gain_map_is_told_and_the_base_is_shown() {
    let picture = Item::picture((WIDTH, HEIGHT), &stream(WIDTH, HEIGHT), &[]);
    let map = Item::picture((32, 32), &stream(32, 32), &[]);
    let tmap = Item::new(b"tmap", &[container::ispe(WIDTH, HEIGHT)], &[0; 8]);
    let source = Heif::avif(vec![picture, tmap, map])
        .refer(b"dimg", 2, &[1, 3])
        .file();
    assert!(told(&source).has_gain_map);
    assert_eq!(shown(&source), shown(&with(&[])));
    let role = full(b"auxC", b"urn:com:apple:photo:2020:aux:hdrgainmap\0");
    let picture = Item::picture((WIDTH, HEIGHT), &stream(WIDTH, HEIGHT), &[]);
    let map = Item::picture((32, 32), &stream(32, 32), &[role]);
    let source = Heif::avif(vec![picture, map]).refer(b"auxl", 2, &[1]).file();
    assert!(told(&source).has_gain_map && !told(&source).has_alpha);
}

#[test]
fn the_first_frame_of_a_sequence_is_shown_and_all_are_counted() {
    let red = streams(WIDTH, HEIGHT, &[200u8, 30, 30].repeat((WIDTH * HEIGHT) as usize)).remove(0);
    let blue = streams(WIDTH, HEIGHT, &[30u8, 30, 200].repeat((WIDTH * HEIGHT) as usize)).remove(0);
    let source = container::sequence((96, 64), &[red, blue.clone(), blue], 40);
    let found = told(&source);
    assert_eq!((found.frames, found.duration_ms), (3, Some(120)));
    let seen = shown(&source).pixel(40, 40);
    assert!(seen[0] > 190 && seen[2] < 40, "{seen:?}");
}

#[test]
fn a_picture_in_several_parts_of_the_file_is_put_together() {
    let picture = Item::picture((WIDTH, HEIGHT), &stream(WIDTH, HEIGHT), &[]);
    let mut file = Heif::avif(vec![picture]);
    let whole = shown(&file.file());
    for extents in [2, 3, 50] {
        file.extents = extents;
        assert_eq!(shown(&file.file()), whole, "{extents} parts");
    }
}

/// Each tile of [`tiled`] with alpha of its own: 60 more than twice its column.
fn tiles_with_alpha(tiles: std::ops::Range<u16>, premultiplied: bool) -> Heif {
    let alpha: Vec<u8> = (0..64 * 64)
        .flat_map(|at| [200, 120, 40, u8::try_from(at % 64 * 2 + 60).unwrap()])
        .collect();
    let alpha = streams(64, 64, &alpha).remove(1);
    let (mut file, _) = tiled();
    for tile in tiles {
        file.items
            .push(Item::picture((64, 64), &alpha, &[container::alpha_role()]));
        let id = u16::try_from(file.items.len()).unwrap();
        file = file.refer(b"auxl", id, &[tile]);
        if premultiplied {
            file = file.refer(b"prem", tile, &[id]);
        }
    }
    file
}

#[test]
fn alpha_may_belong_to_the_tiles_of_a_grid() {
    let opaque = shown(&tiled().0.file());
    let source = tiles_with_alpha(2..6, false).file();
    assert!(told(&source).has_alpha);
    let seen = shown(&source);
    for (x, y) in [(0, 0), (63, 10), (64, 63), (99, 89)] {
        let [red, green, blue, alpha] = seen.pixel(x, y);
        assert!(
            alpha.abs_diff(u8::try_from(x % 64 * 2 + 60).unwrap()) <= 2,
            "{x}, {y}: {alpha}"
        );
        assert_eq!([red, green, blue], opaque.pixel(x, y)[..3], "{x}, {y}");
    }
    // Light that was multiplied with alpha is divided by it.
    let divided = shown(&tiles_with_alpha(2..6, true).file()).pixel(20, 80);
    assert!(divided[0] > seen.pixel(20, 80)[0] + 20, "{divided:?}");
    let (code, detail) = crate::judge::rejection(&tiles_with_alpha(2..5, false).file());
    assert_eq!(code, "unsupported_format", "{detail}");
}

#[test]
fn alpha_need_not_tell_its_size() {
    let pixels = [200, 120, 40, 90].repeat((WIDTH * HEIGHT) as usize);
    let streams = streams(WIDTH, HEIGHT, &pixels);
    let alpha = [container::av1c(), container::alpha_role()];
    let items = vec![
        Item::picture((WIDTH, HEIGHT), &streams[0], &[]),
        Item::new(b"av01", &alpha, &streams[1]),
    ];
    let seen = shown(&Heif::avif(items).refer(b"auxl", 2, &[1]).file());
    assert!(
        seen.pixel(50, 30)[3].abs_diff(90) <= 2,
        "{:?}",
        seen.pixel(50, 30)
    );
    let bare = Item::new(b"av01", &[container::av1c()], &streams[0]);
    let (code, detail) = crate::judge::rejection(&Heif::avif(vec![bare]).file());
    assert_eq!(code, "corrupt_image", "{detail}");
}

#[test]
fn a_derived_item_is_its_base_cropped_and_turned_and_then_cropped_and_turned_itself() {
    let turn = |quarters: u8| boxed(b"irot", &[quarters]);
    let mirror = |sideways: u8| boxed(b"imir", &[sideways]);
    // So many pixels around the middle, moved by so many.
    let clap = |width: u32, height: u32, right: i32, down: i32| {
        let numbers = [
            width,
            1,
            height,
            1,
            right.cast_unsigned(),
            1,
            down.cast_unsigned(),
            1,
        ];
        boxed(b"clap", &numbers.map(u32::to_be_bytes).concat())
    };
    let stream = stream(WIDTH, HEIGHT);
    let picture = |properties: &[Vec<u8>]| Item::picture((WIDTH, HEIGHT), &stream, properties);
    let derived = |own: &[Vec<u8>], base: &[Vec<u8>]| {
        let items = vec![Item::new(b"iden", own, &[]), picture(base)];
        shown(&Heif::avif(items).refer(b"dimg", 1, &[2]).file())
    };
    let alone = |properties: &[Vec<u8>]| shown(&Heif::avif(vec![picture(properties)]).file());
    let base = [clap(40, 20, 8, -4), turn(1), mirror(0)];
    assert_eq!(derived(&[], &base), alone(&base));
    assert_eq!(derived(&[turn(3)], &[turn(1)]), alone(&[]));
    assert_eq!(derived(&[mirror(1)], &[turn(1)]), alone(&[turn(1), mirror(1)]));
    // The part that is named is one of what the base shows.
    let inner = derived(&[clap(12, 30, 2, -3)], &base);
    let outer = alone(&base);
    assert_eq!((outer.width, outer.height), (20, 40));
    assert_eq!((inner.width, inner.height), (12, 30));
    for (x, y) in [(0, 0), (11, 0), (3, 29), (7, 15)] {
        assert_eq!(inner.pixel(x, y), outer.pixel(x + 6, y + 2), "{x}, {y}");
    }
    // Twice derived, and colours of the last word.
    let items = vec![
        Item::new(b"iden", &[turn(1)], &[]),
        Item::new(b"iden", &[clap(30, 30, 0, 0), container::nclx(12, 13, 6)], &[]),
        picture(&[turn(1)]),
    ];
    let file = Heif::avif(items)
        .refer(b"dimg", 1, &[2])
        .refer(b"dimg", 2, &[3])
        .file();
    assert_eq!(told(&file).color_space, "display-p3");
    let part = alone(&[clap(30, 30, 0, 0), turn(2), container::nclx(12, 13, 6)]);
    assert_eq!(shown(&file), part);
}

#[test]
fn hevc_that_no_decoder_was_checked_for_is_refused_by_name() {
    struct Bits(Vec<bool>);
    impl Bits {
        fn put(&mut self, value: u32, count: u32) {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 != 0));
        }
        fn golomb(&mut self, value: u32) {
            let length = 32 - (value + 1).leading_zeros();
            self.put(0, length - 1);
            self.put(value + 1, length);
        }
    }
    let file = |chroma: u32, is_apart: bool, depth: u32| {
        let mut sps = Bits(Vec::new());
        sps.put(0x4201, 16);
        sps.put(1, 8);
        (0..12).for_each(|_| sps.put(0xFF, 8));
        sps.golomb(0);
        sps.golomb(chroma);
        if chroma == 3 {
            sps.put(is_apart.into(), 1);
        }
        sps.golomb(WIDTH);
        sps.golomb(HEIGHT);
        sps.put(0, 1);
        sps.golomb(depth - 8);
        sps.golomb(depth - 8);
        sps.put(0xFFFF_FFFF, 32);
        let bytes = sps.0.chunks(8);
        let bytes: Vec<u8> = bytes
            .map(|bits| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit)))
            .collect();
        let mut config = vec![0; 21];
        config.extend([3, 1, 33, 0, 1]);
        config.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        config.extend(bytes);
        let properties = [container::ispe(WIDTH, HEIGHT), boxed(b"hvcC", &config)];
        Item::new(b"hvc1", &properties, &[0, 0, 0, 2, 0x26, 1])
    };
    let heic = |items: Vec<Item>| Heif {
        brands: vec![*b"heic", *b"mif1"],
        ..Heif::avif(items)
    };
    let is_built = cfg!(feature = "heic");
    for (chroma, is_apart, depth, word) in [
        (3, true, 8, "4:4:4"),
        (0, false, 12, "12 bits"),
        (1, false, 12, "12 bits"),
        (2, false, 12, "12 bits"),
        (3, false, 12, "12 bits"),
    ] {
        let whole = heic(vec![file(chroma, is_apart, depth)]).file();
        let grid = Item::new(
            b"grid",
            &[container::ispe(96, 64)],
            &container::grid(1, 1, 96, 64),
        );
        let grid = heic(vec![grid, file(chroma, is_apart, depth)])
            .refer(b"dimg", 1, &[2])
            .file();
        let iden = Item::new(b"iden", &[], &[]);
        let iden = heic(vec![iden, file(chroma, is_apart, depth)])
            .refer(b"dimg", 1, &[2])
            .file();
        let mut alpha = file(chroma, is_apart, depth);
        alpha
            .properties
            .push(full(b"auxC", b"urn:mpeg:hevc:2015:auxid:1\0"));
        let picture = Item::picture((WIDTH, HEIGHT), &stream(WIDTH, HEIGHT), &[]);
        let alpha = Heif::avif(vec![picture, alpha]).refer(b"auxl", 2, &[1]).file();
        for source in [whole, grid, iden, alpha] {
            let (code, detail) = crate::judge::rejection(&source);
            assert_eq!(code, "unsupported_format", "{detail}");
            assert!(!is_built || detail.contains(word), "{word}: {detail}");
        }
    }
}

#[test]
fn sequences_of_hevc_pictures_are_refused_by_name() {
    let mut source = container::sequence((96, 64), &[stream(96, 64)], 40);
    let entry = source.windows(4).position(|name| name == b"av01").unwrap();
    source[entry..entry + 4].copy_from_slice(b"hvc1");
    for brand in [b"avis", b"hevc", b"hevx", b"msf1"] {
        source[8..12].copy_from_slice(brand);
        let (code, detail) = crate::judge::rejection(&source);
        assert_eq!(code, "unsupported_format", "{detail}");
    }
}
