//! Decoders of renditions, and measures of their distance from the expected pictures.

use std::io::Cursor;

use fast_ssim2::{PixelDescriptor, PixelSlice, compute_ssimulacra2};
use tintype_model::{Format, ImageInfo, Limits, Recipe, Rendered, RenderedFile};
use tintype_transcode::{Error, probe, render};

use crate::fixtures::full_size;

pub(crate) fn rendered(source: &[u8], recipe: &Recipe) -> Rendered {
    render(source, recipe, &Limits::default(), 2).unwrap()
}

/// The facts that the header tells.
pub(crate) fn told(source: &[u8]) -> ImageInfo {
    probe(source, &Limits::default()).unwrap()
}

/// The pixels at full size, exactly. What the header tells is checked against what is told with them.
pub(crate) fn shown(source: &[u8]) -> Decoded {
    let rendered = rendered(source, &full_size(&[Format::Png]));
    same_facts(&told(source), &rendered.image).unwrap();
    decoded(&rendered.files[0])
}

pub(crate) fn rejection(source: &[u8]) -> (&'static str, String) {
    match render(source, &Recipe::default(), &Limits::default(), 2) {
        Err(Error::Rejected(rejection)) => (rejection.code.name(), rejection.detail),
        other => panic!("{other:?}"),
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rgba: Vec<u8>,
}

impl Decoded {
    pub(crate) fn new(width: u32, height: u32, channels: usize, data: &[u8]) -> Self {
        let rgba = data
            .chunks_exact(channels)
            .flat_map(|pixel| match *pixel {
                [grey] => [grey, grey, grey, 255],
                [grey, alpha] => [grey, grey, grey, alpha],
                [red, green, blue] => [red, green, blue, 255],
                [red, green, blue, alpha] => [red, green, blue, alpha],
                _ => panic!("{channels} channels"),
            })
            .collect();
        Self { width, height, rgba }
    }

    pub(crate) fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        let at = (y as usize * self.width as usize + x as usize) * 4;
        self.rgba[at..at + 4].try_into().unwrap()
    }

    pub(crate) fn rgb(&self) -> Vec<u8> {
        self.rgba
            .chunks_exact(4)
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
            .collect()
    }
}

/// Decodes with another implementation than the one that encoded.
pub(crate) fn decoded(file: &RenderedFile) -> Decoded {
    let image = match file.format {
        Format::Jxl => jxl(&file.bytes),
        Format::Jpeg => jpeg(&file.bytes),
        Format::Png => png(&file.bytes),
        Format::Webp => webp(&file.bytes),
        Format::Avif => avif(&file.bytes),
    };
    let size = (file.dimensions.width, file.dimensions.height);
    assert_eq!((image.width, image.height), size, "{:?}", file.format);
    image
}

pub(crate) fn jpeg(bytes: &[u8]) -> Decoded {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let data = decoder.decode().unwrap();
    let info = decoder.info().unwrap();
    Decoded::new(
        info.width.into(),
        info.height.into(),
        info.pixel_format.pixel_bytes(),
        &data,
    )
}

fn png(bytes: &[u8]) -> Decoded {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut data).unwrap();
    Decoded::new(frame.width, frame.height, frame.color_type.samples(), &data)
}

