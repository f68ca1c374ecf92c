//! Animations stay animations: frames, times and plays, as browsers show them.

use tintype_model::{Dimensions, Fit, Format, Limits, Recipe, RenderedFile};
use tintype_transcode::{probe, render};

use crate::fixtures::{exif, full_size, one, riff};
use crate::judge::{Decoded, decoded, psnr, rendered};
use crate::moving::{After, Moving, Part, Scene, taken_apart};

pub(crate) const RED: [u8; 4] = [255, 0, 0, 255];
pub(crate) const BLUE: [u8; 4] = [0, 0, 255, 255];
const GREEN: [u8; 4] = [0, 255, 0, 255];
const CLEAR: [u8; 4] = [0; 4];

pub(crate) fn only(source: &[u8], format: Format) -> RenderedFile {
    let formats = if format.is_universal() {
        vec![format]
    } else {
        vec![format, Format::Jpeg]
    };
    rendered(source, &full_size(&formats)).files.remove(0)
}

pub(crate) fn moved(source: &[u8], format: Format) -> Moving {
    taken_apart(&only(source, format))
}

/// Frames that look like the one before may have been made one: the shown frame at every moment counts.
fn at(moving: &Moving, milliseconds: u32) -> &Decoded {
    let mut end = 0;
    for (frame, duration) in moving.frames.iter().zip(&moving.durations_ms) {
        end += duration;
        if milliseconds < end {
            return frame;
        }
    }
    panic!("the animation is over at {milliseconds} ms");
}

/// On black and on white: what is invisible has no colour.
pub(crate) fn seen_psnr(one: &Decoded, other: &Decoded) -> f64 {
    let on = |image: &Decoded, ground: u32| -> Vec<u8> {
        let pixels = image.rgba.chunks_exact(4).flat_map(|pixel| {
            let alpha = u32::from(pixel[3]);
            [pixel[0], pixel[1], pixel[2]]
                .map(|value| (u32::from(value) * alpha + ground * (255 - alpha)) / 255)
        });
        pixels.map(|value| u8::try_from(value).unwrap()).collect()
    };
    let on_ground = |ground| psnr(&on(one, ground), &on(other, ground));
    on_ground(0).min(on_ground(255))
}

/// Each frame of `scene`, which has whole frames only, at the moment when it is shown.
fn check(scene: &Scene, moving: &Moving, lowest: f64, what: &str) {
    let durations: Vec<u32> = scene.parts.iter().map(|part| part.milliseconds).collect();
    assert_eq!(moving.durations_ms, durations, "{what}");
    let mut start = 0;
    for (number, part) in scene.parts.iter().enumerate() {
        let expected = Decoded::new(part.width, part.height, 4, &part.rgba);
        let psnr = seen_psnr(at(moving, start), &expected);
        assert!(psnr > lowest, "{what}, frame {number}: {psnr:.1} dB");
        start += part.milliseconds;
    }
}

#[test]
fn photographs_that_move_keep_moving_in_every_format_that_can() {
    let scene = Scene::photographs(96, 64, 9);
    for (what, source) in [("APNG", scene.apng(None)), ("WebP", scene.webp(&[]))] {
        for (format, lowest) in [(Format::Webp, 25.0), (Format::Png, 90.0), (Format::Avif, 25.0)] {
            let file = only(&source, format);
            let moving = taken_apart(&file);
            check(&scene, &moving, lowest, &format!("{what} to {format:?}"));
            // zenavif-parse tells only whether there is an end.
            let plays = if format == Format::Avif { 0 } else { 3 };
            assert_eq!(moving.plays, plays, "{what} to {format:?}");
            assert_eq!(file.encoding.frames, Some(9), "{what} to {format:?}");
        }
        let still = decoded(&only(&source, Format::Jpeg));
        let first = Decoded::new(96, 64, 4, &scene.parts[0].rgba);
        assert!(psnr(&still.rgb(), &first.rgb()) > 24.0, "{what}");
    }
}

#[test]
fn cut_outs_that_move_stay_cut_out() {
    let scene = Scene::cut_outs(96, 64, 5);
    for (what, source) in [("APNG", scene.apng(None)), ("WebP", scene.webp(&[]))] {
        for (format, lowest) in [(Format::Webp, 25.0), (Format::Png, 90.0), (Format::Avif, 25.0)] {
            check(
                &scene,
                &moved(&source, format),
                lowest,
                &format!("{what} to {format:?}"),
            );
        }
    }
}

