//! TIFF and BigTIFF, of which the first page is shown.

mod decode;
mod directory;
mod fields;
mod raw;
mod view;

use crate::header::format::{Decoded, SourceFormat};

pub(super) static FORMAT: SourceFormat = SourceFormat {
    name: "tiff",
    title: "TIFF",
    library: "tiff",
    is_read: true,
    recognize: directory::is_tiff,
    parse: directory::parse,
    decode: |source, header| decode::decode(source, header).map(Decoded::whole),
    animation: None,
    rendition: None,
};
