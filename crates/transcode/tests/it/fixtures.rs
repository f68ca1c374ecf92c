//! Sources made on the spot.

use std::io::Cursor;

use tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKind, TiffValue, colortype};
use tiff::tags::Type;
use tintype_model::{Format, Recipe, Variant};

/// Deterministic noise: a linear congruential generator (Numerical Recipes).
pub(crate) struct Random(pub(crate) u32);

impl Random {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between 0 and 255"
)]
pub(crate) fn byte(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// RGB pixels that compress like a photo: soft gradients, some texture, hard edges, a little noise.
pub(crate) fn photo(width: u32, height: u32) -> Vec<u8> {
    let mut random = Random(7);
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            let (fx, fy) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let sky = 120.0 + 100.0 * (1.0 - fy);
            let texture = 25.0 * (fx * 60.0).sin() * (fy * 45.0).cos();
            let disc = (fx - 0.6).powi(2) + (fy - 0.45).powi(2) < 0.04;
            let noise = f64::from(random.next() % 9) - 4.0;
            let color = if disc {
                [215.0, 90.0, 40.0]
            } else {
                [sky * 0.6, sky * 0.8, sky]
            };
            pixels.extend(color.map(|value| byte(value + texture + noise)));
        }
    }
    pixels
}

/// The content of a JPEG beside its pixels, and the way in which it is coded.
#[derive(Default)]
pub(crate) struct Jpeg<'a> {
    pub(crate) exif: Option<&'a [u8]>,
    pub(crate) icc: Option<&'a [u8]>,
    pub(crate) comment: Option<&'a [u8]>,
    pub(crate) progressive: bool,
    pub(crate) subsampled: bool,
}

impl Jpeg<'_> {
    /// Encodes `pixels` with as many channels as there are: grey, RGB or CMYK as Adobe writes it.
    pub(crate) fn encode(&self, pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
        use mozjpeg::{ColorSpace, Compress, Marker};
        let color = match pixels.len() / (width as usize * height as usize) {
            1 => ColorSpace::JCS_GRAYSCALE,
            3 => ColorSpace::JCS_RGB,
            4 => ColorSpace::JCS_CMYK,
            channels => panic!("{channels} channels"),
        };
        let mut jpeg = Compress::new(color);
        jpeg.set_size(width as usize, height as usize);
        jpeg.set_fastest_defaults();
        if color == ColorSpace::JCS_CMYK {
            jpeg.set_color_space(ColorSpace::JCS_YCCK);
        }
        jpeg.set_quality(95.0);
        if color == ColorSpace::JCS_RGB {
            let size = if self.subsampled { (2, 2) } else { (1, 1) };
            jpeg.set_chroma_sampling_pixel_sizes(size, size);
        }
        if self.progressive {
            jpeg.set_progressive_mode();
        }
        let mut jpeg = jpeg.start_compress(Vec::new()).unwrap();
        if let Some(exif) = self.exif {
            jpeg.write_marker(Marker::APP(1), &[b"Exif\0\0", exif].concat());
        }
        if let Some(comment) = self.comment {
            jpeg.write_marker(Marker::COM, comment);
        }
        // In parts that are smaller than they have to be, so that there are several.
        let parts: Vec<&[u8]> = self.icc.map(|icc| icc.chunks(200).collect()).unwrap_or_default();
        for (number, part) in parts.iter().enumerate() {
            let numbers = [
                u8::try_from(number + 1).unwrap(),
                u8::try_from(parts.len()).unwrap(),
            ];
            jpeg.write_marker(Marker::APP(2), &[b"ICC_PROFILE\0", &numbers[..], part].concat());
        }
        jpeg.write_scanlines(pixels).unwrap();
        jpeg.finish().unwrap()
    }
}

/// A TIFF structure with an orientation, and a text tag that no rendition may carry.
pub(crate) fn exif(orientation: u16, text: &[u8]) -> Vec<u8> {
    let mut exif = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    let length = u32::try_from(text.len()).unwrap();
    exif.extend([0x01, 0x0E, 0, 2]);
    exif.extend(length.to_be_bytes());
    exif.extend(38u32.to_be_bytes());
    exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1]);
    exif.extend(orientation.to_be_bytes());
    exif.extend([0, 0, 0, 0, 0, 0]);
    exif.extend(text);
    exif
}

/// One field of a TIFF structure: tag, type, count and bytes.
pub(crate) struct Tag(u16, u16, u32, Vec<u8>);

