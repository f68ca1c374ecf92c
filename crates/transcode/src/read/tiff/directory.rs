//! TIFF 6.0 and BigTIFF: the entries of the first directory. No offset is followed but those of its own values, and
//! no other directory is read, so loops have no effect.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use tintype_model::Limits;

use crate::Error;
use crate::header::{MAX_PROFILE_BYTES, ParsedHeader, check_size};
use crate::metadata::exif::Block;
use crate::picture::Model;
use crate::syntax::tiff::{Field, Tiff};

const NEW_SUBFILE_TYPE: u16 = 254;
const IMAGE_WIDTH: u16 = 256;
const IMAGE_LENGTH: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const MAKE: u16 = 271;
const STRIP_OFFSETS: u16 = 273;
const ORIENTATION: u16 = 274;
const SAMPLES_PER_PIXEL: u16 = 277;
const STRIP_BYTE_COUNTS: u16 = 279;
const PLANAR_CONFIGURATION: u16 = 284;
const COLOR_MAP: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_LENGTH: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;
const SUB_IFDS: u16 = 330;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;
const YCBCR_SUBSAMPLING: u16 = 530;
const ICC_PROFILE: u16 = 34_675;
const DNG_VERSION: u16 = 50_706;

/// The values of `PhotometricInterpretation` that are read.
pub(super) const PALETTE: u64 = 3;
pub(super) const CMYK: u64 = 5;
pub(super) const YCBCR: u64 = 6;
pub(super) const WHITE_IS_ZERO: u64 = 0;
pub(super) const BLACK_IS_ZERO: u64 = 1;
const RGB: u64 = 2;
/// The kinds of samples that only cameras write: those of a colour filter array, and light that no profile describes.
const RAW_PHOTOMETRIC: [u64; 2] = [32_803, 34_892];
/// The compressions that only cameras use: Nikon, Sony, Samsung, Pentax, Kodak, lossy DNG.
const RAW_COMPRESSION: [u64; 7] = [34_713, 32_767, 32_770, 65_535, 65_000, 262, 34_892];
/// JPEG in strips or tiles of their own (TIFF technical note 2).
pub(super) const JPEG: u64 = 7;
/// JPEG as TIFF 6.0 had it, which note 2 withdraws.
pub(super) const OLD_JPEG: u64 = 6;

/// Entries of the directory that are looked at: real ones have some tens.
const MAX_ENTRIES: usize = 4096;

/// The first directory of a file.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    pub(super) tiff: Tiff<'a>,
    /// Tags with their values, as far as these are in the file.
    entries: Vec<(u16, Option<Field<'a>>)>,
}

/// Tells whether a file begins as TIFF or BigTIFF does, in either byte order.
pub(super) fn is_tiff(source: &[u8]) -> bool {
    [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"]
        .into_iter()
        .any(|magic| source.starts_with(magic))
}

pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<ParsedHeader, Error> {
    let directory =
        Directory::read(source).ok_or_else(|| Error::corrupt("the TIFF's directory cannot be read"))?;
    directory.refuse_raw()?;
    let side = |tag| {
        directory
            .number(tag)
            .ok_or_else(|| Error::corrupt("the TIFF has no width or no height"))
    };
    // A side that needs more than 32 bits is beyond any limit.
    let clamp = |side: u64| u32::try_from(side).unwrap_or(u32::MAX);
    let size = check_size(clamp(side(IMAGE_WIDTH)?), clamp(side(IMAGE_LENGTH)?), limits)?;
    if directory.number(PHOTOMETRIC).is_none() {
        return Err(Error::unsupported(
            "the TIFF does not say what its samples mean (photometric interpretation)",
        ));
    }
    let photometric = directory.photometric();
    let bits = directory.bits();
    let model = match photometric {
        WHITE_IS_ZERO | BLACK_IS_ZERO => Model::Grey,
        CMYK => Model::Cmyk,
        RGB | PALETTE | YCBCR => Model::Rgb,
        other => {
            return Err(Error::unsupported(format!(
                "the TIFF has photometric interpretation {other}; grey, RGB, palettes, CMYK and YCbCr are read"
            )));
        }
    };
    Ok(ParsedHeader {
        size,
        orientation: directory
            .number(ORIENTATION)
            .and_then(|orientation| u8::try_from(orientation).ok()),
        has_alpha: directory.alpha().is_some(),
        frames: 1,
        // Palettes hold 16 bits, and no writer uses more than 8 of them.
        bit_depth: if photometric == PALETTE {
            8
        } else {
            u8::try_from(bits).unwrap_or(32).clamp(1, 32)
        },
        model,
        icc: directory.profile().map(<[u8]>::to_vec),
        exif: Block::File,
        ..ParsedHeader::default()
    })
}

/// The kind of transparency in the last of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpha {
    /// Colours were multiplied with it.
    Associated,
    Straight,
}

impl<'a> Directory<'a> {
    pub(super) fn read(source: &'a [u8]) -> Option<Self> {
        let tiff = Tiff::new(source)?;
        let entries = tiff.first()?.entries().take_while(|entry| entry.is_whole());
        let entries = entries.take(MAX_ENTRIES).map(|entry| (entry.tag, entry.field()));
        let entries: Vec<_> = entries.collect();
        (!entries.is_empty()).then_some(Self { tiff, entries })
    }

    fn has(&self, tag: u16) -> bool {
        self.entries.iter().any(|&(found, _)| found == tag)
    }

