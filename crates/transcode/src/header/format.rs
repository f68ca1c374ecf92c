//! A row of the table of formats that are read.

use tintype_model::{Format, Limits};

use super::frames::Frames;
use super::{Header, ParsedHeader};
use crate::Error;
use crate::picture::Samples;

/// A format of sources, and everything that the rest of the engine asks of it.
#[derive(Debug)]
pub(crate) struct SourceFormat {
    /// The name in records and configuration.
    pub(crate) name: &'static str,
    /// The name for people.
    pub(crate) title: &'static str,
    /// The library that decodes it.
    pub(crate) library: &'static str,
    /// True if this build reads it: HEIC, whose codec is patented, can be left out of a build.
    pub(crate) is_read: bool,
    /// Tells a file of this format by its first bytes.
    pub(crate) recognize: fn(&[u8]) -> bool,
    /// Reads the header of a file that was recognized.
    pub(crate) parse: fn(&[u8], &Limits) -> Result<ParsedHeader, Error>,
    /// Decodes the picture of a file with that header: the first frame of an animation, on its canvas.
    pub(crate) decode: fn(&[u8], &Header) -> Result<Decoded, Error>,
    /// The reading of all frames; `None` for formats of which only the first frame is shown.
    pub(crate) animation: Option<Animation>,
    /// The same format among those of renditions, where the coding of a source or its quality matters for them.
    pub(crate) rendition: Option<Format>,
}

/// The animations of a format.
#[derive(Debug)]
pub(crate) struct Animation {
    /// Begins to read the frames of a file with that header.
    pub(crate) open: OpenFrames,
    /// True if a file has a still to be shown where one of its frames is broken, by the format's own rule.
    pub(crate) has_still: bool,
    /// True if the pictures have few colours, so that lossless coding may be smaller.
    pub(crate) is_drawn: bool,
}

pub(crate) type OpenFrames = for<'a> fn(&'a [u8], &Header) -> Result<Box<dyn Frames + 'a>, Error>;

/// The samples of a picture.
pub(crate) struct Decoded {
    pub(crate) samples: Samples,
    /// True if a part of the picture is missing in the file and was filled in.
    pub(crate) is_truncated: bool,
}

impl Decoded {
    /// A picture of which no part is missing.
    pub(crate) const fn whole(samples: Samples) -> Self {
        Self {
            samples,
            is_truncated: false,
        }
    }
}
