//! JPEG XL.

mod decode;
mod header;

use crate::header::format::{Decoded, SourceFormat};

pub(super) static FORMAT: SourceFormat = SourceFormat {
    name: "jxl",
    title: "JPEG XL",
    library: "jxl",
    is_read: true,
    recognize: |source| source.starts_with(b"\xFF\x0A") || source.starts_with(b"\0\0\0\x0CJXL \r\n\x87\n"),
    parse: header::parse,
    decode: |source, header| decode::decode(source, header).map(Decoded::whole),
    animation: None,
    rendition: None,
};
