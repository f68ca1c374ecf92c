//! BMP.

mod decode;
mod header;

use crate::header::format::{Decoded, SourceFormat};

pub(super) static FORMAT: SourceFormat = SourceFormat {
    name: "bmp",
    title: "BMP",
    library: "image",
    is_read: true,
    recognize: header::is_bitmap,
    parse: header::parse,
    decode: |source, _| decode::decode(source).map(Decoded::whole),
    animation: None,
    rendition: None,
};
