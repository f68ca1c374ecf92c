//! Animated sources made on the spot, and animated renditions taken apart again.

use std::io::Cursor;

use tintype_model::{Dimensions, Format, RenderedFile};

use crate::fixtures::{photo, riff, three, webp};
use crate::judge::Decoded;

/// The change to a frame's part of the canvas when its time is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum After {
    Keep,
    Clear,
    Restore,
}

/// A frame of a source.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rgba: Vec<u8>,
    pub(crate) after: After,
    /// True if transparent pixels make those of the canvas transparent.
    pub(crate) replaces: bool,
    pub(crate) milliseconds: u32,
}

impl Part {
    /// A rectangle of one colour.
    pub(crate) fn plain(left: u32, top: u32, width: u32, height: u32, color: [u8; 4]) -> Self {
        Self {
            left,
            top,
            width,
            height,
            rgba: color.repeat(width as usize * height as usize),
            after: After::Keep,
            replaces: false,
            milliseconds: 100,
        }
    }
}

/// A source that has not been written yet. `plays` is 0 for without end.
pub(crate) struct Scene {
    pub(crate) size: Dimensions,
    pub(crate) plays: u32,
    pub(crate) parts: Vec<Part>,
}

impl Scene {
    pub(crate) fn new(width: u32, height: u32, parts: Vec<Part>) -> Self {
        Self {
            size: Dimensions { width, height },
            plays: 0,
            parts,
        }
    }

    /// A disc that moves over a photograph; each frame has the whole picture and its own duration.
    pub(crate) fn photographs(width: u32, height: u32, count: u32) -> Self {
        let base = photo(width, height);
        let parts = (0..count).map(|number| {
            let center = (f64::from(number) + 0.5) / f64::from(count);
            let mut part = Part::plain(0, 0, width, height, [0; 4]);
            part.milliseconds = 40 + 30 * (number % 4);
            part.rgba = base
                .chunks_exact(3)
                .enumerate()
                .flat_map(|(at, pixel)| {
                    let at = u32::try_from(at).unwrap();
                    let x = f64::from(at % width) / f64::from(width) - center;
                    let y = f64::from(at / width) / f64::from(height) - 0.5;
                    let is_disc = x * x + y * y < 0.02;
                    if is_disc {
                        [240, 220, 30, 255]
                    } else {
                        [pixel[0], pixel[1], pixel[2], 255]
                    }
                })
                .collect();
            part
        });
        let mut scene = Self::new(width, height, parts.collect());
        scene.plays = 3;
        scene
    }

    /// The same on a transparent ground: only the middle of the picture is opaque.
    pub(crate) fn cut_outs(width: u32, height: u32, count: u32) -> Self {
        let mut scene = Self::photographs(width, height, count);
        for part in &mut scene.parts {
            part.replaces = true;
            for (at, pixel) in part.rgba.chunks_exact_mut(4).enumerate() {
                let column = u32::try_from(at).unwrap() % width;
                if column < width / 4 || column >= width * 3 / 4 {
                    pixel.fill(0);
                }
            }
        }
        scene
    }

    /// The animation as a GIF, of frames of at most 255 colours.
    pub(crate) fn gif(&self) -> Vec<u8> {
        let side = |side: u32| u16::try_from(side).unwrap();
        let mut file = Vec::new();
        let mut encoder =
            gif::Encoder::new(&mut file, side(self.size.width), side(self.size.height), &[]).unwrap();
        match self.plays {
            0 => encoder.set_repeat(gif::Repeat::Infinite).unwrap(),
            1 => {}
            plays => encoder.set_repeat(gif::Repeat::Finite(side(plays - 1))).unwrap(),
        }
        for part in &self.parts {
            let mut rgba = part.rgba.clone();
            let mut frame = gif::Frame::from_rgba_speed(side(part.width), side(part.height), &mut rgba, 1);
            (frame.left, frame.top) = (side(part.left), side(part.top));
            frame.delay = side(part.milliseconds / 10);
            frame.dispose = match part.after {
                After::Keep => gif::DisposalMethod::Keep,
                After::Clear => gif::DisposalMethod::Background,
                After::Restore => gif::DisposalMethod::Previous,
            };
            encoder.write_frame(&frame).unwrap();
        }
        drop(encoder);
        file
    }

