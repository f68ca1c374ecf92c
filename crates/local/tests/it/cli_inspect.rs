//! Tests of what the commands that run the engine alone tell of pictures.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes functions that tests share for production code"
)]

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::cli::{code, files, folder_with_config, json_lines, picture, stderr, stdout, tintype};

#[test]
fn inspect_tells_what_would_be_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(&root.join("p.jpg"), 640, 480);
    let bytes = fs::read(root.join("p.jpg")).unwrap();
    fs::write(root.join("cut.jpg"), &bytes[..20]).unwrap();
    let output = tintype(root, &["inspect", "p.jpg", "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let facts = &json_lines(&output)[0];
    assert_eq!(facts["status"], "accepted");
    assert_eq!(facts["image"]["format"], "jpeg");
    assert_eq!(facts["image"]["dimensions"]["height"], 480);
    assert_eq!(facts["bytes"], bytes.len());
    assert_eq!(facts["sha256"], hex::encode(Sha256::digest(&bytes)));
    let output = tintype(root, &["inspect", "p.jpg", "cut.jpg", "."]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("640×480 pixels"), "{}", stdout(&output));
    let problems = stderr(&output);
    assert!(problems.contains("cut.jpg: corrupt_image"), "{problems}");
    assert!(problems.contains(".: is a folder"), "{problems}");
    assert_eq!(files(root), ["cut.jpg", "p.jpg"], "nothing is written");
}

/// A PNG of three frames, a tenth of a second each.
fn moving_picture(path: &Path) {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), 40, 30);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_animated(3, 0).unwrap();
    encoder.set_frame_delay(1, 10).unwrap();
    let mut frames = encoder.write_header().unwrap();
    for shade in [10, 120, 230] {
        frames.write_image_data(&[shade; 40 * 30]).unwrap();
    }
    frames.finish().unwrap();
}

#[test]
fn inspect_tells_of_motion_and_gain_maps_where_there_are_any() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    moving_picture(&root.join("moving.png"));
    picture(&root.join("still.jpg"), 40, 30);
    let still = fs::read(root.join("still.jpg")).unwrap();
    // An APP2 segment that says that the file follows ISO 21496-1.
    let name = b"urn:iso:std:iso:ts:21496:-1\0";
    let length = u16::try_from(2 + name.len()).unwrap().to_be_bytes();
    let bright = [&still[..2], b"\xFF\xE2", &length, name, &still[2..]].concat();
    fs::write(root.join("bright.jpg"), bright).unwrap();

    let files = ["moving.png", "bright.jpg", "still.jpg"];
    let output = tintype(root, &[&["inspect", "--json"], &files[..]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let told = json_lines(&output);
    let image = |index: usize| told[index]["image"].as_object().unwrap();
    assert_eq!(
        (&image(0)["frames"], &image(0)["duration_ms"]),
        (&3.into(), &300.into())
    );
    assert_eq!(image(1)["has_gain_map"], true);
    for (index, absent) in [
        (0, "has_gain_map"),
        (1, "duration_ms"),
        (2, "has_gain_map"),
        (2, "duration_ms"),
    ] {
        assert!(!image(index).contains_key(absent), "{}: {absent}", files[index]);
    }

    let rows = |file: &str| -> Vec<String> {
        let text = stdout(&tintype(root, &["inspect", file]));
        text.lines()
            .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    let has = |file: &str, row: &str| rows(file).iter().any(|found| found == row);
    assert!(has("moving.png", "frames 3"), "{:?}", rows("moving.png"));
    assert!(has("moving.png", "duration 300 ms"), "{:?}", rows("moving.png"));
    assert!(
        has("bright.jpg", "gain map yes (left out of renditions)"),
        "{:?}",
        rows("bright.jpg")
    );
    for row in rows("still.jpg") {
        assert!(
            !row.starts_with("duration") && !row.starts_with("gain map"),
            "{row}"
        );
    }
}

#[test]
fn transcode_tells_how_many_frames_a_rendition_has() {
    let (_folder, root) = folder_with_config();
    moving_picture(&root.join("moving.png"));
    picture(&root.join("still.png"), 40, 30);
    let frames = |file: &str| {
        let output = tintype(
            &root,
            &[
                "transcode",
                file,
                "--config",
                "small.toml",
                "--out",
                "web",
                "--json",
            ],
        );
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let report = json_lines(&output).remove(0);
        let first = report["renditions"][0].as_object().unwrap().clone();
        (first["format"].clone(), first.get("frames").cloned())
    };
    assert_eq!(frames("moving.png"), ("webp".into(), Some(3.into())));
    assert_eq!(frames("still.png"), ("webp".into(), None));
    let text = stdout(&tintype(&root, &["transcode", "moving.png", "--out", "again"]));
    assert!(text.contains(" 3 frames"), "{text}");
}
