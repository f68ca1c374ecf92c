//! Drawings.

mod decode;
mod header;

use crate::header::format::{Decoded, SourceFormat};
use crate::syntax::markup;

pub(super) static FORMAT: SourceFormat = SourceFormat {
    name: "svg",
    title: "SVG",
    library: "resvg",
    is_read: true,
    recognize: markup::is_svg,
    parse: header::parse,
    decode: |source, header| decode::decode(source, header).map(Decoded::whole),
    animation: None,
    rendition: None,
};