/// By jxl-rs, which the engine does not encode with.
pub(crate) fn jxl(bytes: &[u8]) -> Decoded {
    use jxl::api::{Event, JxlDecoder, JxlDecoderOptions, JxlOutputBuffer, JxlPixelFormat};
    let mut decoder = JxlDecoder::new(JxlDecoderOptions::default());
    let mut input = bytes;
    assert_eq!(decoder.process(&mut input, None, None).unwrap(), Event::BasicInfo);
    let info = decoder.basic_info().unwrap();
    let ((width, height), extra) = (info.size, info.extra_channels.len());
    let (format, channels) = if extra == 0 {
        (JxlPixelFormat::rgb8(0), 3)
    } else {
        (JxlPixelFormat::rgba8(extra), 4)
    };
    decoder.set_pixel_format(format).unwrap();
    let mut data = vec![0; width * height * channels];
    loop {
        let mut buffers = [JxlOutputBuffer::new(&mut data, height, width * channels)];
        match decoder.process(&mut input, Some(&mut buffers), None).unwrap() {
            Event::FrameComplete { .. } => break,
            Event::FrameHeader => {}
            event => panic!("{event:?}"),
        }
    }
    let side = |side: usize| u32::try_from(side).unwrap();
    Decoded::new(side(width), side(height), channels, &data)
}

/// The profile of the values that [`jxl`] gives.
pub(crate) fn jxl_profile(bytes: &[u8]) -> Vec<u8> {
    use jxl::api::{Event, JxlDecoder, JxlDecoderOptions, JxlPixelFormat};
    let mut decoder = JxlDecoder::new(JxlDecoderOptions::default());
    let mut input = bytes;
    assert_eq!(decoder.process(&mut input, None, None).unwrap(), Event::BasicInfo);
    let extra = decoder.basic_info().unwrap().extra_channels.len();
    decoder.set_pixel_format(JxlPixelFormat::rgb8(extra)).unwrap();
    decoder.output_color_profile().unwrap().as_icc().into_owned()
}

fn webp(bytes: &[u8]) -> Decoded {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).unwrap();
    let mut data = vec![0; decoder.output_buffer_size().unwrap()];
    decoder.read_image(&mut data).unwrap();
    let (width, height) = decoder.dimensions();
    Decoded::new(width, height, if decoder.has_alpha() { 4 } else { 3 }, &data)
}

pub(crate) fn avif(bytes: &[u8]) -> Decoded {
    let side = |side: usize| u32::try_from(side).unwrap();
    match avif_decode::Decoder::from_avif(bytes)
        .unwrap()
        .to_image()
        .unwrap()
    {
        avif_decode::Image::Rgb8(image) => {
            let data: Vec<u8> = image
                .pixels()
                .flat_map(|pixel| [pixel.r, pixel.g, pixel.b])
                .collect();
            Decoded::new(side(image.width()), side(image.height()), 3, &data)
        }
        avif_decode::Image::Rgba8(image) => {
            let data: Vec<u8> = image
                .pixels()
                .flat_map(|pixel| [pixel.r, pixel.g, pixel.b, pixel.a])
                .collect();
            Decoded::new(side(image.width()), side(image.height()), 4, &data)
        }
        _ => panic!("neither RGB nor RGBA"),
    }
}

/// Peak signal to noise ratio in decibels.
pub(crate) fn psnr(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let squares: f64 = one
        .iter()
        .zip(other)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
        .sum();
    10.0 * (255.0 * 255.0 * one.len() as f64 / squares.max(1e-9)).log10()
}

/// SSIMULACRA2 of RGB pixels: 100 is identical, 90 visually lossless, 70 high quality.
pub(crate) fn score(one: &[u8], other: &[u8], width: u32, height: u32) -> f64 {
    let slice = |data| {
        PixelSlice::new(
            data,
            width,
            height,
            width as usize * 3,
            PixelDescriptor::RGB8_SRGB,
        )
        .unwrap()
    };
    compute_ssimulacra2(&slice(one), &slice(other)).unwrap()
}

/// Checks that a header tells the same facts as the renditions, but for those that only pixels show.
pub(crate) fn same_facts(probed: &ImageInfo, rendered: &ImageInfo) -> Result<(), String> {
    let header = ImageInfo {
        appearance: None,
        // Only the pixels tell.
        is_truncated: false,
        ..rendered.clone()
    };
    if *probed != header || rendered.appearance.is_none() {
        return Err(format!("probe says {probed:?}, render says {rendered:?}"));
    }
    Ok(())
}
