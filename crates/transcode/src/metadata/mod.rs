//! Metadata: the facts about a picture that its file contains beside the pixels.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub(crate) mod capture;
pub(crate) mod exif;
pub(crate) mod gain_map;