impl Tag {
    pub(crate) fn ascii(tag: u16, text: &[u8]) -> Self {
        let text = [text, b"\0"].concat();
        Self(tag, 2, u32::try_from(text.len()).unwrap(), text)
    }

    /// A text that says to be `count` bytes long and to lie at `offset`.
    pub(crate) fn text_at(tag: u16, count: u32, offset: u32) -> Self {
        Self(tag, 2, count, offset.to_be_bytes().to_vec())
    }

    pub(crate) fn long(tag: u16, value: u32) -> Self {
        Self(tag, 4, 1, value.to_be_bytes().to_vec())
    }

    pub(crate) fn rational(tag: u16, values: &[(u32, u32)]) -> Self {
        let numbers = values.iter().flat_map(|&(above, below)| [above, below]);
        let bytes = numbers.flat_map(u32::to_be_bytes).collect();
        Self(tag, 5, u32::try_from(values.len()).unwrap(), bytes)
    }
}

/// A TIFF structure of one directory, whose offsets count as if it lay `base` bytes into a larger one.
pub(crate) fn directory(base: usize, tags: &[Tag]) -> Vec<u8> {
    let number = |value: usize| u32::try_from(value).unwrap().to_be_bytes();
    let mut head = b"MM\0*\0\0\0\x08".to_vec();
    let mut values = Vec::new();
    head.extend(u16::try_from(tags.len()).unwrap().to_be_bytes());
    for Tag(tag, kind, count, bytes) in tags {
        head.extend(tag.to_be_bytes());
        head.extend(kind.to_be_bytes());
        head.extend(count.to_be_bytes());
        if bytes.len() <= 4 {
            head.extend(bytes.iter().chain(&[0; 4]).take(4));
        } else {
            head.extend(number(base + 14 + 12 * tags.len() + values.len()));
            values.extend(bytes);
        }
    }
    head.extend([0; 4]);
    [head, values].concat()
}

/// The TIFF structure that a camera writes: maker and model, then the details and the place.
#[expect(clippy::needless_pass_by_value, reason = "nobody needs the list afterwards")]
pub(crate) fn camera(time: &[u8], offset: &[u8], place: Vec<Tag>) -> Vec<u8> {
    let details = [
        Tag::ascii(0x9003, time),
        Tag::ascii(0x9011, offset),
        Tag::ascii(0xA434, b"Petzval 85 mm"),
    ];
    let main = |details: u32, place: u32| {
        let tags = [
            Tag::ascii(0x010F, b"Tintype"),
            Tag::ascii(0x0110, b"Model T"),
            Tag::long(0x8769, details),
            Tag::long(0x8825, place),
        ];
        directory(0, &tags)
    };
    // Directories follow each other without the header that `tiff` begins with.
    let end = main(0, 0).len();
    let details = directory(end - 8, &details).split_off(8);
    let place_at = end + details.len();
    let place = directory(place_at - 8, &place).split_off(8);
    let at = |offset: usize| u32::try_from(offset).unwrap();
    [main(at(end), at(place_at)), details, place].concat()
}

/// A PNG of any colour type; `change` sets what else it holds.
pub(crate) fn png(
    width: u32,
    height: u32,
    color: png::ColorType,
    depth: png::BitDepth,
    data: &[u8],
    change: impl FnOnce(&mut png::Info<'_>),
) -> Vec<u8> {
    let mut info = png::Info::with_size(width, height);
    info.color_type = color;
    info.bit_depth = depth;
    change(&mut info);
    let mut file = Vec::new();
    let mut writer = png::Encoder::with_info(&mut file, info)
        .unwrap()
        .write_header()
        .unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    file
}

pub(crate) fn rgb_png(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    png(
        width,
        height,
        png::ColorType::Rgb,
        png::BitDepth::Eight,
        data,
        |_| {},
    )
}

pub(crate) fn rgba_png(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    png(
        width,
        height,
        png::ColorType::Rgba,
        png::BitDepth::Eight,
        data,
        |_| {},
    )
}

/// A PNG chunk with its checksum.
pub(crate) fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for &byte in name.iter().chain(data) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], name, data, &(!crc).to_be_bytes()].concat()
}

/// `png` with another chunk right after its header.
pub(crate) fn with_chunk(png: &[u8], name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let (head, rest) = png.split_at(33);
    [head, &chunk(name, data), rest].concat()
}