    /// The value of a tag, if it is in the file.
    pub(super) fn stored(&self, tag: u16) -> Option<Field<'a>> {
        self.entries.iter().find(|&&(found, _)| found == tag)?.1
    }

    /// All values of a tag, as far as they are whole numbers.
    fn numbers(&self, tag: u16) -> impl Iterator<Item = u64> + 'a {
        self.stored(tag).into_iter().flat_map(Field::numbers)
    }

    fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag).next()
    }

    pub(super) fn photometric(&self) -> u64 {
        self.number(PHOTOMETRIC).unwrap_or(BLACK_IS_ZERO)
    }

    pub(super) fn bits(&self) -> u64 {
        self.number(BITS_PER_SAMPLE).unwrap_or(1)
    }

    pub(super) fn compression(&self) -> u64 {
        self.number(COMPRESSION).unwrap_or(1)
    }

    pub(super) fn is_float(&self) -> bool {
        self.number(SAMPLE_FORMAT) == Some(3)
    }

    pub(super) fn is_signed(&self) -> bool {
        self.number(SAMPLE_FORMAT) == Some(2)
    }

    /// Tells whether each channel has strips or tiles of its own.
    pub(super) fn is_planar(&self) -> bool {
        self.number(PLANAR_CONFIGURATION) == Some(2)
    }

    /// Tells whether channels are not all of the same kind.
    pub(super) fn is_mixed(&self) -> bool {
        [BITS_PER_SAMPLE, SAMPLE_FORMAT].into_iter().any(|tag| {
            let first = self.number(tag);
            self.numbers(tag).any(|value| Some(value) != first)
        })
    }

    /// Tells whether chroma of YCbCr is coarser than luma, which is the default.
    pub(super) fn is_subsampled(&self) -> bool {
        let mut factors = self.numbers(YCBCR_SUBSAMPLING);
        (factors.next().unwrap_or(2), factors.next().unwrap_or(2)) != (1, 1)
    }

    pub(super) fn sample_format(&self) -> Option<u64> {
        self.number(SAMPLE_FORMAT)
    }

    /// Channels in all.
    pub(super) fn samples(&self) -> u64 {
        self.number(SAMPLES_PER_PIXEL).unwrap_or(1)
    }

    /// Channels behind the colours, transparency or not.
    fn extra(&self) -> u64 {
        self.samples().saturating_sub(self.colors())
    }

    /// Channels that make the colour.
    pub(super) fn colors(&self) -> u64 {
        match self.photometric() {
            RGB | YCBCR => 3,
            CMYK => 4,
            _ => 1,
        }
    }

    /// The first channel behind the colours, if it is transparency. Without a word about it, a fourth channel of RGB
    /// is taken for that, as other readers do; a channel of unspecified meaning is not.
    pub(super) fn alpha(&self) -> Option<Alpha> {
        if self.extra() == 0 || matches!(self.photometric(), PALETTE | CMYK | YCBCR) {
            return None;
        }
        match self.number(EXTRA_SAMPLES) {
            Some(1) => Some(Alpha::Associated),
            Some(2) => Some(Alpha::Straight),
            None if self.photometric() == RGB => Some(Alpha::Straight),
            _ => None,
        }
    }

    fn profile(&self) -> Option<&'a [u8]> {
        let profile = self.stored(ICC_PROFILE)?.bytes;
        (!profile.is_empty() && profile.len() <= MAX_PROFILE_BYTES).then_some(profile)
    }

    /// The colours of a palette, 16 bits each: all reds, all greens, all blues.
    pub(super) fn palette(&self) -> Vec<u64> {
        self.numbers(COLOR_MAP).take(3 << 16).collect()
    }

    /// Width and height of tiles.
    pub(super) fn tile(&self) -> Option<(u64, u64)> {
        Some((self.number(TILE_WIDTH)?, self.number(TILE_LENGTH)?))
    }

    /// The strips or tiles, as offset and length.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (offsets, lengths) = if self.has(TILE_OFFSETS) {
            (TILE_OFFSETS, TILE_BYTE_COUNTS)
        } else {
            (STRIP_OFFSETS, STRIP_BYTE_COUNTS)
        };
        self.numbers(offsets).zip(self.numbers(lengths))
    }

    /// Camera raw files are TIFFs with the data of the sensor and a small preview in front. The data would have to be
    /// developed, and the preview is not the picture.
    fn refuse_raw(&self) -> Result<(), Error> {
        let is_preview = self.number(NEW_SUBFILE_TYPE).is_some_and(|kind| kind & 1 == 1);
        let is_dng = self.has(DNG_VERSION);
        let is_raw = is_dng
            || self.tiff.data.get(8..10) == Some(b"CR")
            || RAW_PHOTOMETRIC.contains(&self.photometric())
            || RAW_COMPRESSION.contains(&self.compression())
            || (is_preview && self.has(SUB_IFDS));
        if !is_raw {
            return Ok(());
        }
        let make = self
            .stored(MAKE)
            .map_or(&[][..], |field| field.bytes)
            .to_ascii_uppercase();
        let makers: [(&[u8], &str); 8] = [
            (b"CANON", "Canon CR2"),
            (b"NIKON", "Nikon NEF"),
            (b"SONY", "Sony ARW"),
            (b"OLYMPUS", "Olympus ORF"),
            (b"PENTAX", "Pentax PEF"),
            (b"RICOH", "Pentax PEF"),
            (b"SAMSUNG", "Samsung SRW"),
            (b"HASSELBLAD", "Hasselblad 3FR"),
        ];
        let maker = makers.iter().find(|(start, _)| make.starts_with(start));
        let name = if is_dng {
            "DNG"
        } else {
            maker.map_or("TIFF-based", |(_, name)| name)
        };
        Err(Error::unsupported(format!(
            "the content is a camera raw file ({name}), which has to be developed first; export it as TIFF or JPEG"
        )))
    }
}