    /// As APNG; `default` is a first image that is not part of the animation.
    pub(crate) fn apng(&self, default: Option<&[u8]>) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.size.width, self.size.height);
        encoder.set_color(png::ColorType::Rgba);
        let count = u32::try_from(self.parts.len()).unwrap();
        encoder.set_animated(count, self.plays).unwrap();
        encoder.set_sep_def_img(default.is_some()).unwrap();
        let mut writer = encoder.write_header().unwrap();
        if let Some(default) = default {
            writer.write_image_data(default).unwrap();
        }
        for part in &self.parts {
            writer.reset_frame_position().unwrap();
            writer.set_frame_dimension(part.width, part.height).unwrap();
            writer.set_frame_position(part.left, part.top).unwrap();
            writer
                .set_frame_delay(u16::try_from(part.milliseconds).unwrap(), 1000)
                .unwrap();
            writer
                .set_blend_op(if part.replaces {
                    png::BlendOp::Source
                } else {
                    png::BlendOp::Over
                })
                .unwrap();
            writer
                .set_dispose_op(match part.after {
                    After::Keep => png::DisposeOp::None,
                    After::Clear => png::DisposeOp::Background,
                    After::Restore => png::DisposeOp::Previous,
                })
                .unwrap();
            writer.write_image_data(&part.rgba).unwrap();
        }
        writer.finish().unwrap();
        file
    }

    /// As lossless WebP, with more chunks before the frames if there are any. Offsets have to be even.
    pub(crate) fn webp(&self, more: &[u8]) -> Vec<u8> {
        let header = [
            &[if more.is_empty() { 0b1_0010 } else { 0b1_1010 }, 0, 0, 0][..],
            &three(self.size.width - 1),
            &three(self.size.height - 1),
        ]
        .concat();
        let mut body = b"WEBP".to_vec();
        body.extend(riff(b"VP8X", &header));
        let plays = u16::try_from(self.plays).unwrap().to_le_bytes();
        body.extend(riff(b"ANIM", &[&[0; 4], &plays[..]].concat()));
        for part in &self.parts {
            assert_ne!(part.after, After::Restore, "WebP has no such disposal");
            let still = webp(part.width, part.height, &part.rgba, None, None);
            let flags = u8::from(part.replaces) << 1 | u8::from(part.after == After::Clear);
            let frame = [
                &three(part.left / 2)[..],
                &three(part.top / 2),
                &three(part.width - 1),
                &three(part.height - 1),
                &three(part.milliseconds),
                &[flags],
                &still[12..],
            ];
            body.extend(riff(b"ANMF", &frame.concat()));
        }
        body.extend(more);
        riff(b"RIFF", &body)
    }
}

/// An animated file, taken apart: whole canvases.
pub(crate) struct Moving {
    pub(crate) frames: Vec<Decoded>,
    pub(crate) durations_ms: Vec<u32>,
    /// 0 for without end.
    pub(crate) plays: u32,
}

/// Decodes with another implementation than the one that encoded.
pub(crate) fn taken_apart(file: &RenderedFile) -> Moving {
    match file.format {
        Format::Webp => webp_frames(file),
        Format::Png => png_frames(file),
        Format::Avif => avif_frames(file),
        Format::Jxl | Format::Jpeg => panic!("{:?} does not move", file.format),
    }
}

fn webp_frames(file: &RenderedFile) -> Moving {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(&file.bytes)).unwrap();
    assert!(decoder.is_animated());
    decoder.set_background_color([0; 4]).unwrap();
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut moving = Moving {
        frames: Vec::new(),
        durations_ms: Vec::new(),
        plays: match decoder.loop_count() {
            image_webp::LoopCount::Forever => 0,
            image_webp::LoopCount::Times(times) => times.get().into(),
        },
    };
    let Dimensions { width, height } = file.dimensions;
    for _ in 0..decoder.num_frames() {
        let mut data = vec![0; decoder.output_buffer_size().unwrap()];
        moving.durations_ms.push(decoder.read_frame(&mut data).unwrap());
        moving.frames.push(Decoded::new(width, height, channels, &data));
    }
    moving
}

