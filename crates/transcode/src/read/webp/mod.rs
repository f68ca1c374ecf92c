//! WebP.

mod decode;
mod frames;
mod header;

use tintype_model::Format;

use self::frames::Frames;
use crate::header::format::{Animation, Decoded, SourceFormat};

pub(super) static FORMAT: SourceFormat = SourceFormat {
    name: "webp",
    title: "WebP",
    library: "image-webp",
    is_read: true,
    recognize: |source| source.starts_with(b"RIFF") && source.get(8..12) == Some(b"WEBP"),
    parse: header::parse,
    decode: |source, header| decode::decode(source, header.size).map(Decoded::whole),
    animation: Some(Animation {
        open: |source, header| Ok(Box::new(Frames::new(source, header.size)?)),
        has_still: false,
        is_drawn: false,
    }),
    rendition: Some(Format::Webp),
};
