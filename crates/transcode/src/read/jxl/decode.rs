use jxl::api::{Event, JxlDecoder, JxlOutputBuffer};
use tintype_model::Limits;

use super::header::{Input, Target, options, refused};
use crate::Error;
use crate::header::Header;
use crate::picture::Samples;

/// The first frame that is shown, with all that lies under it.
pub(super) fn decode(source: &[u8], header: &Header) -> Result<Samples, Error> {
    // The header has passed the limits. Frames that others are made of may be larger than the picture, within reason.
    let limits = Limits {
        max_pixels: header.size.pixels().saturating_mul(2).saturating_add(1 << 22),
        ..Limits::default()
    };
    let cut = || Error::corrupt("the JPEG XL is cut off in its first frame");
    let mut decoder = JxlDecoder::new(options(&limits));
    let mut input = Input::new(source);
    let Event::BasicInfo = next(&mut decoder, &mut input, None, &limits)? else {
        return Err(cut());
    };
    let target = Target::set(&mut decoder)?;
    let width = if target.is_deep { 2 } else { 1 };
    let row = header.size.width as usize * target.layout.channels() * width;
    let rows = header.size.height as usize;
    let mut data = vec![0; row * rows];
    loop {
        let mut buffers = [JxlOutputBuffer::new(&mut data, rows, row)];
        match next(&mut decoder, &mut input, Some(&mut buffers), &limits)? {
            Event::FrameComplete { .. } => break,
            Event::BasicInfo | Event::FrameHeader => {}
            Event::NeedMoreInput { .. } | Event::Complete => return Err(cut()),
        }
    }
    Ok(Samples {
        size: header.size,
        layout: target.layout,
        is_deep: target.is_deep,
        data,
    })
}

fn next(
    decoder: &mut JxlDecoder,
    input: &mut Input<'_>,
    buffers: Option<&mut [JxlOutputBuffer<'_>]>,
    limits: &Limits,
) -> Result<Event, Error> {
    decoder
        .process(input, buffers, None)
        .map_err(|error| refused(&error, limits))
}
