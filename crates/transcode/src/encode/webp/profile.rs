//! The colour profile of a WebP (RFC 9649 section 2.7.1.4).

use tintype_model::Dimensions;

use crate::picture::{Picture, Space};
use crate::syntax::riff::{self, ALPHA, PROFILE};

/// The properties of a picture that its container states.
pub(crate) struct Head {
    size: Dimensions,
    has_alpha: bool,
    space: Space,
}

impl Head {
    pub(crate) const fn of(picture: &Picture) -> Self {
        Self {
            size: picture.size,
            has_alpha: picture.has_alpha,
            space: picture.space,
        }
    }

    /// A file that our encoder wrote of that picture, with the profile of its colour space if that needs one.
    pub(crate) fn with_profile(&self, file: Vec<u8>) -> Vec<u8> {
        let Some(icc) = self.space.icc() else {
            return file;
        };
        let chunks = file.get(12..).unwrap_or_default();
        let (mut extended, rest) = match chunks.split_at_checked(18) {
            Some((extended, rest)) if extended.starts_with(b"VP8X") => (extended[8..].to_vec(), rest),
            _ => {
                let flags = if self.has_alpha { ALPHA } else { 0 };
                (riff::extended(self.size, flags), chunks)
            }
        };
        extended[0] |= PROFILE;
        riff::file(&[(*b"VP8X", &extended), (*b"ICCP", &icc)], rest)
    }
}
