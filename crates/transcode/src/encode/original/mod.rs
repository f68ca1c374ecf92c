//! Sources whose own coding becomes a rendition, or whose quality limits that of renditions.

mod jpeg;
mod png;
mod repack;
mod vp8;

pub(crate) use repack::Original;
