//! One small source of each kind that is read: what tests damage, and what fuzzing starts from.
//!
//! Other crates' tests and `examples/specimens.rs` include this file, `fixtures.rs` and `container.rs` by path.

use std::io::Cursor;

use tiff::encoder::{Compression, TiffEncoder, colortype};
use tintype_model::{Format, Limits};
use tintype_transcode::render;

use crate::container::{self, Heif, Item};
use crate::fixtures::{self, Jpeg, one, photo, rgb_png, rgba_png};

const WIDTH: u32 = 48;
const HEIGHT: u32 = 40;

/// A source and the format that reads it.
pub(crate) struct Specimen {
    /// The format's name in records.
    pub(crate) format: &'static str,
    /// The kind, in words that name a file.
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// All of them. Each is 48 by 40 pixels, or a little more where it has a canvas.
pub(crate) fn specimens() -> Vec<Specimen> {
    let pixels = Pixels::new();
    let all = [
        jpegs(&pixels),
        pngs(&pixels),
        gifs(),
        webps(&pixels),
        avifs(&pixels),
        heics(),
        bitmaps(&pixels),
        tiffs(&pixels),
        others(&pixels),
    ];
    all.into_iter()
        .flatten()
        .map(|(format, name, bytes)| Specimen { format, name, bytes })
        .collect()
}

type Made = Vec<(&'static str, &'static str, Vec<u8>)>;

/// The same picture with one, three and four channels.
struct Pixels {
    grey: Vec<u8>,
    rgb: Vec<u8>,
    rgba: Vec<u8>,
    opaque: Vec<u8>,
    icc: Vec<u8>,
    exif: Vec<u8>,
}

impl Pixels {
    fn new() -> Self {
        let rgb = photo(WIDTH, HEIGHT);
        let four = |alpha: fn(&[u8]) -> u8| {
            let pixels = rgb.chunks_exact(3);
            pixels.flat_map(|p| [p[0], p[1], p[2], alpha(p)]).collect()
        };
        let place = vec![
            fixtures::Tag::ascii(1, b"N"),
            fixtures::Tag::rational(2, &[(51, 1), (28, 1), (4012, 100)]),
        ];
        Self {
            grey: rgb.chunks_exact(3).map(|pixel| pixel[0]).collect(),
            rgba: four(|pixel| pixel[1]),
            opaque: four(|_| 255),
            icc: moxcms::ColorProfile::new_display_p3().encode().unwrap(),
            exif: fixtures::camera(b"2026:11:25 18:27:58", b"+01:00", place),
            rgb,
        }
    }
}

fn jpegs(pixels: &Pixels) -> Made {
    let jpeg = |progressive, subsampled| Jpeg {
        exif: Some(&pixels.exif),
        icc: Some(&pixels.icc),
        comment: Some(b"a comment"),
        progressive,
        subsampled,
    };
    vec![
        (
            "jpeg",
            "baseline",
            jpeg(false, true).encode(&pixels.rgb, WIDTH, HEIGHT),
        ),
        (
            "jpeg",
            "progressive",
            jpeg(true, true).encode(&pixels.rgb, WIDTH, HEIGHT),
        ),
        (
            "jpeg",
            "full-chroma",
            jpeg(false, false).encode(&pixels.rgb, WIDTH, HEIGHT),
        ),
        (
            "jpeg",
            "grey",
            Jpeg::default().encode(&pixels.grey, WIDTH, HEIGHT),
        ),
        (
            "jpeg",
            "cmyk",
            Jpeg::default().encode(&pixels.rgba, WIDTH, HEIGHT),
        ),
    ]
}

fn pngs(pixels: &Pixels) -> Made {
    let with_exif = fixtures::with_chunk(&rgba_png(WIDTH, HEIGHT, &pixels.rgba), b"eXIf", &pixels.exif);
    let deep: Vec<u8> = pixels.rgb.iter().flat_map(|&byte| [byte, byte]).collect();
    let deep = fixtures::png(
        WIDTH,
        HEIGHT,
        png::ColorType::Rgb,
        png::BitDepth::Sixteen,
        &deep,
        |info| {
            info.icc_profile = Some(pixels.icc.clone().into());
        },
    );
    let indices: Vec<u8> = (0..WIDTH * HEIGHT / 4)
        .map(|at| u8::try_from(at % 256).unwrap())
        .collect();
    let palette = fixtures::png(
        WIDTH,
        HEIGHT,
        png::ColorType::Indexed,
        png::BitDepth::Two,
        &indices,
        |info| {
            info.palette = Some(vec![0, 0, 0, 250, 20, 30, 20, 240, 60, 10, 40, 230].into());
            info.trns = Some(vec![0, 128].into());
        },
    );
    vec![
        ("png", "alpha", with_exif),
        ("png", "plain", rgb_png(WIDTH, HEIGHT, &pixels.rgb)),
        ("png", "deep", deep),
        ("png", "palette", palette),
        ("png", "animated", animated_png(pixels)),
    ]
}

fn animated_png(pixels: &Pixels) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_animated(3, 2).unwrap();
    encoder.set_frame_delay(4, 100).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels.opaque).unwrap();
    for (blend, dispose) in [
        (png::BlendOp::Over, png::DisposeOp::Background),
        (png::BlendOp::Source, png::DisposeOp::Previous),
    ] {
        writer.set_frame_dimension(WIDTH / 2, HEIGHT / 2).unwrap();
        writer.set_frame_position(5, 6).unwrap();
        writer.set_blend_op(blend).unwrap();
        writer.set_dispose_op(dispose).unwrap();
        writer
            .write_image_data(&pixels.rgba[..pixels.rgba.len() / 4])
            .unwrap();
    }
    writer.finish().unwrap();
    file
}

