//! The container of WebP (RFC 9649 section 2), as far as a colour profile needs it.

use tintype_model::Dimensions;

use crate::picture::Picture;
use crate::space::Space;

/// Flags of the `VP8X` chunk.
const HAS_PROFILE: u8 = 0b10_0000;
const HAS_ALPHA: u8 = 0b1_0000;

/// The properties of a picture that its container states.
pub(super) struct Head {
    size: Dimensions,
    has_alpha: bool,
    space: Space,
}

impl Head {
    pub(super) const fn of(picture: &Picture) -> Self {
        Self {
            size: picture.size,
            has_alpha: picture.has_alpha,
            space: picture.space,
        }
    }

    /// A file that our encoder wrote of that picture, with the profile of its colour space if that needs one.
    pub(super) fn with_profile(&self, file: Vec<u8>) -> Vec<u8> {
        let Some(icc) = self.space.icc() else {
            return file;
        };
        let chunks = file.get(12..).unwrap_or_default();
        let (mut extended, rest) = match chunks.split_at_checked(18) {
            Some((extended, rest)) if extended.starts_with(b"VP8X") => (extended[8..].to_vec(), rest),
            _ => (self.extended(), chunks),
        };
        extended[0] |= HAS_PROFILE;
        let mut body = b"WEBP".to_vec();
        push(&mut body, *b"VP8X", &extended);
        push(&mut body, *b"ICCP", &icc);
        body.extend_from_slice(rest);
        let mut whole = Vec::with_capacity(body.len() + 8);
        push(&mut whole, *b"RIFF", &body);
        whole
    }

    /// The `VP8X` chunk of a still picture.
    fn extended(&self) -> Vec<u8> {
        let sides = [self.size.width, self.size.height];
        let [width, height] = sides.map(|side| side.saturating_sub(1).to_le_bytes());
        let flags = if self.has_alpha { HAS_ALPHA } else { 0 };
        [&[flags, 0, 0, 0], &width[..3], &height[..3]].concat()
    }
}

/// Appends a chunk, padded to an even length.
fn push(out: &mut Vec<u8>, name: [u8; 4], content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    out.extend(name);
    out.extend(length.to_le_bytes());
    out.extend_from_slice(content);
    if content.len() % 2 == 1 {
        out.push(0);
    }
}
