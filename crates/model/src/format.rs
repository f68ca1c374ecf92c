use serde::{Deserialize, Serialize};

/// A format that renditions are encoded in.
///
/// The order of the variants is the order of preference in negotiation: earlier is newer and smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG XL. First in the order although few browsers take it: only a recipe that names it has it.
    Jxl,
    /// AV1 Image File Format.
    Avif,
    /// WebP, lossy or lossless.
    Webp,
    /// JPEG (JFIF).
    Jpeg,
    /// Portable Network Graphics.
    Png,
}

impl Format {
    /// Every format, in order of preference.
    pub const ALL: [Self; 5] = [Self::Jxl, Self::Avif, Self::Webp, Self::Jpeg, Self::Png];

    /// The file name extension used in URLs and object keys, without a dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jxl => "jxl",
            Self::Avif => "avif",
            Self::Webp => "webp",
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }

    /// The media type (RFC 9110 section 8.3.1).
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jxl => "image/jxl",
            Self::Avif => "image/avif",
            Self::Webp => "image/webp",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    /// The name used in configuration and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jxl => "jxl",
            Self::Avif => "avif",
            Self::Webp => "webp",
            Self::Jpeg => "jpeg",
            Self::Png => "png",
        }
    }

    /// The format whose [`extension`](Self::extension) is `extension`, compared exactly.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.extension() == extension)
    }

    /// True if every browser shows it, so that it can be the answer when nothing newer is accepted.
    #[must_use]
    pub const fn is_universal(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png)
    }

    /// True if it can keep every pixel as it is.
    #[must_use]
    pub const fn can_be_lossless(self) -> bool {
        matches!(self, Self::Jxl | Self::Webp | Self::Png)
    }

    /// True if its pixels can be transparent.
    #[must_use]
    pub const fn can_be_transparent(self) -> bool {
        match self {
            Self::Jxl | Self::Avif | Self::Webp | Self::Png => true,
            Self::Jpeg => false,
        }
    }

    /// True if animated sources can stay animated in it.
    #[must_use]
    pub const fn can_be_animated(self) -> bool {
        match self {
            Self::Avif | Self::Webp | Self::Png => true,
            Self::Jxl | Self::Jpeg => false,
        }
    }

    /// The largest width or height in pixels that the format can hold.
    #[must_use]
    pub const fn max_side(self) -> u32 {
        match self {
            // Level 5 of the standard, which is all that decoders have to read.
            Self::Jxl => 262_144,
            Self::Avif => 65_536,
            Self::Webp => 16_383,
            Self::Jpeg => 65_535,
            Self::Png => 0x7FFF_FFFF,
        }
    }
}