fn gifs() -> Made {
    let indices: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|at| u8::try_from(at % 4).unwrap())
        .collect();
    vec![
        (
            "gif",
            "still",
            fixtures::gif((48, 40), (0, 0), (48, 40), &indices, 1),
        ),
        (
            "gif",
            "animated",
            fixtures::gif((50, 44), (1, 2), (48, 40), &indices, 3),
        ),
    ]
}

/// What this engine makes of a PNG.
fn made(png: &[u8], format: Format) -> Vec<u8> {
    let recipe = one(|variant| variant.formats = vec![format]);
    render(png, &recipe, &Limits::default(), 1).unwrap().files[0]
        .bytes
        .to_vec()
}

fn webps(pixels: &Pixels) -> Made {
    let still = fixtures::webp(WIDTH, HEIGHT, &pixels.opaque, None, None);
    let lossless = fixtures::webp(WIDTH, HEIGHT, &pixels.rgba, Some(&pixels.exif), Some(&pixels.icc));
    vec![
        ("webp", "lossless", lossless),
        (
            "webp",
            "lossy",
            made(&rgb_png(WIDTH, HEIGHT, &pixels.rgb), Format::Webp),
        ),
        (
            "webp",
            "lossy-alpha",
            made(&rgba_png(WIDTH, HEIGHT, &pixels.rgba), Format::Webp),
        ),
        (
            "webp",
            "animated",
            fixtures::animated_webp((50, 44), (0, 2), (WIDTH, HEIGHT), &still, 2),
        ),
    ]
}

fn avifs(pixels: &Pixels) -> Made {
    let stream = container::streams(WIDTH, HEIGHT, &pixels.rgb).remove(0);
    let picture = Item::picture(
        (WIDTH, HEIGHT),
        &stream,
        &[container::nclx(1, 13, 6), container::icc(&pixels.icc)],
    );
    let size = [container::ispe(2 * WIDTH, HEIGHT)];
    let tiles = Item::new(b"grid", &size, &container::grid(1, 2, 96, 40));
    let tile = Item::picture((WIDTH, HEIGHT), &stream, &[]);
    let grid = Heif::avif(vec![tiles, tile.clone(), tile]).refer(b"dimg", 1, &[2, 3]);
    vec![
        (
            "avif",
            "encoded",
            made(&rgb_png(WIDTH, HEIGHT, &pixels.rgb), Format::Avif),
        ),
        (
            "avif",
            "alpha",
            made(&rgba_png(WIDTH, HEIGHT, &pixels.rgba), Format::Avif),
        ),
        ("avif", "profile", Heif::avif(vec![picture]).file()),
        ("avif", "grid", grid.file()),
        (
            "avif",
            "sequence",
            container::sequence((48, 40), &[stream.clone(), stream], 40),
        ),
    ]
}

