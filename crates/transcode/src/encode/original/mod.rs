//! Sources whose own coding becomes a rendition, or tells how coarse one may be.

mod av1;
mod jpeg;
mod png;
mod repack;
mod vp8;

pub(crate) use repack::Original;
