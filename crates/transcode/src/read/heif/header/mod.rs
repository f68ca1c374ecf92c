//! AVIF and HEIC: pictures coded like video in a HEIF file (ISO/IEC 23008-12, MIAF, AVIF 1.1). One parser serves both;
//! they differ in the stream of each coded picture.
//!
//! [`CodedImage`] is all that decoding needs. Its lists borrow from the file and are bounded by it.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod boxes;
mod hevc;
mod meta;
mod properties;
mod still;
mod track;
mod view;

use std::borrow::Cow;

use tintype_model::{Dimensions, Limits};

#[cfg(feature = "heic")]
pub(crate) use self::hevc::Config as HevcConfig;
pub(crate) use self::properties::Crop;
use crate::Error;
use crate::av1::sequence::SequenceHeader;
use crate::color::cicp::Cicp;
use crate::header::ParsedHeader;
use crate::metadata::exif;
use crate::picture::{Model, Subsampling};

/// The layers that have to be decoded, and the properties of the picture that is made of them.
pub(crate) struct CodedImage<'a> {
    pub(crate) color: Layer<'a>,
    /// A picture of the same size whose luma is alpha.
    pub(crate) alpha: Option<Layer<'a>>,
    /// True if the colours were multiplied with alpha.
    pub(crate) is_premultiplied: bool,
    /// The part to show, before it is turned.
    pub(crate) crop: Option<Crop>,
    /// The turn that `irot` and `imir` ask for, as an EXIF orientation.
    pub(crate) orientation: u8,
    pub(crate) cicp: Cicp,
    pub(crate) icc: Option<&'a [u8]>,
    /// Brightest pixel in cd/m², when the file tells it.
    pub(crate) peak: Option<u16>,
    pub(crate) exif: Option<Cow<'a, [u8]>>,
    pub(crate) has_gain_map: bool,
    pub(crate) frames: u32,
    pub(crate) duration_ms: Option<u64>,
}

/// One plane picture: a coded picture, or a grid of them.
pub(crate) struct Layer<'a> {
    /// The size of the part of the tiles that is shown, which begins at the first tile's corner.
    pub(crate) size: Dimensions,
    pub(crate) tile: Dimensions,
    pub(crate) columns: usize,
    /// From left to right, from top to bottom.
    pub(crate) tiles: Vec<Tile<'a>>,
    pub(crate) depth: u8,
    pub(crate) chroma: Subsampling,
    /// True if the luma uses all values, by the file or else by the stream.
    pub(crate) is_full_range: bool,
}

/// One coded picture.
pub(crate) struct Tile<'a> {
    pub(crate) codec: Codec,
    /// The stream, in parts that follow each other.
    pub(crate) parts: Vec<&'a [u8]>,
    /// The decoder configuration: the body of `av1C` or `hvcC`.
    pub(crate) config: &'a [u8],
    /// The operating point of a layered AV1 stream to decode.
    pub(crate) operating_point: u8,
}

impl<'a> Tile<'a> {
    /// The stream as a whole: its parts may end anywhere.
    pub(crate) fn stream(&self) -> Cow<'a, [u8]> {
        match self.parts[..] {
            [part] => Cow::Borrowed(part),
            _ => Cow::Owned(self.parts.concat()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Av1,
    Hevc,
}

/// The properties of a stream's pictures, from its headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coded {
    /// The largest picture that the stream may hold.
    pub(super) size: Dimensions,
    pub(super) depth: u8,
    pub(super) chroma: Subsampling,
    /// True if each plane is coded as a picture without colour.
    pub(super) has_separate_planes: bool,
    pub(super) cicp: Cicp,
}

impl From<SequenceHeader> for Coded {
    fn from(header: SequenceHeader) -> Self {
        Self {
            size: header.size,
            depth: header.colors.depth,
            chroma: header.colors.subsampling,
            has_separate_planes: false,
            cicp: header.colors.cicp,
        }
    }
}

/// Tells what the file is, within `limits`.
pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<ParsedHeader, Error> {
    let image = coded_image(source, limits)?;
    let is_grey = image.color.chroma == Subsampling::None;
    Ok(ParsedHeader {
        size: image.crop.map_or(image.color.size, |crop| crop.size),
        // Neither rotation nor mirroring means upright: MIAF has the EXIF orientation ignored.
        orientation: Some(image.orientation),
        has_alpha: image.alpha.is_some(),
        frames: image.frames,
        bit_depth: image.color.depth,
        model: if is_grey { Model::Grey } else { Model::Rgb },
        icc: image.icc.map(<[u8]>::to_vec),
        cicp: Some(image.cicp),
        peak: image.peak,
        duration_ms: image.duration_ms,
        has_gain_map: image.has_gain_map,
        exif: image.exif.and_then(|block| exif::keep(&block)).into(),
        ..ParsedHeader::default()
    })
}

/// Reads everything but the coded pictures. The same file gives the same result.
pub(crate) fn coded_image<'a>(source: &'a [u8], limits: &Limits) -> Result<CodedImage<'a>, Error> {
    let top = boxes::of_file(source)?;
    let meta = boxes::find(&top, b"meta")
        .map(|meta| meta::Meta::read(source, meta))
        .transpose()?;
    let moov = boxes::find(&top, b"moov");
    let is_sequence = source.get(8..12) == Some(b"avis");
    if is_sequence && let Some(moov) = moov {
        let mut image = track::coded_image(source, moov, limits)?;
        if let Some(meta) = &meta {
            image.exif = still::exif(meta).or(image.exif);
        }
        return Ok(image);
    }
    match meta.filter(|meta| moov.is_none() || meta.primary().is_some()) {
        None if moov.is_some() => Err(Error::unsupported(
            "the file is a sequence of HEVC pictures without a still one, which is not read",
        )),
        Some(meta) => still::coded_image(&meta, limits),
        None => Err(Error::corrupt("the file has no picture: the box meta is missing")),
    }
}
