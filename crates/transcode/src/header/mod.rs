//! The properties of a file that its headers tell, before anything is decoded. Limits are checked here, so no decoder
//! ever sees a picture that is too large.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub(crate) mod format;
pub(crate) mod frames;
pub(crate) mod motion;

use tintype_model::{Dimensions, ImageInfo, Limits, RejectionCode};

use self::format::SourceFormat;
use self::motion::Motion;
use crate::Error;
use crate::color::Profile;
use crate::color::cicp::Cicp;
use crate::color::gamma::Gamma;
use crate::geometry::orient::Orientation;
use crate::metadata::capture;
use crate::metadata::exif::Block;
use crate::panics::contain;
use crate::picture::Model;
use crate::syntax::tiff::Tiff;

/// Larger embedded profiles are ignored. Press profiles, the largest in use, are 0.5 to 3 MiB.
pub(crate) const MAX_PROFILE_BYTES: usize = 4 << 20;

/// Everything known without decoding pixels.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) format: &'static SourceFormat,
    /// Size as stored, before orientation.
    pub(crate) size: Dimensions,
    pub(crate) orientation: Orientation,
    pub(crate) has_alpha: bool,
    pub(crate) frames: u32,
    /// The timing of the frames, which has a meaning only where there are more than one.
    pub(crate) motion: Motion,
    pub(crate) bit_depth: u8,
    pub(crate) model: Model,
    /// A JPEG that not all decoders read in the same way.
    pub(crate) is_odd_jpeg: bool,
    /// The embedded profile, if it can be used on these pixels.
    pub(crate) profile: Option<Profile>,
    /// The duration of one play of an animation, in milliseconds.
    pub(crate) duration_ms: Option<u64>,
    pub(crate) has_gain_map: bool,
    exif: Block,
}

/// The properties of a file that one format's parser finds.
#[derive(Default)]
pub(crate) struct ParsedHeader {
    pub(crate) size: Dimensions,
    pub(crate) orientation: Option<u8>,
    pub(crate) has_alpha: bool,
    pub(crate) frames: u32,
    pub(crate) motion: Motion,
    pub(crate) bit_depth: u8,
    pub(crate) model: Model,
    pub(crate) is_odd_jpeg: bool,
    pub(crate) icc: Option<Vec<u8>>,
    /// The colour space of the samples in numbers; a profile counts before it.
    pub(crate) cicp: Option<Cicp>,
    /// Brightest pixel in cd/m², where the file tells it.
    pub(crate) peak: Option<u16>,
    /// The colour space by primaries and a gamma, which count last.
    pub(crate) gamma: Option<Gamma>,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) has_gain_map: bool,
    pub(crate) exif: Block,
}

/// The widest limits, for sources that have passed [`Header::read`] under the caller's limits: the header is then the same.
pub(crate) const CHECKED: Limits = Limits {
    max_bytes: u64::MAX,
    max_pixels: u64::MAX,
    max_frames: u32::MAX,
    max_animation_pixels: u64::MAX,
};

impl Header {
    /// Reads the header of a file of the format `format`, and checks every limit but that of its bytes.
    pub(crate) fn read(format: &'static SourceFormat, source: &[u8], limits: &Limits) -> Result<Self, Error> {
        let found = contain(|| (format.parse)(source, limits))?;
        if format.animation.is_some() {
            found.motion.check(found.size, found.frames, limits)?;
        }
        let embedded = found.icc.and_then(|icc| Profile::parse(&icc, found.model));
        let told = embedded.or_else(|| Profile::from_cicp(found.cicp?, found.peak));
        Ok(Self {
            format,
            size: found.size,
            orientation: Orientation::from_exif(found.orientation),
            has_alpha: found.has_alpha,
            frames: found.frames,
            motion: found.motion,
            bit_depth: found.bit_depth,
            model: found.model,
            is_odd_jpeg: found.is_odd_jpeg,
            profile: told.or_else(|| found.gamma?.profile()),
            duration_ms: found.duration_ms.or(found.motion.told(found.frames)),
            has_gain_map: found.has_gain_map,
            exif: found.exif,
        })
    }

    /// Tells whether all frames of the picture are read and there is more than one.
    pub(crate) fn is_animated(&self) -> bool {
        self.frames > 1 && self.format.animation.is_some()
    }

    /// Makes the picture a still: its animation cannot be decoded.
    pub(crate) fn show_still(&mut self) {
        self.frames = 1;
        self.motion = Motion::default();
        self.duration_ms = None;
    }

    /// `source` is what the header was read from.
    pub(crate) fn info(&self, source: &[u8]) -> ImageInfo {
        let color_space = match (self.model, &self.profile) {
            (Model::Cmyk, _) => "cmyk",
            (Model::Grey, _) => "grey",
            (Model::Rgb, Some(profile)) => profile.name,
            (Model::Rgb, None) => "srgb",
        };
        ImageInfo {
            format: self.format.name.to_owned(),
            dimensions: self.orientation.apply_to_size(self.size),
            orientation: self.orientation.exif(),
            has_alpha: self.has_alpha,
            frames: self.frames,
            duration_ms: self.duration_ms,
            has_gain_map: self.has_gain_map,
            bit_depth: self.bit_depth,
            color_space: color_space.to_owned(),
            icc_description: self
                .profile
                .as_ref()
                .and_then(|profile| profile.description.clone()),
            capture: self.exif(source).and_then(capture::read),
            ..ImageInfo::default()
        }
    }

    /// The structure in which EXIF has its facts; `source` is what the header was read from.
    pub(crate) fn exif<'a>(&'a self, source: &'a [u8]) -> Option<Tiff<'a>> {
        self.exif.tiff(source)
    }
}

/// Checks the length of a file.
pub(crate) fn check_bytes(source: &[u8], limits: &Limits) -> Result<(), Error> {
    if source.is_empty() {
        return Err(Error::rejected(RejectionCode::Empty, "the source has no bytes"));
    }
    let bytes = u64::try_from(source.len()).unwrap_or(u64::MAX);
    if bytes > limits.max_bytes {
        return Err(Error::rejected(
            RejectionCode::TooManyBytes,
            format!("the source has {bytes} bytes, the limit is {}", limits.max_bytes),
        ));
    }
    Ok(())
}

/// Checks a width and height that a header announces: not zero, and within the limit.
pub(crate) fn check_size(width: u32, height: u32, limits: &Limits) -> Result<Dimensions, Error> {
    let size = Dimensions { width, height };
    if width == 0 || height == 0 {
        return Err(Error::corrupt(format!("the header says {width}x{height} pixels")));
    }
    if size.pixels() > limits.max_pixels {
        return Err(Error::rejected(
            RejectionCode::TooManyPixels,
            format!(
                "the header says {width}x{height} pixels, the limit is {} pixels",
                limits.max_pixels
            ),
        ));
    }
    Ok(size)
}

pub(crate) fn check_frames(frames: u32, limits: &Limits) -> Result<(), Error> {
    if frames > limits.max_frames {
        return Err(Error::rejected(
            RejectionCode::TooManyFrames,
            format!(
                "there are {frames} or more frames, the limit is {}",
                limits.max_frames
            ),
        ));
    }
    Ok(())
}