/// Nothing here encodes HEVC: the container and the parameter sets are whole, the picture in them is not.
fn heics() -> Made {
    let sps: [u8; 32] = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 0x03, 0, 0, 0x03, 0, 0, 0x03, 0, 0, 0x03, 0, 0x5A, 0xA0, 0x06,
        0x20, 0x50, 0x51, 0x65, 0x95, 0x9A, 0x49, 0x32, 0xBC, 0x05, 0xA0,
    ];
    let mut config = vec![
        1, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 90, 0xF0, 0, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0x0F,
    ];
    config.extend([1, 0xA1, 0, 1, 0, 32]);
    config.extend(sps);
    let properties = [container::ispe(WIDTH, HEIGHT), container::boxed(b"hvcC", &config)];
    let slice = [0, 0, 0, 9, 0x26, 0x01, 0xAF, 0x1D, 0x20, 0x84, 0x11, 0x80, 0x40];
    let heic = |items| Heif {
        brands: vec![*b"heic", *b"mif1"],
        ..Heif::avif(items)
    };
    let item = Item::new(b"hvc1", &properties, &slice);
    let tiles = Item::new(
        b"grid",
        &[container::ispe(2 * WIDTH, HEIGHT)],
        &container::grid(1, 2, 96, 40),
    );
    vec![
        ("heic", "picture", heic(vec![item.clone()]).file()),
        (
            "heic",
            "grid",
            heic(vec![tiles, item.clone(), item])
                .refer(b"dimg", 1, &[2, 3])
                .file(),
        ),
    ]
}

fn bitmaps(pixels: &Pixels) -> Made {
    use image::codecs::bmp::BmpEncoder;
    let mut alpha = Vec::new();
    BmpEncoder::new(&mut alpha)
        .encode(&pixels.rgba, WIDTH, HEIGHT, image::ExtendedColorType::Rgba8)
        .unwrap();
    // The bitmap of an icon has no file header, says twice its height, and has a mask behind its pixels.
    let bitmap = fixtures::bmp(WIDTH, HEIGHT, &pixels.rgb).split_off(14);
    let mut old = b"\0\0\x01\0\x01\0\x30\x28\0\0\x01\0\x18\0".to_vec();
    let mask = vec![0; 8 * HEIGHT as usize];
    old.extend(u32::try_from(bitmap.len() + mask.len()).unwrap().to_le_bytes());
    old.extend(22_u32.to_le_bytes());
    old.extend(bitmap);
    old[22 + 8..22 + 12].copy_from_slice(&(2 * HEIGHT).to_le_bytes());
    old.extend(mask);
    vec![
        ("bmp", "plain", fixtures::bmp(WIDTH, HEIGHT, &pixels.rgb)),
        ("bmp", "alpha", alpha),
        ("ico", "png", fixtures::icon(WIDTH, HEIGHT, &pixels.rgba)),
        ("ico", "bitmap", old),
    ]
}

fn tiffs(pixels: &Pixels) -> Made {
    let with = |compression| {
        let mut file = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut file).unwrap().with_compression(compression);
        encoder
            .write_image::<colortype::RGB8>(WIDTH, HEIGHT, &pixels.rgb)
            .unwrap();
        file.into_inner()
    };
    let mut big = Cursor::new(Vec::new());
    fixtures::camera_tiff(
        TiffEncoder::new_big(&mut big).unwrap(),
        (WIDTH, HEIGHT),
        &pixels.rgb,
        "a note",
    );
    let mut grey = Cursor::new(Vec::new());
    TiffEncoder::new(&mut grey)
        .unwrap()
        .write_image::<colortype::Gray8>(WIDTH, HEIGHT, &pixels.grey)
        .unwrap();
    vec![
        ("tiff", "lzw", fixtures::tiff(WIDTH, HEIGHT, &pixels.rgb)),
        (
            "tiff",
            "deflate",
            with(Compression::Deflate(tiff::encoder::DeflateLevel::Balanced)),
        ),
        ("tiff", "packbits", with(Compression::Packbits)),
        ("tiff", "big", big.into_inner()),
        ("tiff", "grey", grey.into_inner()),
    ]
}

fn others(pixels: &Pixels) -> Made {
    let lossy = fixtures::jxl(WIDTH as usize, HEIGHT as usize, &pixels.rgb);
    let boxes = [
        container::boxed(b"JXL ", b"\r\n\x87\n"),
        container::boxed(b"ftyp", b"jxl \0\0\0\0jxl "),
        container::boxed(b"Exif", &[&[0; 4], &pixels.exif[..]].concat()),
        container::boxed(b"jxlc", &lossy),
    ];
    vec![
        ("jxl", "lossy", lossy),
        ("jxl", "boxes", boxes.concat()),
        ("svg", "drawing", fixtures::svg()),
    ]
}
