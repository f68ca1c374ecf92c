//! Renditions as large as their source: none has more bytes, and the source's own coefficients serve where they can.

use mozjpeg::{ColorSpace, Compress, Marker};
use tintype_model::{Color, Dimensions, Format, RenderedFile};
use tintype_transcode::stages::Pixels;

use crate::fixtures::{exif, full_size, photo};
use crate::judge::{decoded, jpeg, psnr, rendered};

const SIZE: (u32, u32) = (420, 310);

#[derive(Clone, Copy, Debug)]
struct Kind {
    quality: u8,
    is_progressive: bool,
    is_subsampled: bool,
    is_grey: bool,
}

fn kinds(quality: u8) -> [Kind; 5] {
    let usual = Kind {
        quality,
        is_progressive: false,
        is_subsampled: true,
        is_grey: false,
    };
    [
        usual,
        Kind {
            is_progressive: true,
            ..usual
        },
        Kind {
            is_subsampled: false,
            ..usual
        },
        Kind {
            is_grey: true,
            ..usual
        },
        Kind {
            is_grey: true,
            is_progressive: true,
            ..usual
        },
    ]
}

/// A photo of that kind, with those segments.
fn source(kind: Kind, segments: &[(Marker, &[u8])]) -> Vec<u8> {
    let mut pixels = photo(SIZE.0, SIZE.1);
    if kind.is_grey {
        pixels = pixels.chunks_exact(3).map(|pixel| pixel[1]).collect();
    }
    let mut jpeg = Compress::new(if kind.is_grey {
        ColorSpace::JCS_GRAYSCALE
    } else {
        ColorSpace::JCS_RGB
    });
    jpeg.set_size(SIZE.0 as usize, SIZE.1 as usize);
    jpeg.set_fastest_defaults();
    jpeg.set_quality(kind.quality.into());
    jpeg.set_optimize_coding(true);
    if !kind.is_grey {
        let size = if kind.is_subsampled { (2, 2) } else { (1, 1) };
        jpeg.set_chroma_sampling_pixel_sizes(size, size);
    }
    if kind.is_progressive {
        jpeg.set_progressive_mode();
    }
    let mut jpeg = jpeg.start_compress(Vec::new()).unwrap();
    for (marker, body) in segments {
        jpeg.write_marker(*marker, body);
    }
    jpeg.write_scanlines(&pixels).unwrap();
    jpeg.finish().unwrap()
}

fn jpeg_of(source: &[u8]) -> RenderedFile {
    rendered(source, &full_size(&[Format::Jpeg])).files.remove(0)
}

fn contains(file: &[u8], word: &[u8]) -> bool {
    file.windows(word.len()).any(|window| window == word)
}

#[test]
fn no_format_has_more_bytes_than_a_source_of_the_same_size() {
    for quality in [10, 25, 40, 50, 60, 75, 80, 90, 97] {
        for kind in kinds(quality) {
            let source = source(kind, &[]);
            let formats = [Format::Avif, Format::Webp, Format::Jpeg];
            for file in rendered(&source, &full_size(&formats)).files {
                let (ours, theirs) = (file.bytes.len(), source.len());
                assert!(ours <= theirs, "{kind:?}, {:?}: {ours} of {theirs}", file.format);
            }
        }
    }
}

#[test]
fn coarse_sources_keep_their_pixels_and_lose_everything_else() {
    let secret = exif(1, b"secret");
    // At the quality that is asked for, or coarser.
    for quality in [10, 25, 50, 60, 67] {
        for kind in kinds(quality) {
            let block = [b"Exif\0\0", &secret[..]].concat();
            let segments = [
                (Marker::APP(1), &block[..]),
                (Marker::COM, b"secret"),
                (Marker::APP(7), b"secret"),
            ];
            let mut source = source(kind, &segments);
            source.extend(b"<script>secret</script>");
            let file = jpeg_of(&source);
            assert!(file.encoding.is_lossless, "{kind:?}: {:?}", file.encoding);
            assert!(jpeg(&file.bytes) == jpeg(&source), "{kind:?}");
            assert!(!contains(&file.bytes, b"secret"), "{kind:?}");
        }
    }
}

