//! GIF.

mod decode;
mod frames;
mod header;

use self::frames::Frames;
use crate::header::format::{Animation, Decoded, SourceFormat};

pub(super) static FORMAT: SourceFormat = SourceFormat {
    name: "gif",
    title: "GIF",
    library: "gif",
    is_read: true,
    recognize: |source| source.starts_with(b"GIF87a") || source.starts_with(b"GIF89a"),
    parse: header::parse,
    decode: |source, header| decode::decode(source, header).map(Decoded::whole),
    animation: Some(Animation {
        open: |source, _| Ok(Box::new(Frames::new(source)?)),
        has_still: false,
        is_drawn: true,
    }),
    rendition: None,
};