/// Composes what this engine writes, and nothing else: frames that stay.
fn png_frames(file: &RenderedFile) -> Moving {
    let mut reader = png::Decoder::new(Cursor::new(&file.bytes)).read_info().unwrap();
    let control = *reader.info().animation_control().unwrap();
    let Dimensions { width, height } = file.dimensions;
    let mut canvas = vec![0; width as usize * height as usize * 4];
    let mut moving = Moving {
        frames: Vec::new(),
        durations_ms: Vec::new(),
        plays: control.num_plays,
    };
    for _ in 0..control.num_frames {
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut data).unwrap();
        let control = *reader.info().frame_control().unwrap();
        assert_eq!(control.dispose_op, png::DisposeOp::None);
        for (y, row) in data
            .chunks_exact(frame.line_size)
            .take(frame.height as usize)
            .enumerate()
        {
            for (x, pixel) in row.chunks_exact(4).enumerate() {
                let at =
                    ((control.y_offset as usize + y) * width as usize + control.x_offset as usize + x) * 4;
                if control.blend_op == png::BlendOp::Source || pixel[3] == 255 {
                    canvas[at..at + 4].copy_from_slice(pixel);
                } else {
                    assert_eq!(pixel[3], 0);
                }
            }
        }
        let seconds = f64::from(control.delay_num) / f64::from(control.delay_den);
        moving.frames.push(Decoded::new(width, height, 4, &canvas));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is small"
        )]
        moving.durations_ms.push((seconds * 1000.0).round() as u32);
    }
    moving
}

/// The container by zenavif-parse, the bitstream by libaom's decoder.
fn avif_frames(file: &RenderedFile) -> Moving {
    let parser = zenavif_parse::AvifParser::from_bytes(&file.bytes).unwrap();
    let info = parser.animation_info().unwrap();
    let config = aom_decode::Config { threads: 1 };
    let mut color = aom_decode::Decoder::new(&config).unwrap();
    let mut alpha = aom_decode::Decoder::new(&config).unwrap();
    let Dimensions { width, height } = file.dimensions;
    let mut moving = Moving {
        frames: Vec::new(),
        durations_ms: Vec::new(),
        plays: info.loop_count,
    };
    for frame in parser.frames() {
        let frame = frame.unwrap();
        moving.durations_ms.push(frame.duration_ms);
        let rgb = rgb(&color.decode_frame(&frame.data).unwrap());
        let opacity = frame
            .alpha_data
            .map(|data| luma(&alpha.decode_frame(&data).unwrap()));
        let rgba = rgb.iter().enumerate().flat_map(|(at, &[red, green, blue])| {
            [
                red,
                green,
                blue,
                opacity.as_ref().map_or(255, |opacity| opacity[at]),
            ]
        });
        moving
            .frames
            .push(Decoded::new(width, height, 4, &rgba.collect::<Vec<u8>>()));
    }
    assert_eq!(moving.frames.len(), info.frame_count);
    moving
}

fn rgb(frame: &aom_decode::FrameTempRef<'_>) -> Vec<[u8; 3]> {
    use aom_decode::RowsIters;
    let RowsIters::YuvPlanes8 { y, u, v, .. } = frame.rows_iter().unwrap() else {
        panic!("not three planes of 8 bits");
    };
    let [y, u, v] = [y, u, v].map(|plane| plane.map(<[u8]>::to_vec).collect::<Vec<_>>());
    let mut pixels = Vec::new();
    let halved = if u.len() == y.len() { 1 } else { 2 };
    for (line, row) in y.iter().enumerate() {
        for (column, &luma) in row.iter().enumerate() {
            let color = |plane: &Vec<Vec<u8>>| f64::from(plane[line / halved][column / halved]) - 128.0;
            // BT.601, limited range.
            let [cb, cr] = [&u, &v].map(|plane| color(plane) * 255.0 / 224.0);
            let luma = (f64::from(luma) - 16.0) * 255.0 / 219.0;
            pixels.push(
                [
                    luma + 1.402 * cr,
                    luma - 0.344_136 * cb - 0.714_136 * cr,
                    luma + 1.772 * cb,
                ]
                .map(crate::fixtures::byte),
            );
        }
    }
    pixels
}

fn luma(frame: &aom_decode::FrameTempRef<'_>) -> Vec<u8> {
    use aom_decode::RowsIters;
    match frame.rows_iter().unwrap() {
        RowsIters::YuvPlanes8 { y, .. } | RowsIters::Mono8(y) => y.flat_map(<[u8]>::to_vec).collect(),
        _ => panic!("not 8 bits"),
    }
}
