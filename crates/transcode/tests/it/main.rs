//! The engine through its public door: generated sources in, renditions out, judged by other decoders.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod alpha;
mod colours;
mod corpus;
mod fixtures;
mod hostile;
mod judge;
mod quality;
mod renditions;
mod sources;
