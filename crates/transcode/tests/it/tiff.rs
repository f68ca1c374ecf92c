//! TIFF of every kind that is read, written by another crate or by hand, and those that are refused.

use std::io::Cursor;

use moxcms::ColorProfile;
use tiff::encoder::colortype::{CMYK8, ColorType, Gray8, Gray16, RGB8, RGB16, RGB32Float, RGBA8};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, TiffKind, TiffValue};
use tiff::tags::Tag;
use tintype_model::Dimensions;

use crate::fixtures::photo;
use crate::judge::{psnr, rejection, shown, told};

/// A directory of whole numbers and one strip, least significant byte first.
#[derive(Clone, Default)]
struct ByHand {
    entries: Vec<(u16, u16, Vec<u32>)>,
    strip: Vec<u8>,
}

const SHORT: u16 = 3;
const LONG: u16 = 4;

impl ByHand {
    fn new(width: u32, height: u32, photometric: u32, bits: &[u32], strip: &[u8]) -> Self {
        let length = u32::try_from(strip.len()).unwrap();
        let samples = u32::try_from(bits.len()).unwrap();
        Self {
            entries: vec![
                (256, LONG, vec![width]),
                (257, LONG, vec![height]),
                (258, SHORT, bits.to_vec()),
                (259, SHORT, vec![1]),
                (262, SHORT, vec![photometric]),
                (273, LONG, vec![8]),
                (277, SHORT, vec![samples]),
                (278, LONG, vec![height]),
                (279, LONG, vec![length]),
            ],
            strip: strip.to_vec(),
        }
    }

    fn with(mut self, tag: u16, kind: u16, values: &[u32]) -> Self {
        self.entries.retain(|(other, ..)| *other != tag);
        self.entries.push((tag, kind, values.to_vec()));
        self
    }

    fn file(mut self) -> Vec<u8> {
        self.entries.sort();
        if self.strip.len() % 2 == 1 {
            self.strip.push(0);
        }
        let directory = 8 + self.strip.len();
        let mut file = b"II*\0".to_vec();
        file.extend(u32::try_from(directory).unwrap().to_le_bytes());
        file.extend(&self.strip);
        file.extend(u16::try_from(self.entries.len()).unwrap().to_le_bytes());
        let mut behind = Vec::new();
        let start = directory + 2 + self.entries.len() * 12 + 4;
        for (tag, kind, values) in &self.entries {
            let mut bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes()[..if *kind == SHORT { 2 } else { 4 }].to_vec())
                .collect();
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(u32::try_from(values.len()).unwrap().to_le_bytes());
            if bytes.len() > 4 {
                let at = u32::try_from(start + behind.len()).unwrap();
                behind.extend(bytes);
                bytes = at.to_le_bytes().to_vec();
            }
            bytes.resize(4, 0);
            file.extend(bytes);
        }
        file.extend([0; 4]);
        file.extend(behind);
        file
    }
}

fn written<C: ColorType, K: TiffKind>(
    encoder: TiffEncoder<&mut Cursor<Vec<u8>>, K>,
    compression: Compression,
    size: (u32, u32),
    data: &[C::Inner],
) where
    [C::Inner]: TiffValue,
{
    encoder
        .with_compression(compression)
        .write_image::<C>(size.0, size.1, data)
        .unwrap();
}

fn compressed<C: ColorType>(compression: Compression, size: (u32, u32), data: &[C::Inner]) -> Vec<u8>
where
    [C::Inner]: TiffValue,
{
    let mut file = Cursor::new(Vec::new());
    written::<C, _>(TiffEncoder::new(&mut file).unwrap(), compression, size, data);
    file.into_inner()
}

#[test]
fn tiff_of_all_depths_and_compressions_is_read_exactly() {
    let (width, height) = (61, 43);
    let pixels = photo(width, height);
    let grey: Vec<u8> = pixels.chunks_exact(3).map(|pixel| pixel[1]).collect();
    let spread: Vec<u8> = grey.iter().flat_map(|&grey| [grey; 3]).collect();
    let deep = |data: &[u8]| {
        data.iter()
            .map(|&byte| u16::from(byte) * 257)
            .collect::<Vec<u16>>()
    };
    for compression in [
        Compression::Uncompressed,
        Compression::Lzw,
        Compression::Deflate(DeflateLevel::Fast),
        Compression::Packbits,
    ] {
        let size = (width, height);
        assert_eq!(
            shown(&compressed::<RGB8>(compression, size, &pixels)).rgb(),
            pixels
        );
        assert_eq!(
            shown(&compressed::<Gray8>(compression, size, &grey)).rgb(),
            spread
        );
        let rgb16 = compressed::<RGB16>(compression, size, &deep(&pixels));
        assert_eq!(shown(&rgb16).rgb(), pixels);
        assert_eq!(told(&rgb16).bit_depth, 16);
        let grey16 = compressed::<Gray16>(compression, size, &deep(&grey));
        assert_eq!(shown(&grey16).rgb(), spread);
        assert_eq!(told(&grey16).color_space, "grey");
    }
    let mut big = Cursor::new(Vec::new());
    written::<RGB8, _>(
        TiffEncoder::new_big(&mut big).unwrap(),
        Compression::Lzw,
        (width, height),
        &pixels,
    );
    assert_eq!(shown(&big.into_inner()).rgb(), pixels);
}