#[test]
fn fine_sources_are_made_coarser_as_before() {
    for kind in kinds(95) {
        let source = source(kind, &[]);
        let file = jpeg_of(&source);
        assert!(!file.encoding.is_lossless, "{kind:?}");
        assert!(
            file.bytes.len() * 4 < source.len() * 3,
            "{kind:?}: {}",
            file.bytes.len()
        );
    }
}

#[test]
fn sources_that_have_to_be_turned_or_converted_are_not_copied() {
    let kind = kinds(50)[0];
    let turned = [b"Exif\0\0", &exif(3, b"")[..]].concat();
    let wide = [
        b"ICC_PROFILE\0\x01\x01",
        &moxcms::ColorProfile::new_display_p3().encode().unwrap()[..],
    ]
    .concat();
    for segments in [[(Marker::APP(1), &turned[..])], [(Marker::APP(2), &wide[..])]] {
        let source = source(kind, &segments);
        let file = jpeg_of(&source);
        assert!(!file.encoding.is_lossless);
        // Not finer than the source.
        assert!(
            file.encoding.quality.is_some_and(|quality| quality <= 51),
            "{:?}",
            file.encoding
        );
        assert!(psnr(&decoded(&file).rgb(), &jpeg(&source).rgb()) < 40.0);
    }
    // Colours that are kept are converted too.
    let mut recipe = full_size(&[Format::Jpeg]);
    recipe.variants[0].color = Color::Keep;
    let source = source(kind, &[(Marker::APP(2), &wide[..])]);
    assert!(!rendered(&source, &recipe).files[0].encoding.is_lossless);
}

#[test]
fn a_profile_that_says_srgb_changes_nothing_and_is_left_out() {
    let srgb = moxcms::ColorProfile::new_srgb().encode().unwrap();
    let segment = [b"ICC_PROFILE\0\x01\x01", &srgb[..]].concat();
    let source = source(kinds(50)[0], &[(Marker::APP(2), &segment[..])]);
    let file = jpeg_of(&source);
    assert!(file.encoding.is_lossless, "{:?}", file.encoding);
    assert!(jpeg(&file.bytes) == jpeg(&source));
    assert!(!contains(&file.bytes, b"ICC_PROFILE"));
}

#[test]
fn smaller_variants_are_made_of_pixels() {
    let source = source(kinds(50)[0], &[]);
    let mut recipe = full_size(&[Format::Jpeg]);
    recipe.variants[0].width = Some(200);
    let file = rendered(&source, &recipe).files.remove(0);
    assert!(
        !file.encoding.is_lossless && file.encoding.quality.is_none(),
        "{:?}",
        file.encoding
    );
}

#[test]
fn a_png_that_was_packed_better_keeps_its_rows() {
    let (width, height) = (1500, 1400);
    let pixels = photo(width, height);
    let mut source = Vec::new();
    let mut encoder = png::Encoder::new(&mut source, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::Adaptive);
    encoder
        .add_text_chunk("Comment".to_owned(), "secret".to_owned())
        .unwrap();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    source.extend(b"<script>secret</script>");
    let file = rendered(&source, &full_size(&[Format::Png])).files.remove(0);
    assert!(
        file.bytes.len() < source.len(),
        "{} of {}",
        file.bytes.len(),
        source.len()
    );
    assert!(decoded(&file).rgb() == pixels);
    assert!(!contains(&file.bytes, b"secret"));
}

#[test]
fn a_lossy_webp_does_not_grow() {
    let full = Pixels::from_rgb(
        Dimensions {
            width: SIZE.0,
            height: SIZE.1,
        },
        photo(SIZE.0, SIZE.1),
    )
    .unwrap();
    for quality in [10, 30, 50, 65, 75, 90] {
        let source = full.encode(Format::Webp, quality).unwrap();
        for file in rendered(&source, &full_size(&[Format::Avif, Format::Webp, Format::Png])).files {
            let (ours, theirs) = (file.bytes.len(), source.len());
            let is_small = file.format == Format::Png || ours <= theirs;
            assert!(is_small, "{quality}, {:?}: {ours} of {theirs}", file.format);
        }
    }
}
