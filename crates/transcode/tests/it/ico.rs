//! Icons: the largest picture counts, however it is stored.

use image::ExtendedColorType;
use image::codecs::ico::{IcoEncoder, IcoFrame};
use tintype_model::{Dimensions, Format, Limits};
use tintype_transcode::probe;

use crate::fixtures::{full_size, photo, rgb_png};
use crate::judge::{Decoded, decoded, rejection, rendered, same_facts};

fn shown(source: &[u8]) -> Decoded {
    let rendered = rendered(source, &full_size(&[Format::Png]));
    same_facts(&probe(source, &Limits::default()).unwrap(), &rendered.image).unwrap();
    assert_eq!(rendered.image.format, "ico");
    decoded(&rendered.files[0])
}

/// An icon of pictures that are there already, each with the sides that its entry claims.
fn icon(pictures: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let mut file = vec![0, 0, 1, 0];
    file.extend(u16::try_from(pictures.len()).unwrap().to_le_bytes());
    let mut at = u32::try_from(6 + 16 * pictures.len()).unwrap();
    for (width, height, data) in pictures {
        let length = u32::try_from(data.len()).unwrap();
        file.extend([*width, *height, 0, 0, 1, 0, 32, 0]);
        file.extend(length.to_le_bytes());
        file.extend(at.to_le_bytes());
        at += length;
    }
    for (_, _, data) in pictures {
        file.extend_from_slice(data);
    }
    file
}

/// A BMP without its file header, of two rows, with a mask under it.
fn bitmap(bits: u16, rows: &[u8], mask: &[u8]) -> Vec<u8> {
    let mut data = 40u32.to_le_bytes().to_vec();
    data.extend(2u32.to_le_bytes());
    data.extend(4u32.to_le_bytes());
    data.extend([1, 0]);
    data.extend(bits.to_le_bytes());
    data.extend([0; 24]);
    data.extend_from_slice(rows);
    data.extend_from_slice(mask);
    data
}

#[test]
fn the_largest_picture_is_shown() {
    let small: Vec<u8> = [10, 20, 30, 255].repeat(16 * 16);
    let large: Vec<u8> = photo(48, 48)
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], p[1]])
        .collect();
    let frame = |data: &[u8], side| IcoFrame::as_png(data, side, side, ExtendedColorType::Rgba8).unwrap();
    let mut file = Vec::new();
    IcoEncoder::new(&mut file)
        .encode_images(&[frame(&large, 48), frame(&small, 16)])
        .unwrap();
    let image = shown(&file);
    assert_eq!((image.width, image.height), (48, 48));
    assert_eq!(image.rgba, large);
    // A picture without alpha, larger than an entry can say, behind one whose entry has a wrong size.
    let pixels = photo(300, 260);
    let png = rgb_png(300, 260, &pixels);
    let source = icon(&[(16, 16, &rgb_png(16, 16, &photo(16, 16))), (0, 0, &png)]);
    assert_eq!(shown(&source).rgb(), pixels);
}

#[test]
fn masks_cut_out_what_has_no_alpha() {
    // Rows from the bottom, each of 2 pixels and 2 bytes of padding; the mask hides the left pixel of the bottom row.
    let rows = [1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0];
    let mask = [0x80, 0, 0, 0, 0, 0, 0, 0];
    let image = shown(&icon(&[(2, 2, &bitmap(24, &rows, &mask))]));
    assert_eq!(image.pixel(0, 0), [9, 8, 7, 255]);
    assert_eq!(image.pixel(1, 1), [6, 5, 4, 255]);
    assert_eq!(image.pixel(0, 1)[3], 0);
    let deep = [1, 2, 3, 77, 4, 5, 6, 255, 7, 8, 9, 255, 10, 11, 12, 255];
    let image = shown(&icon(&[(2, 2, &bitmap(32, &deep, &[0; 8]))]));
    assert_eq!(image.pixel(0, 1), [3, 2, 1, 77]);
    // 32 bits without alpha in them: only the mask counts.
    let empty: Vec<u8> = deep.chunks(4).flat_map(|p| [p[0], p[1], p[2], 0]).collect();
    let image = shown(&icon(&[(2, 2, &bitmap(32, &empty, &mask))]));
    assert_eq!(image.pixel(0, 0), [9, 8, 7, 255]);
    assert_eq!(image.pixel(0, 1)[3], 0);
}