#[test]
fn transparency_that_begins_later_is_kept() {
    let mut scene = Scene::photographs(64, 48, 4);
    for pixel in scene.parts[2].rgba.chunks_exact_mut(4).take(64 * 20) {
        pixel.fill(0);
    }
    scene.parts.iter_mut().for_each(|part| part.replaces = true);
    for (format, lowest) in [(Format::Webp, 25.0), (Format::Png, 90.0), (Format::Avif, 25.0)] {
        check(
            &scene,
            &moved(&scene.apng(None), format),
            lowest,
            &format!("{format:?}"),
        );
    }
}

#[test]
fn a_gif_keeps_its_pixels_its_times_and_its_plays() {
    let mut scene = Scene::new(
        40,
        30,
        (0..5)
            .map(|number| Part::plain(0, 0, 40, 30, [50 * number, 255 - 40 * number, 7, 255]))
            .collect(),
    );
    for (plays, part) in [0, 1, 4].into_iter().zip([7, 13, 25]) {
        scene.plays = plays;
        scene.parts[1].milliseconds = part * 10;
        let moving = moved(&scene.gif(), Format::Png);
        check(&scene, &moving, 90.0, "GIF");
        assert_eq!(moving.plays, plays);
        assert_eq!(moved(&scene.gif(), Format::Webp).plays, plays);
        let without_end = if plays == 1 { 1 } else { 0 };
        assert_eq!(moved(&scene.gif(), Format::Avif).plays, without_end);
    }
}

/// Red, then blue in the middle with some way of leaving, then green in the corner: what is in the middle at the end.
#[test]
fn frames_leave_as_browsers_make_them_leave() {
    let scene = |after: After, blue: [u8; 4], replaces: bool| {
        let mut middle = Part::plain(4, 4, 2, 2, blue);
        (middle.after, middle.replaces) = (after, replaces);
        Scene::new(
            10,
            10,
            vec![
                Part::plain(0, 0, 10, 10, RED),
                middle,
                Part::plain(0, 0, 2, 2, GREEN),
            ],
        )
    };
    #[expect(clippy::type_complexity, reason = "a table is read as it is")]
    let kinds: [(&str, fn(&Scene) -> Vec<u8>); 3] = [
        ("APNG", |scene| scene.apng(None)),
        ("WebP", |scene| scene.webp(&[])),
        ("GIF", Scene::gif),
    ];
    for (what, write) in kinds {
        for (after, middle) in [(After::Keep, BLUE), (After::Clear, CLEAR), (After::Restore, RED)] {
            if what == "WebP" && after == After::Restore {
                continue;
            }
            let moving = moved(&write(&scene(after, BLUE, false)), Format::Png);
            let name = format!("{what} {after:?}");
            assert_eq!(moving.frames[0].pixel(5, 5), RED, "{name}");
            assert_eq!(moving.frames[1].pixel(5, 5), BLUE, "{name}");
            assert_eq!(moving.frames[1].pixel(6, 6), RED, "{name}");
            assert_eq!(moving.frames[2].pixel(5, 5), middle, "{name}");
            assert_eq!(moving.frames[2].pixel(1, 1), GREEN, "{name}");
            assert_eq!(moving.frames[2].pixel(9, 9), RED, "{name}");
        }
        let through = moved(&write(&scene(After::Keep, CLEAR, false)), Format::Png);
        assert_eq!(through.frames[1].pixel(5, 5), RED, "{what}");
        if what != "GIF" {
            let replaced = moved(&write(&scene(After::Keep, CLEAR, true)), Format::Png);
            assert_eq!(replaced.frames[1].pixel(5, 5), CLEAR, "{what}");
        }
    }
}

#[test]
fn a_gif_frame_that_sticks_out_is_cut_off() {
    let scene = Scene::new(
        10,
        10,
        vec![
            Part::plain(0, 0, 10, 10, RED),
            Part::plain(8, 8, 9, 9, BLUE),
            Part::plain(20, 0, 3, 3, GREEN),
        ],
    );
    let moving = moved(&scene.gif(), Format::Png);
    assert_eq!(moving.frames[1].pixel(9, 9), BLUE);
    assert_eq!(moving.frames[2].pixel(9, 9), BLUE);
    assert_eq!(moving.frames[2].pixel(7, 7), RED);
}

#[test]
fn a_png_whose_default_image_is_no_frame_shows_it_only_in_stills() {
    let scene = Scene::photographs(32, 32, 3);
    let source = scene.apng(Some(&GREEN.repeat(32 * 32)));
    check(&scene, &moved(&source, Format::Png), 90.0, "APNG");
    let still = decoded(&only(&source, Format::Jpeg));
    assert!(still.pixel(16, 16)[1] > 240, "{:?}", still.pixel(16, 16));
    assert_eq!(probe(&source, &Limits::default()).unwrap().frames, 3);
}

