#![doc = include_str!("../README.md")]

mod animation;
mod av1;
pub mod codecs;
mod color;
mod encode;
mod error;
mod geometry;
mod header;
mod hypot;
mod jpeg;
mod metadata;
mod miniature;
mod panics;
mod parallel;
mod picture;
mod quality;
mod read;
mod render;
mod schedule;
#[doc(hidden)]
pub mod stages;
mod syntax;
mod work;

pub use error::{EncodeError, Error};
pub use render::{render, render_timed};
use tintype_model::{ImageInfo, Limits, Location};
pub use work::Clock;

/// Name and version of the engine, part of every published version.
///
/// The number after `+` rises whenever the same source and recipe may give other bytes than before.
pub const ENGINE: &str = concat!("tintype/", env!("CARGO_PKG_VERSION"), "+7");

/// Tells what a source is from its headers, and checks every limit. Allocates nothing that grows with the picture.
///
/// A source that passes may still be rejected by [`render()`], which looks at the pixels.
///
/// # Errors
/// [`Error::Rejected`] only.
pub fn probe(source: &[u8], limits: &Limits) -> Result<ImageInfo, Error> {
    Ok(read::header(source, limits)?.info(source))
}

/// The place at which a picture was taken, from its EXIF block.
///
/// The results of [`probe`] and [`render()`] never contain it.
#[must_use]
pub fn location(source: &[u8], limits: &Limits) -> Option<Location> {
    let header = read::header(source, limits).ok()?;
    metadata::capture::location(header.exif(source)?)
}