/// A lossless WebP; RGB or RGBA by the number of bytes.
pub(crate) fn webp(width: u32, height: u32, data: &[u8], exif: Option<&[u8]>, icc: Option<&[u8]>) -> Vec<u8> {
    let color = match data.len() / (width as usize * height as usize) {
        3 => image_webp::ColorType::Rgb8,
        4 => image_webp::ColorType::Rgba8,
        channels => panic!("{channels} channels"),
    };
    let mut file = Vec::new();
    let mut encoder = image_webp::WebPEncoder::new(&mut file);
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif.to_vec());
    }
    if let Some(icc) = icc {
        encoder.set_icc_profile(icc.to_vec());
    }
    encoder.encode(data, width, height, color).unwrap();
    file
}

pub(crate) fn riff(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    let padding: &[u8] = if data.len() % 2 == 1 { &[0] } else { &[] };
    [name, &length[..], data, padding].concat()
}

pub(crate) fn three(value: u32) -> [u8; 3] {
    let [a, b, c, _] = value.to_le_bytes();
    [a, b, c]
}

/// An animation of `count` frames, each the still `frame` at (`left`, `top`) on a transparent canvas.
pub(crate) fn animated_webp(
    canvas: (u32, u32),
    at: (u32, u32),
    size: (u32, u32),
    still: &[u8],
    count: usize,
) -> Vec<u8> {
    let header = [
        &[0b1_0010, 0, 0, 0][..],
        &three(canvas.0 - 1),
        &three(canvas.1 - 1),
    ]
    .concat();
    // The still's own bitstream chunk, after its RIFF header.
    let frame = [
        &three(at.0 / 2)[..],
        &three(at.1 / 2),
        &three(size.0 - 1),
        &three(size.1 - 1),
        &three(100),
        &[0],
        &still[12..],
    ]
    .concat();
    let mut body = b"WEBP".to_vec();
    body.extend(riff(b"VP8X", &header));
    body.extend(riff(b"ANIM", &[0, 0, 0, 0, 0, 0]));
    for _ in 0..count {
        body.extend(riff(b"ANMF", &frame));
    }
    riff(b"RIFF", &body)
}

/// A GIF of `count` frames of one size on a larger canvas; index 0 is transparent.
pub(crate) fn gif(
    canvas: (u16, u16),
    at: (u16, u16),
    size: (u16, u16),
    indices: &[u8],
    count: usize,
) -> Vec<u8> {
    let palette = [0, 0, 0, 250, 20, 30, 20, 240, 60, 10, 40, 230];
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, canvas.0, canvas.1, &palette).unwrap();
    for _ in 0..count {
        let mut frame = gif::Frame::from_indexed_pixels(size.0, size.1, indices.to_vec(), Some(0));
        (frame.left, frame.top) = at;
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    file
}

/// A 24-bit BMP, rows from the bottom.
pub(crate) fn bmp(width: u32, height: u32, rgb: &[u8]) -> Vec<u8> {
    let stride = (width as usize * 3).div_ceil(4) * 4;
    let size = u32::try_from(54 + stride * height as usize).unwrap();
    let mut file = b"BM".to_vec();
    file.extend(size.to_le_bytes());
    file.extend([0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0]);
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24]);
    for row in rgb.chunks_exact(width as usize * 3).rev() {
        let start = file.len();
        file.extend(
            row.chunks_exact(3)
                .flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]),
        );
        file.resize(start + stride, 0);
    }
    file
}

/// An icon of one picture with alpha.
pub(crate) fn icon(width: u32, height: u32, rgba: &[u8]) -> Vec<u8> {
    use image::codecs::ico::{IcoEncoder, IcoFrame};
    let frame = IcoFrame::as_png(rgba, width, height, image::ExtendedColorType::Rgba8).unwrap();
    let mut file = Vec::new();
    IcoEncoder::new(&mut file).encode_images(&[frame]).unwrap();
    file
}

/// A TIFF in LZW, its directory at the end.
pub(crate) fn tiff(width: u32, height: u32, rgb: &[u8]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    TiffEncoder::new(&mut file)
        .unwrap()
        .with_compression(tiff::encoder::Compression::Lzw)
        .write_image::<colortype::RGB8>(width, height, rgb)
        .unwrap();
    file.into_inner()
}

