//! Animations that are broken, or larger than they may be.

use tintype_model::{Format, Limits};
use tintype_transcode::{Error, probe};

use crate::animation::{BLUE, RED, moved, only};
use crate::fixtures::full_size;
use crate::judge::{Decoded, decoded, rejection, rendered};
use crate::moving::{Part, Scene};

#[test]
fn animations_that_break_off_are_refused() {
    let scene = Scene::photographs(40, 30, 6);
    for (what, source) in [
        ("GIF", scene.gif()),
        ("APNG", scene.apng(None)),
        ("WebP", scene.webp(&[])),
    ] {
        for part in [2, 3, 5, 8] {
            let cut = &source[..source.len() * (part - 1) / part];
            let (code, detail) = rejection(cut);
            assert_eq!(code, "corrupt_image", "{what} {part}: {detail}");
        }
    }
}

#[test]
fn frames_that_lie_outside_are_refused_where_the_format_forbids_them() {
    let mut scene = Scene::photographs(40, 30, 3);
    scene.parts[2].left = 2;
    let (code, detail) = rejection(&scene.webp(&[]));
    assert_eq!(code, "corrupt_image", "{detail}");
    scene.parts[2].left = 0;
    let mut apng = scene.apng(None);
    let last = apng.windows(4).rposition(|name| name == b"fcTL").unwrap();
    // The offset of the last frame, and the chunk's checksum.
    apng[last + 4 + 12 + 3] = 1;
    let chunk = crate::fixtures::chunk(b"fcTL", &apng[last + 4..last + 30]);
    apng[last + 30..last + 34].copy_from_slice(&chunk[34..38]);
    // PNG has a still for that.
    assert_eq!(rendered(&apng, &full_size(&[Format::Png])).image.frames, 1);
}

#[test]
fn all_frames_together_are_limited() {
    let scene = Scene::photographs(40, 30, 6);
    let limits = |max_animation_pixels| Limits {
        max_animation_pixels,
        ..Limits::default()
    };
    for source in [scene.gif(), scene.apng(None), scene.webp(&[])] {
        assert!(probe(&source, &limits(7200)).is_ok());
        match probe(&source, &limits(7199)) {
            Err(Error::Rejected(rejection)) => {
                assert_eq!(rejection.code.name(), "too_many_pixels");
                assert!(rejection.detail.contains("7200 pixels"), "{}", rejection.detail);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn larger_frames_than_the_canvas_count_as_they_are() {
    // Two frames of a GIF whose canvas is a single pixel.
    let scene = Scene::new(
        1,
        1,
        vec![Part::plain(0, 0, 40, 30, RED), Part::plain(0, 0, 40, 30, BLUE)],
    );
    let limits = |max_animation_pixels| Limits {
        max_animation_pixels,
        ..Limits::default()
    };
    assert!(probe(&scene.gif(), &limits(2400)).is_ok());
    assert!(probe(&scene.gif(), &limits(2399)).is_err());
    assert_eq!(moved(&scene.gif(), Format::Png).frames[1].pixel(0, 0), BLUE);
}

#[test]
fn a_photographic_png_that_would_be_enormous_becomes_a_still() {
    // Noise in every frame: 24 of them are more than 16 MiB.
    let mut scene = Scene::new(512, 512, Vec::new());
    let mut random = crate::fixtures::Random(3);
    for _ in 0..24 {
        let mut part = Part::plain(0, 0, 512, 512, RED);
        for pixel in part.rgba.chunks_exact_mut(4) {
            let [red, green, blue, _] = random.next().to_le_bytes();
            pixel[..3].copy_from_slice(&[red, green, blue]);
        }
        scene.parts.push(part);
    }
    let file = only(&scene.apng(None), Format::Png);
    assert_eq!(file.encoding.frames, None);
    let first = Decoded::new(512, 512, 4, &scene.parts[0].rgba);
    assert_eq!(decoded(&file), first);
}
