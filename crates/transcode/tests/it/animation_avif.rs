//! Animations in AVIF: frames that are joined, the colours of drawings, and the range that is announced.

use tintype_model::Format;

use crate::animation::{only, seen_psnr};
use crate::judge::Decoded;
use crate::moving::{Scene, taken_apart};

#[test]
fn frames_that_are_alike_are_one_in_avif_as_in_webp() {
    let different = Scene::photographs(48, 32, 3).parts;
    // Three pictures, shown for two, one and four frames.
    let order = [0, 0, 1, 2, 2, 2, 2];
    let scene = Scene::new(
        48,
        32,
        order.map(|number: usize| different[number].clone()).to_vec(),
    );
    let times = |parts: &[usize]| {
        parts
            .iter()
            .map(|&number| different[number].milliseconds)
            .sum::<u32>()
    };
    for format in [Format::Avif, Format::Webp] {
        let file = only(&scene.apng(None), format);
        assert_eq!(file.encoding.frames, Some(3), "{format:?}");
        let moving = taken_apart(&file);
        assert_eq!(
            moving.durations_ms,
            [times(&order[..2]), times(&[1]), times(&order[3..])],
            "{format:?}"
        );
        for (part, frame) in different.iter().zip(&moving.frames) {
            let psnr = seen_psnr(frame, &Decoded::new(48, 32, 4, &part.rgba));
            assert!(psnr > 22.0, "{format:?}: {psnr} dB");
        }
    }
    // Transparency that begins late: alpha has as many frames.
    let mut clear = Scene::cut_outs(48, 32, 1).parts.remove(0);
    clear.replaces = true;
    let parts = [&different[0], &different[0], &clear, &clear]
        .map(Clone::clone)
        .to_vec();
    let file = only(&Scene::new(48, 32, parts).apng(None), Format::Avif);
    assert_eq!(file.encoding.frames, Some(2));
    let moving = taken_apart(&file);
    for (part, frame) in [&different[0], &clear].into_iter().zip(&moving.frames) {
        let psnr = seen_psnr(frame, &Decoded::new(48, 32, 4, &part.rgba));
        assert!(psnr > 22.0, "with alpha: {psnr} dB");
    }
}

#[test]
fn the_colours_of_a_drawing_that_moves_stay_within_its_lines() {
    // Stripes of one pixel in colours that only full resolution keeps apart.
    let (red, blue) = ([220, 30, 30, 255], [30, 30, 220, 255]);
    let frame = |phase: usize| -> Vec<u8> {
        let row = (0..48usize).flat_map(move |x| if (x + phase).is_multiple_of(2) { red } else { blue });
        std::iter::repeat_n(row, 32).flatten().collect()
    };
    let mut scene = Scene::photographs(48, 32, 2);
    for (phase, part) in scene.parts.iter_mut().enumerate() {
        part.rgba = frame(phase);
    }
    let file = only(&scene.apng(None), Format::Avif);
    for (phase, frame) in taken_apart(&file).frames.iter().enumerate() {
        for x in 0..48 {
            let expected = if (x as usize + phase).is_multiple_of(2) {
                red
            } else {
                blue
            };
            for (seen, expected) in frame.pixel(x, 16).into_iter().zip(expected) {
                assert!(
                    seen.abs_diff(expected) < 60,
                    "frame {phase}, column {x}: {seen} for {expected}"
                );
            }
        }
    }
    // Every word on the range says limited: Chromium takes sequences for that.
    let bytes = &file.bytes;
    let colors = b"colrnclx\0\x01\0\x0D\0\x06";
    let words: Vec<u8> = (0..bytes.len() - 15)
        .filter(|&at| bytes[at..].starts_with(colors))
        .map(|at| bytes[at + colors.len()])
        .collect();
    assert_eq!(words, [0, 0]);
}
