//! The shared corpus of real, odd and hostile files, when it is beside the checkout.

use std::path::{Path, PathBuf};

use tintype_model::{Format, Limits, Recipe, RejectionCode};
use tintype_transcode::{Error, probe, render};

use crate::fixtures::full_size;
use crate::judge::{decoded, jpeg, psnr, rendered, same_facts};

struct Row {
    path: String,
    format: String,
    expected: String,
}

pub(crate) fn corpus() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    path.join("MANIFEST.tsv").exists().then_some(path)
}

fn rows(corpus: &Path) -> Vec<Row> {
    let manifest = std::fs::read_to_string(corpus.join("MANIFEST.tsv")).unwrap();
    let mut lines = manifest.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name: &str| header.iter().position(|title| *title == name).unwrap();
    let (path, format, expected) = (column("file"), column("format"), column("expected"));
    lines
        .map(|fields| Row {
            path: fields[path].to_owned(),
            format: fields[format].to_owned(),
            expected: fields[expected].to_owned(),
        })
        .collect()
}

/// Small renditions only: the corpus is about reading.
fn recipe() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.variants.retain(|variant| variant.name == "thumbnail");
    recipe
}

fn check(row: &Row, corpus: &Path) -> Result<(), String> {
    let source = std::fs::read(corpus.join(&row.path)).map_err(|error| error.to_string())?;
    let probed = probe(&source, &Limits::default());
    let rendered = render(&source, &recipe(), &Limits::default(), 2);
    match (&probed, &rendered) {
        (Ok(probed), Ok(rendered)) => same_facts(probed, &rendered.image)?,
        (Err(_), Ok(_)) => return Err(format!("probe refuses what render takes: {probed:?}")),
        (_, Err(Error::Encode { .. })) => return Err(format!("{rendered:?}")),
        _ => {}
    }
    let is_read = matches!(
        row.format.as_str(),
        "JPEG"
            | "MPO"
            | "PNG"
            | "GIF"
            | "WEBP"
            | "BMP"
            | "AVIF"
            | "HEIF"
            | "ICO"
            | "TIFF"
            | "JXL"
            | "SVG"
            | "SVGZ"
    );
    match (row.expected.as_str(), is_read, rendered) {
        ("decode", true, Ok(rendered)) if rendered.files.len() == 3 => Ok(()),
        ("decode", false, Err(Error::Rejected(rejection)))
            if rejection.code == RejectionCode::UnsupportedFormat =>
        {
            Ok(())
        }
        ("reject" | "limit", _, Err(Error::Rejected(_))) => Ok(()),
        ("decode-or-clean-error" | "no-leak" | "sanitise", _, Ok(_) | Err(Error::Rejected(_))) => Ok(()),
        (_, _, rendered) => Err(format!("{:?}", rendered.map(|rendered| rendered.image))),
    }
}

/// Pixels of the JPEGs that need no turning and no colour conversion, against a second decoder.
#[test]
fn the_jpegs_of_the_corpus_look_as_another_decoder_sees_them() {
    let Some(corpus) = corpus() else { return };
    let mut compared = 0;
    for row in rows(&corpus) {
        let is_plain = row.format == "JPEG" && row.expected == "decode" && !row.path.starts_with("photos/");
        let source = std::fs::read(corpus.join(&row.path)).unwrap();
        let Ok(told) = probe(&source, &Limits::default()) else {
            continue;
        };
        if !is_plain || told.orientation != 1 || !matches!(told.color_space.as_str(), "srgb" | "grey") {
            continue;
        }
        if told.icc_description.is_some() {
            continue;
        }
        let ours = decoded(&rendered(&source, &full_size(&[Format::Png])).files[0]).rgb();
        let theirs = jpeg(&source).rgb();
        let psnr = psnr(&ours, &theirs);
        // Decoders differ in how they spread subsampled chroma.
        assert!(psnr > 28.0, "{}: {psnr} dB", row.path);
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn every_file_of_the_corpus_does_what_the_manifest_says() {
    let Some(corpus) = corpus() else { return };
    let failures: Vec<String> = rows(&corpus)
        .iter()
        .filter_map(|row| {
            let error = check(row, &corpus).err()?;
            Some(format!("{} ({}): {error}", row.path, row.expected))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// One file of each format, and what has to be told of it.
#[test]
fn the_headers_of_the_corpus_are_read_right() {
    let Some(corpus) = corpus() else { return };
    let told = |path: &str| probe(&std::fs::read(corpus.join(path)).unwrap(), &Limits::default()).unwrap();
    for (path, format, width, height) in [
        ("bmp/favicon.ico", "ico", 256, 256),
        ("jxl/photo_lossy_4.6mp.jxl", "jxl", 2880, 1600),
        ("svg/no_size_viewbox_only.svg", "svg", 1024, 410),
        ("svg/logo.svgz", "svg", 1024, 768),
        ("tiff/rgba_orientation6.tif", "tiff", 240, 135),
    ] {
        let info = told(path);
        assert_eq!(info.format, format, "{path}");
        assert_eq!(
            (info.dimensions.width, info.dimensions.height),
            (width, height),
            "{path}"
        );
    }
    assert_eq!(told("tiff/rgba_orientation6.tif").orientation, 6);
    assert_eq!(told("tiff/cmyk.tif").color_space, "cmyk");
    assert_eq!(told("png/cicp_pq_bt2020.png").color_space, "pq");
    let animation = told("jxl/cropped_traffic_light_anim.jxl");
    assert!(
        animation.frames > 1 && animation.duration_ms.is_some(),
        "{animation:?}"
    );
    assert!(told("gainmap/apple_gainmap_new.jpg").has_gain_map);
    assert!(told("gainmap/seine_sdr_gainmap_srgb.jpg").has_gain_map);
    assert!(!told("jpeg_variants/testorig.jpg").has_gain_map);
}
