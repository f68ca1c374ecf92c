//! Tests of the engine through its public interface: generated sources in, renditions out, judged by other decoders.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod alpha;
mod animation;
mod animation_avif;
mod animation_limits;
mod colours;
mod container;
mod corpus;
mod crops;
mod damaged;
mod drawings;
mod facts;
mod fixtures;
mod heic_corpus;
mod heif;
mod hostile;
mod hostile_heif;
mod ico;
mod jpeg_rules;
mod judge;
mod jxl;
mod jxl_output;
mod lenient;
mod memory;
mod moving;
mod numbers;
mod own_coefficients;
mod png_output;
mod quality;
mod renditions;
mod sources;
mod specimens;
mod svg;
mod tiff;
mod tiff_channels;
mod wide_gamut;