#[test]
fn frames_that_are_too_short_are_shown_as_long_as_in_browsers() {
    let mut scene = Scene::photographs(16, 16, 3);
    for (part, milliseconds) in scene.parts.iter_mut().zip([0, 10, 20]) {
        part.milliseconds = milliseconds;
    }
    for source in [scene.apng(None), scene.webp(&[]), scene.gif()] {
        assert_eq!(moved(&source, Format::Png).durations_ms, [100, 100, 20]);
        assert_eq!(moved(&source, Format::Avif).durations_ms, [100, 100, 20]);
        let told = probe(&source, &Limits::default()).unwrap();
        assert_eq!((told.frames, told.duration_ms), (3, Some(220)));
    }
}

#[test]
fn the_recipe_can_ask_for_stills() {
    let source = Scene::photographs(40, 40, 3).apng(None);
    let mut recipe = full_size(&[Format::Avif, Format::Webp, Format::Png]);
    let mut stills = recipe.variants[0].clone();
    (stills.name, stills.animation) = ("stills".to_owned(), false);
    recipe.variants.push(stills);
    let rendered = rendered(&source, &recipe);
    let names: Vec<&str> = rendered.files.iter().map(|file| file.variant.as_str()).collect();
    assert_eq!(names[..4], ["original", "original", "original", "stills"]);
    for file in &rendered.files {
        let frames = if file.variant == "stills" { None } else { Some(3) };
        assert_eq!(file.encoding.frames, frames, "{:?}", file.format);
        if file.variant == "stills" {
            assert_eq!(decoded(file).width, 40);
        }
    }
}

#[test]
fn every_frame_is_turned_scaled_and_padded_like_a_still() {
    let mut scene = Scene::photographs(60, 40, 3);
    // image-webp, which decodes the still below, is off by one where it lays an opaque frame over the canvas.
    scene.parts.iter_mut().for_each(|part| part.replaces = true);
    let source = scene.webp(&riff(b"EXIF", &exif(6, b"")));
    let mut recipe = one(|variant| {
        (variant.width, variant.height) = (Some(30), Some(30));
        variant.fit = Fit::Contain;
    });
    recipe.background = tintype_model::Rgb([9, 8, 7]);
    let file = rendered(&source, &recipe).files.remove(0);
    assert_eq!(
        file.dimensions,
        Dimensions {
            width: 30,
            height: 30
        }
    );
    for frame in &taken_apart(&file).frames {
        assert_eq!(frame.pixel(0, 0), [9, 8, 7, 255]);
    }
    // A still of the second frame alone looks as the second frame does.
    scene.parts.remove(0);
    let second = Scene::new(60, 40, vec![scene.parts[0].clone(), scene.parts[0].clone()]);
    let still = second.webp(&riff(b"EXIF", &exif(6, b"")));
    recipe.variants[0].animation = false;
    let still = decoded(&rendered(&still, &recipe).files[0]);
    assert_eq!(taken_apart(&file).frames[1], still);
}

