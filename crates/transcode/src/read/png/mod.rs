//! PNG and APNG.

mod decode;
mod frames;
mod header;

use tintype_model::Format;

use self::frames::Frames;
use crate::header::format::{Animation, Decoded, SourceFormat};

pub(super) use decode::decode;
pub(super) use header::parse;

pub(super) static FORMAT: SourceFormat = SourceFormat {
    name: "png",
    title: "PNG",
    library: "png",
    is_read: true,
    recognize: |source| source.starts_with(b"\x89PNG\r\n\x1A\n"),
    parse,
    decode: |source, _| decode(source).map(Decoded::whole),
    animation: Some(Animation {
        open: |source, header| Ok(Box::new(Frames::new(source, header)?)),
        has_still: true,
        is_drawn: false,
    }),
    rendition: Some(Format::Png),
};
