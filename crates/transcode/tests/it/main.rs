//! The engine through its public door: generated sources in, renditions out, judged by other decoders.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod alpha;
mod colours;
mod container;
mod corpus;
mod fixtures;
mod heic_corpus;
mod heif;
mod hostile;
mod hostile_heif;
mod judge;
mod jxl_output;
mod png_output;
mod renditions;
mod sources;
mod wide_gamut;