#[test]
fn padding_does_not_change_when_transparency_begins() {
    let mut scene = Scene::photographs(40, 20, 3);
    scene.parts[1].rgba[..4].fill(0);
    scene.parts.iter_mut().for_each(|part| part.replaces = true);
    let recipe = one(|variant| {
        (variant.width, variant.height) = (Some(40), Some(40));
        variant.fit = Fit::Contain;
    });
    let opaque_first = taken_apart(&rendered(&scene.apng(None), &recipe).files[0]);
    scene.parts.swap(0, 1);
    let clear_first = taken_apart(&rendered(&scene.apng(None), &recipe).files[0]);
    for number in 0..3 {
        assert_eq!(opaque_first.frames[number].pixel(0, 0), [255; 4], "{number}");
        assert_eq!(clear_first.frames[number].pixel(0, 0)[3], 0, "{number}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let source = Scene::cut_outs(80, 60, 12).apng(None);
    let mut recipe = Recipe::default();
    recipe.variants[1].formats.push(Format::Png);
    (recipe.variants[2].width, recipe.variants[2].height) = (Some(40), Some(40));
    let files = |threads| {
        let rendered = render(&source, &recipe, &Limits::default(), threads).unwrap();
        rendered
            .files
            .into_iter()
            .map(|file| file.bytes)
            .collect::<Vec<_>>()
    };
    let one = files(1);
    assert_eq!(one.len(), 10);
    assert_eq!(one, files(2));
    assert_eq!(one, files(7));
}

#[test]
fn profiles_are_applied_to_every_frame() {
    let scene = Scene::photographs(24, 24, 2);
    let mut source = scene.apng(None);
    let icc = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let plain = moved(&source, Format::Png);
    let mut info = b"P3\0\0".to_vec();
    info.extend(stored_zlib(&icc));
    source = crate::fixtures::with_chunk(&source, b"iCCP", &info);
    let converted = moved(&source, Format::Png);
    assert_eq!(probe(&source, &Limits::default()).unwrap().color_space, "icc");
    for (plain, converted) in plain.frames.iter().zip(&converted.frames) {
        let still = decoded(&only(
            &crate::fixtures::with_chunk(&crate::fixtures::rgba_png(24, 24, &plain.rgba), b"iCCP", &info),
            Format::Png,
        ));
        assert_ne!(plain, converted);
        assert_eq!(*converted, still);
    }
}

#[test]
fn interlaced_frames_are_laid_where_they_belong() {
    let picture: Vec<u8> = (0..7 * 7 * 4)
        .map(|at| if at % 4 == 3 { 255 } else { at })
        .collect();
    let part: Vec<u8> = (0..5 * 3 * 4)
        .map(|at| if at % 4 == 3 { 255 } else { 250 - at })
        .collect();
    let control = |sequence: u32, numbers: [u32; 4]| {
        let mut data = sequence.to_be_bytes().to_vec();
        numbers
            .iter()
            .for_each(|number| data.extend(number.to_be_bytes()));
        data.extend([0, 1, 0, 10, 0, 0]);
        crate::fixtures::chunk(b"fcTL", &data)
    };
    let source = [
        b"\x89PNG\r\n\x1A\n".to_vec(),
        crate::fixtures::chunk(b"IHDR", &[0, 0, 0, 7, 0, 0, 0, 7, 8, 6, 0, 0, 1]),
        crate::fixtures::chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
        control(0, [7, 7, 0, 0]),
        crate::fixtures::chunk(b"IDAT", &stored_zlib(&adam7(7, 7, &picture))),
        control(1, [5, 3, 1, 4]),
        crate::fixtures::chunk(
            b"fdAT",
            &[vec![0, 0, 0, 2], stored_zlib(&adam7(5, 3, &part))].concat(),
        ),
        crate::fixtures::chunk(b"IEND", &[]),
    ];
    let moving = moved(&source.concat(), Format::Png);
    assert_eq!(moving.frames[0].rgba, picture);
    let part = Decoded::new(5, 3, 4, &part);
    for y in 0..7 {
        for x in 0..7 {
            let expected = if (1..6).contains(&x) && y >= 4 {
                part.pixel(x - 1, y - 4)
            } else {
                moving.frames[0].pixel(x, y)
            };
            assert_eq!(moving.frames[1].pixel(x, y), expected, "{x}, {y}");
        }
    }
}

/// The rows of an interlaced PNG (third edition, section 8.1), unfiltered.
fn adam7(width: usize, height: usize, rgba: &[u8]) -> Vec<u8> {
    let passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    let mut rows = Vec::new();
    for (left, top, right_step, down_step) in passes {
        for y in (top..height).step_by(down_step) {
            if left < width {
                rows.push(0);
            }
            for x in (left..width).step_by(right_step) {
                rows.extend(&rgba[(y * width + x) * 4..][..4]);
            }
        }
    }
    rows
}

/// Zlib data of one stored block (RFC 1950, RFC 1951 section 3.2.4).
fn stored_zlib(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut sums = (1u32, 0u32);
    for &byte in data {
        sums.0 = (sums.0 + u32::from(byte)) % 65_521;
        sums.1 = (sums.1 + sums.0) % 65_521;
    }
    let mut zlib = vec![0x78, 0x01, 1];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(data);
    zlib.extend((sums.1 << 16 | sums.0).to_be_bytes());
    zlib
}

#[test]
fn many_frames_of_a_wide_png_are_read() {
    // The decoder's limit for metadata would be used up by the row buffers of all frames together.
    let parts = (0..200).map(|number| Part::plain(0, 0, 6000, 2, [number, 0, 0, 255]));
    let source = Scene::new(6000, 2, parts.collect()).apng(None);
    let recipe = one(|variant| variant.width = Some(60));
    assert_eq!(
        taken_apart(&rendered(&source, &recipe).files[0]).frames.len(),
        200
    );
}
