//! JPEG.

mod decode;
mod header;
mod mend;

use tintype_model::Format;

use crate::header::format::SourceFormat;

pub(super) use decode::to_rgb;

pub(super) static FORMAT: SourceFormat = SourceFormat {
    name: "jpeg",
    title: "JPEG",
    library: "zune-jpeg",
    is_read: true,
    recognize: |source| source.starts_with(b"\xFF\xD8\xFF"),
    parse: header::parse,
    decode: decode::decode,
    animation: None,
    rendition: Some(Format::Jpeg),
};