#[test]
fn masks_do_not_touch_what_has_alpha() {
    let deep = [1, 2, 3, 77, 4, 5, 6, 255, 7, 8, 9, 1, 10, 11, 12, 255];
    let opaque: Vec<u8> = deep.chunks(4).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let hidden: Vec<u8> = deep.chunks(4).flat_map(|p| [p[0], p[1], p[2], 0]).collect();
    let (all, left) = ([0xFF; 8], [0x80, 0, 0, 0, 0x80, 0, 0, 0]);
    for mask in [&[0; 8][..], &all, &left, &left[..5], &[]] {
        for bits in [0, 1, 32] {
            let mut source = icon(&[(2, 2, &bitmap(32, &deep, mask))]);
            source[6 + 6] = bits;
            let image = shown(&source);
            let alphas = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| image.pixel(x, y)[3]);
            assert_eq!(
                alphas,
                [1, 255, 77, 255],
                "{mask:?}, {bits} bits in the directory"
            );
        }
        let image = shown(&icon(&[(2, 2, &bitmap(32, &opaque, mask))]));
        assert_eq!(image.rgb(), [9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4], "{mask:?}");
        assert!(image.rgba.chunks(4).all(|pixel| pixel[3] == 255), "{mask:?}");
    }
    // Rows of a mask that are missing hide nothing.
    for (mask, alphas) in [
        (&left[..], [0, 255, 0, 255]),
        (&left[..4], [255, 255, 0, 255]),
        (&[], [255; 4]),
    ] {
        let rows = [1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0];
        for picture in [bitmap(32, &hidden, mask), bitmap(24, &rows, mask)] {
            let image = shown(&icon(&[(2, 2, &picture)]));
            assert_eq!(
                [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| image.pixel(x, y)[3]),
                alphas,
                "{mask:?}"
            );
        }
    }
}

#[test]
fn the_picture_with_most_bits_is_shown_among_those_of_the_same_size() {
    let deep = bitmap(32, &[200, 100, 50, 255].repeat(4), &[0; 8]);
    let few = bitmap(24, &[0; 16], &[0; 8]);
    for (one, other) in [
        ((&deep, 0), (&few, 24)),
        ((&few, 24), (&deep, 0)),
        ((&few, 0), (&deep, 0)),
    ] {
        let mut source = icon(&[(2, 2, one.0), (2, 2, other.0)]);
        (source[6 + 6], source[22 + 6]) = (one.1, other.1);
        assert_eq!(
            shown(&source).pixel(0, 0),
            [50, 100, 200, 255],
            "{} {}",
            one.1,
            other.1
        );
    }
}

#[test]
fn the_picture_inside_has_to_keep_the_limits() {
    let mut huge = rgb_png(8, 8, &photo(8, 8));
    huge[16..24].copy_from_slice(&[0, 0, 0x9C, 0x40, 0, 0, 0x9C, 0x40]);
    assert_eq!(rejection(&icon(&[(0, 0, &huge)])).0, "too_many_pixels");
    let mut bitmap = bitmap(24, &[0; 16], &[0; 8]);
    bitmap[4..12].copy_from_slice(&[0, 0, 1, 0, 0, 0, 2, 0]);
    assert_eq!(rejection(&icon(&[(0, 0, &bitmap)])).0, "too_many_pixels");
    let whole = icon(&[(8, 8, &rgb_png(8, 8, &photo(8, 8)))]);
    let size = probe(&whole, &Limits::default()).unwrap().dimensions;
    assert_eq!(size, Dimensions { width: 8, height: 8 });
    assert_eq!(rejection(&whole[..whole.len() - 20]).0, "corrupt_image");
    assert_eq!(
        rejection(&icon(&[(8, 8, b"neither PNG nor BMP, but long enough")])).0,
        "corrupt_image"
    );
}