/// A grey TIFF whose directory has these fields besides those that it needs. Its pixels are at its end.
pub(crate) fn tiff_with(width: u32, height: u32, mut tags: Vec<Tag>) -> Vec<u8> {
    let pixels = vec![b'x'; (width * height) as usize];
    let length = u32::try_from(pixels.len()).unwrap();
    tags.extend([
        Tag::long(256, width),
        Tag::long(257, height),
        Tag::long(258, 8),
        Tag::long(262, 1),
        Tag::long(278, height),
        Tag::long(279, length),
        Tag::long(273, 0),
    ]);
    let start = directory(0, &tags).len();
    tags.pop();
    tags.push(Tag::long(273, u32::try_from(start).unwrap()));
    [directory(0, &tags), pixels].concat()
}

/// A TIFF or BigTIFF as another crate writes it, with what a camera tells and the place of the Royal Observatory.
/// Offsets of directories have the type that libtiff gives them.
pub(crate) fn camera_tiff<K: TiffKind>(
    mut file: TiffEncoder<&mut Cursor<Vec<u8>>, K>,
    (width, height): (u32, u32),
    rgb: &[u8],
    note: &str,
) {
    fn entries<K: TiffKind>(
        directory: &mut DirectoryEncoder<'_, &mut Cursor<Vec<u8>>, K>,
        values: &[(u16, Type, &[u8])],
    ) {
        let entries: Vec<_> = values
            .iter()
            .map(|&(tag, kind, value)| {
                (
                    tiff::tags::Tag::from_u16_exhaustive(tag),
                    directory.write_entry_bytes(kind, value).unwrap(),
                )
            })
            .collect();
        directory.extend_from(&entries.into_iter().collect());
    }
    let rationals = |values: [u32; 6]| values.map(u32::to_ne_bytes).concat();
    let mut details = file.extra_directory().unwrap();
    entries(
        &mut details,
        &[
            (0x9003, Type::ASCII, b"2026:11:25 18:27:58\0"),
            (0x9011, Type::ASCII, b"+01:00\0"),
            (0xA434, Type::ASCII, b"Petzval 85 mm\0"),
        ],
    );
    let details = details.finish_with_offsets().unwrap().offset.data().into_owned();
    let mut place = file.extra_directory().unwrap();
    entries(
        &mut place,
        &[
            (1, Type::ASCII, b"N\0"),
            (2, Type::RATIONAL, &rationals([51, 1, 28, 1, 4012, 100])),
            (3, Type::ASCII, b"W\0"),
            (4, Type::RATIONAL, &rationals([0, 1, 0, 1, 531, 100])),
            (29, Type::ASCII, &[note.as_bytes(), b"\0"].concat()),
        ],
    );
    let place = place.finish_with_offsets().unwrap().offset.data().into_owned();
    let pointer = if place.len() == 8 { Type::IFD8 } else { Type::IFD };
    let mut image = file.new_image::<colortype::RGB8>(width, height).unwrap();
    entries(
        image.encoder(),
        &[
            (0x010F, Type::ASCII, b"Tintype\0"),
            (0x0110, Type::ASCII, b"Model T\0"),
            (0x8769, pointer, &details),
            (0x8825, pointer, &place),
        ],
    );
    image.write_data(rgb).unwrap();
}

/// A lossy JPEG XL.
pub(crate) fn jxl(width: usize, height: usize, rgb: &[u8]) -> Vec<u8> {
    jixel::encode_image(
        rgb,
        width,
        height,
        &jixel::EncodeConfig::default().with_quality(90.0),
    )
    .unwrap()
}

/// A small drawing with elements of every kind.
pub(crate) fn svg() -> Vec<u8> {
    b"<svg xmlns='http://www.w3.org/2000/svg' width='48' height='40'>\
      <defs><linearGradient id='g'><stop stop-color='#f00'/><stop offset='1' stop-color='#00f'/></linearGradient>\
      <filter id='b'><feGaussianBlur stdDeviation='2'/></filter></defs>\
      <rect width='48' height='40' fill='url(#g)'/><circle cx='20' cy='20' r='9' filter='url(#b)'/>\
      <path d='M1 1Q20 30 40 5z' stroke='#fff' stroke-dasharray='2 1'/><text x='4' y='36'>ab</text></svg>"
        .to_vec()
}

pub(crate) fn full_size(formats: &[Format]) -> Recipe {
    let mut recipe = Recipe::default();
    recipe.variants.truncate(1);
    recipe.variants[0].formats = formats.to_vec();
    recipe
}

pub(crate) fn one(change: impl FnOnce(&mut Variant)) -> Recipe {
    let mut recipe = full_size(&[Format::Png]);
    change(&mut recipe.variants[0]);
    recipe
}