#[test]
fn floating_point_is_clipped_to_what_a_screen_shows() {
    let data = [0.0f32, 0.5, 1.0, -3.0, 7.5, f32::NAN];
    let source = compressed::<RGB32Float>(Compression::Uncompressed, (2, 1), &data);
    assert_eq!(told(&source).bit_depth, 32);
    assert_eq!(shown(&source).rgb(), [0, 128, 255, 0, 255, 0]);
}

#[test]
fn ink_is_counted_the_other_way_round_than_in_jpeg() {
    // Cyan, black, none, half magenta.
    let inks = [255, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 128, 0, 0];
    let source = compressed::<CMYK8>(Compression::Lzw, (4, 1), &inks);
    assert_eq!(told(&source).color_space, "cmyk");
    assert_eq!(
        shown(&source).rgb(),
        [0, 255, 255, 0, 0, 0, 255, 255, 255, 255, 127, 255]
    );
}

#[test]
fn palettes_and_few_bits_are_looked_up() {
    // Two bits: indices 0 to 3, then 3 to 0 in the second row.
    let colors = [[10u32, 20, 30], [250, 0, 0], [0, 240, 0], [0, 0, 230]];
    let map: Vec<u32> = (0..3)
        .flat_map(|channel| colors.map(|color| color[channel] * 257))
        .collect();
    let source = ByHand::new(4, 2, 3, &[2], &[0b0001_1011, 0b1110_0100]).with(320, SHORT, &map);
    let image = shown(&source.clone().file());
    assert_eq!(image.pixel(0, 0), [10, 20, 30, 255]);
    assert_eq!(image.pixel(1, 0), [250, 0, 0, 255]);
    assert_eq!(image.pixel(3, 0), image.pixel(0, 1));
    // The same with colours of 8 bits in the fields for 16, as old writers have it.
    let small: Vec<u32> = map.iter().map(|value| value / 257).collect();
    assert_eq!(shown(&source.clone().with(320, SHORT, &small).file()), image);
    let (code, detail) = rejection(&source.with(320, SHORT, &map[..6]).file());
    assert_eq!(code, "corrupt_image", "{detail}");

    // One bit, where 0 is white; four bits, where it is black.
    let white = shown(&ByHand::new(8, 1, 0, &[1], &[0b0101_0000]).file());
    assert_eq!([white.pixel(0, 0)[0], white.pixel(1, 0)[0]], [255, 0]);
    let black = shown(&ByHand::new(2, 1, 1, &[4], &[0x0F]).file());
    assert_eq!([black.pixel(0, 0)[0], black.pixel(1, 0)[0]], [0, 255]);
}

#[test]
fn alpha_is_straight_or_was_multiplied_in_as_the_file_says() {
    let pixel = [100, 50, 25, 128];
    let source = ByHand::new(1, 1, 2, &[8; 4], &pixel);
    let straight = shown(&source.clone().with(338, SHORT, &[2]).file());
    assert_eq!(straight.pixel(0, 0), [100, 50, 25, 128]);
    let associated = shown(&source.clone().with(338, SHORT, &[1]).file());
    assert_eq!(associated.pixel(0, 0), [199, 100, 50, 128]);
    // A selection that somebody saved is no transparency.
    let unspecified = source.with(338, SHORT, &[0]).file();
    assert!(!told(&unspecified).has_alpha);
    assert_eq!(shown(&unspecified).pixel(0, 0), [100, 50, 25, 255]);
    let grey = ByHand::new(2, 1, 1, &[8; 2], &[40, 255, 80, 0])
        .with(338, SHORT, &[2])
        .file();
    let image = shown(&grey);
    assert_eq!(
        [image.pixel(0, 0), image.pixel(1, 0)],
        [[40, 40, 40, 255], [80, 80, 80, 0]]
    );
    let rgba: Vec<u8> = photo(9, 7)
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], p[1]])
        .collect();
    let written = compressed::<RGBA8>(Compression::Lzw, (9, 7), &rgba);
    assert_eq!(shown(&written).rgba, rgba);
}

#[test]
fn planes_and_tiles_are_put_together() {
    let planes = ByHand::new(2, 1, 2, &[8; 3], &[1, 2, 3, 4, 5, 6])
        .with(284, SHORT, &[2])
        .with(273, LONG, &[8, 10, 12])
        .with(279, LONG, &[2, 2, 2]);
    assert_eq!(shown(&planes.file()).rgb(), [1, 3, 5, 2, 4, 6]);
    // 20x16 grey pixels in two tiles of 16x16.
    let tile: Vec<u8> = (0..=255).collect();
    let mut tiles = ByHand::new(20, 16, 1, &[8], &[&tile[..], &tile[..]].concat())
        .with(322, SHORT, &[16])
        .with(323, SHORT, &[16])
        .with(324, LONG, &[8, 8 + 256])
        .with(325, LONG, &[256, 256]);
    tiles.entries.retain(|(tag, ..)| !matches!(tag, 273 | 278 | 279));
    let image = shown(&tiles.file());
    assert_eq!(
        [image.pixel(0, 1)[0], image.pixel(15, 1)[0], image.pixel(16, 1)[0]],
        [16, 31, 16]
    );
}

