//! What a file tells about a picture beside its pixels.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub(crate) mod capture;
pub(crate) mod exif;
pub(crate) mod gain_map;
