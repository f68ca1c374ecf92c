//! Icons: several pictures in one file, of which the largest is shown.

mod decode;
mod header;

use crate::header::format::{Decoded, SourceFormat};

pub(super) use header::is_directory;

pub(super) static FORMAT: SourceFormat = SourceFormat {
    name: "ico",
    title: "ICO",
    library: "image",
    is_read: true,
    recognize: header::is_icon,
    parse: header::parse,
    decode: |source, header| decode::decode(source, header).map(Decoded::whole),
    animation: None,
    rendition: None,
};