#[test]
fn orientation_and_profile_are_applied() {
    let pixels = photo(40, 30);
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let mut image = encoder.new_image::<RGB8>(40, 30).unwrap();
    image.encoder().write_tag(Tag::Orientation, 6u16).unwrap();
    image
        .encoder()
        .write_tag(Tag::Unknown(34_675), &profile[..])
        .unwrap();
    image.write_data(&pixels).unwrap();
    let source = file.into_inner();
    let info = told(&source);
    assert_eq!(
        info.dimensions,
        Dimensions {
            width: 30,
            height: 40
        }
    );
    assert_eq!((info.orientation, info.color_space.as_str()), (6, "icc"));
    assert_eq!(info.icc_description.as_deref(), Some("Display P3"));
    // The first pixel is at the top right now, and more saturated than it was.
    let shown = shown(&source);
    let first = shown.pixel(29, 0);
    assert!(psnr(&first[..3], &pixels[..3]) > 20.0, "{first:?}");
    assert_ne!(first[..3], pixels[..3]);
}

#[test]
fn the_first_of_several_pages_is_shown() {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    for page in 0..3u8 {
        encoder.write_image::<Gray8>(4, 4, &[page * 100; 16]).unwrap();
    }
    let source = file.into_inner();
    assert_eq!(told(&source).frames, 1);
    assert_eq!(shown(&source).pixel(0, 0), [0, 0, 0, 255]);
}

#[test]
fn camera_raws_are_named_and_not_shown_as_their_preview() {
    let preview = ByHand::new(2, 2, 2, &[8; 3], &[9; 12]);
    let make = |source: ByHand, make: &str| {
        let bytes: Vec<u32> = make.bytes().chain([0]).map(u32::from).collect();
        // As whole numbers of four bytes, of which the first is a letter: only the start is compared.
        let mut file = source.with(271, LONG, &bytes).file();
        let text: Vec<u8> = bytes.iter().map(|&byte| u8::try_from(byte).unwrap()).collect();
        let at = file.len() - bytes.len() * 4;
        file[at..at + text.len()].copy_from_slice(&text);
        file
    };
    let nested = preview.clone().with(254, LONG, &[1]).with(330, LONG, &[8]);
    let mut canon = preview.clone().file();
    canon[8..10].copy_from_slice(b"CR");
    for (source, name) in [
        (preview.clone().with(50_706, LONG, &[0x0000_0401]).file(), "DNG"),
        (make(nested.clone(), "NIKON CORPORATION"), "Nikon NEF"),
        (make(nested.clone(), "SONY      "), "Sony ARW"),
        (nested.file(), "camera raw"),
        (canon, "camera raw"),
        (preview.clone().with(262, SHORT, &[32_803]).file(), "camera raw"),
        (preview.with(259, SHORT, &[34_713]).file(), "camera raw"),
        (b"IIRO\x08\0\0\0".to_vec(), "Olympus ORF"),
    ] {
        let (code, detail) = rejection(&source);
        assert_eq!(code, "unsupported_format", "{detail}");
        assert!(detail.contains(name), "{detail}");
    }
}

#[test]
fn sizes_in_tiles_and_strips_have_to_fit_the_picture() {
    let plain = || ByHand::new(4, 4, 1, &[8], &[7; 16]);
    let code = |source: ByHand| rejection(&source.file());
    let (name, detail) = code(plain().with(256, LONG, &[60_000]).with(257, LONG, &[60_000]));
    assert_eq!(name, "too_many_pixels", "{detail}");
    let mut tiles = plain()
        .with(322, LONG, &[65_535])
        .with(323, LONG, &[65_535])
        .with(324, LONG, &[8])
        .with(325, LONG, &[16]);
    tiles.entries.retain(|(tag, ..)| !matches!(tag, 273 | 278 | 279));
    let (name, detail) = code(tiles);
    assert_eq!(name, "corrupt_image", "{detail}");
    assert!(detail.contains("larger"), "{detail}");
    let (name, detail) = code(plain().with(273, LONG, &[9000]));
    assert_eq!(name, "corrupt_image", "{detail}");
    assert!(detail.contains("cut off"), "{detail}");
    // A JPEG of 65,000 pixels a side in the strip of a small picture.
    let jpeg = b"\xFF\xD8\xFF\xC0\0\x0B\x08\xFD\xE8\xFD\xE8\x01\x01\x11\0\xFF\xD9";
    let mut hostile = ByHand::new(4, 4, 1, &[8], jpeg).with(259, SHORT, &[7]);
    hostile.strip = jpeg.to_vec();
    let (name, detail) = code(hostile);
    assert_eq!(name, "corrupt_image", "{detail}");
    assert!(detail.contains("larger"), "{detail}");
}
