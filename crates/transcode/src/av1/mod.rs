//! AV1 bitstreams (AV1 bitstream and decoding process specification): their units, the sequence header, and the tiles of
//! a frame, read and written for AVIF and HEIF alike. Samples are coded and decoded by libraries.

pub(crate) mod sequence;
pub(crate) mod tiles;
pub(crate) mod units;
