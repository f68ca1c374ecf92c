//! The notations that several formats share: bytes and bits in order, boxes, chunks, directories and markup.

pub(crate) mod bits;
pub(crate) mod bmff;
pub(crate) mod markup;
pub(crate) mod png;
pub(crate) mod reader;
pub(crate) mod riff;
pub(crate) mod tiff;
