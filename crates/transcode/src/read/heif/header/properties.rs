//! The properties of one item (ISO/IEC 23008-12 section 6.5) that matter here.

use tintype_model::Dimensions;

use super::boxes::Box;
use super::meta::Property;
use crate::Error;
use crate::color::cicp::Cicp;
use crate::header::MAX_PROFILE_BYTES;
use crate::syntax::reader::Reader;

/// The content of an item's properties. Sizes are as announced, not yet checked against any limit.
#[derive(Clone, Copy)]
pub(super) struct Properties<'a> {
    pub(super) size: Option<Dimensions>,
    /// The body of `av1C` or `hvcC`.
    pub(super) config: Option<&'a [u8]>,
    pub(super) icc: Option<&'a [u8]>,
    pub(super) cicp: Option<Cicp>,
    /// `irot` and `imir` in their order, as the EXIF orientation that asks for the same.
    pub(super) orientation: u8,
    aperture: Option<Clap>,
    /// The purpose of an auxiliary picture: the URN in `auxC`.
    pub(super) role: &'a [u8],
    /// Brightest pixel in cd/m², when `clli` tells it.
    pub(super) peak: Option<u16>,
    /// The operating point of a layered AV1 picture.
    pub(super) operating_point: u8,
}

impl<'a> Properties<'a> {
    /// The part of a picture of `size` to show.
    pub(super) fn crop(&self, size: Dimensions) -> Result<Option<Crop>, Error> {
        let Some(aperture) = self.aperture else {
            return Ok(None);
        };
        let crop = aperture.within(size);
        crop.map(Some)
            .ok_or_else(|| Error::corrupt("the aperture is not within the picture"))
    }

    pub(super) fn read(properties: impl Iterator<Item = Property<'a>>) -> Result<Self, Error> {
        let mut found = Self {
            size: None,
            config: None,
            icc: None,
            cicp: None,
            orientation: 1,
            aperture: None,
            role: &[],
            peak: None,
            operating_point: 0,
        };
        for property in properties {
            found.add(property.found, property.is_essential)?;
        }
        Ok(found)
    }

    fn add(&mut self, part: Box<'a>, is_essential: bool) -> Result<(), Error> {
        let cut = || part.cut();
        let mut reader = Reader::new(part.body);
        match &part.kind {
            b"ispe" => {
                let (_, _, mut reader) = part.full()?;
                let width = reader.be32().ok_or_else(cut)?;
                let height = reader.be32().ok_or_else(cut)?;
                self.size = Some(Dimensions { width, height });
            }
            b"av1C" | b"hvcC" => self.config = Some(part.body),
            b"colr" => self.add_color(part)?,
            b"irot" => {
                for _ in 0..reader.u8().ok_or_else(cut)? & 3 {
                    self.orientation = turned_left(self.orientation);
                }
            }
            b"imir" => {
                let is_sideways = reader.u8().ok_or_else(cut)? & 1 != 0;
                self.orientation = mirrored(self.orientation, is_sideways);
            }
            b"clap" => self.aperture = Some(Clap::read(&mut reader).ok_or_else(cut)?),
            b"auxC" => {
                let (_, _, reader) = part.full()?;
                self.role = reader.rest().split(|&byte| byte == 0).next().unwrap_or_default();
            }
            b"clli" => self.peak = Some(reader.be16().ok_or_else(cut)?).filter(|&peak| peak > 0),
            b"a1op" => self.operating_point = reader.u8().ok_or_else(cut)?,
            // 0xFFFF: whatever the decoder shows when nothing is chosen.
            b"lsel" if reader.be16().ok_or_else(cut)? != 0xFFFF => {
                return Err(Error::unsupported(
                    "single layers of a layered picture are not read",
                ));
            }
            b"lsel" => {}
            b"pixi" | b"pasp" | b"a1lx" | b"mdcv" | b"cclv" | b"amve" | b"rloc" | b"udes" | b"altt"
            | b"ster" | b"ndwt" => {}
            _ if is_essential => {
                return Err(Error::unsupported(format!(
                    "the picture needs the property {}, which is not read",
                    part.name()
                )));
            }
            _ => {}
        }
        Ok(())
    }

    fn add_color(&mut self, colr: Box<'a>) -> Result<(), Error> {
        let cut = || colr.cut();
        let mut reader = Reader::new(colr.body);
        match &reader.four().ok_or_else(cut)? {
            b"prof" | b"rICC" => {
                self.icc = Some(reader.rest()).filter(|icc| icc.len() <= MAX_PROFILE_BYTES);
            }
            b"nclx" => {
                let mut code = || {
                    reader
                        .be16()
                        .ok_or_else(cut)
                        .map(|code| u8::try_from(code).unwrap_or(2))
                };
                let (primaries, transfer, matrix) = (code()?, code()?, code()?);
                let range = reader.u8().ok_or_else(cut)?;
                self.cicp = Some(Cicp {
                    primaries,
                    transfer,
                    matrix,
                    is_full_range: range & 0x80 != 0,
                });
            }
            _ => {}
        }
        Ok(())
    }
}

/// The orientation that turns a picture of this one another quarter to the left.
pub(super) const fn turned_left(orientation: u8) -> u8 {
    match orientation {
        1 => 8,
        2 => 5,
        3 => 6,
        4 => 7,
        5 => 4,
        6 => 1,
        7 => 2,
        _ => 3,
    }
}

/// The orientation that then exchanges left and right, or top and bottom.
pub(super) const fn mirrored(orientation: u8, is_sideways: bool) -> u8 {
    if is_sideways {
        match orientation {
            1 => 2,
            2 => 1,
            3 => 4,
            4 => 3,
            5 => 6,
            6 => 5,
            7 => 8,
            _ => 7,
        }
    } else {
        match orientation {
            1 => 4,
            2 => 3,
            3 => 2,
            4 => 1,
            5 => 8,
            6 => 7,
            7 => 6,
            _ => 5,
        }
    }
}

/// A clean aperture: the part of the coded picture to show, as fractions (ISO/IEC 14496-12 section 12.1.4).
#[derive(Clone, Copy)]
struct Clap {
    width: (u32, u32),
    height: (u32, u32),
    horizontal: (i32, u32),
    vertical: (i32, u32),
}

/// A part of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crop {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) size: Dimensions,
}

impl Clap {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let unsigned = |reader: &mut Reader<'_>| Some((reader.be32()?, reader.be32()?));
        let signed = |reader: &mut Reader<'_>| Some((i32::from_be_bytes(reader.four()?), reader.be32()?));
        Some(Self {
            width: unsigned(reader)?,
            height: unsigned(reader)?,
            horizontal: signed(reader)?,
            vertical: signed(reader)?,
        })
    }

    /// The pixels that are meant; `None` when they are not all within a picture of `size`, or none at all.
    fn within(self, size: Dimensions) -> Option<Crop> {
        let (left, width) = span(size.width, self.width, self.horizontal)?;
        let (top, height) = span(size.height, self.height, self.vertical)?;
        Some(Crop {
            left,
            top,
            size: Dimensions { width, height },
        })
    }
}

/// First pixel and length of a span of `length` whose middle is `offset` off the middle of `whole`.
fn span(whole: u32, length: (u32, u32), offset: (i32, u32)) -> Option<(u32, u32)> {
    let pixels = length.0.checked_div(length.1)?;
    let (numerator, denominator) = (i128::from(offset.0), i128::from(offset.1));
    let slack = i128::from(whole).checked_sub(i128::from(pixels))?;
    // offset + slack / 2, which is whole in every file that means it.
    let twice = numerator
        .checked_mul(2)?
        .checked_add(slack.checked_mul(denominator)?)?;
    let first = twice.checked_div_euclid(denominator.checked_mul(2)?)?;
    let first = u32::try_from(first).ok()?;
    let end = first.checked_add(pixels)?;
    (pixels > 0 && end <= whole).then_some((first, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::orient::Orientation;
    use crate::picture::Picture;

    /// The places of the corners of a 2x2 picture after turning.
    fn shown(orientation: u8) -> Vec<u8> {
        let picture = Picture {
            size: Dimensions { width: 2, height: 2 },
            has_alpha: false,
            space: crate::picture::Space::Srgb,
            data: b"abcd".iter().flat_map(|&letter| [letter; 3]).collect(),
        };
        let turned = Orientation::from_exif(Some(orientation)).apply(picture, 1);
        turned.data.chunks_exact(3).map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn turns_and_mirrors_add_up_to_the_orientation_that_does_the_same() {
        for orientation in 1..=8 {
            let [a, b, c, d] = shown(orientation)[..] else {
                panic!()
            };
            assert_eq!(
                shown(turned_left(orientation)),
                [b, d, a, c],
                "{orientation} turned"
            );
            assert_eq!(
                shown(mirrored(orientation, true)),
                [b, a, d, c],
                "{orientation} sideways"
            );
            assert_eq!(
                shown(mirrored(orientation, false)),
                [c, d, a, b],
                "{orientation} upside down"
            );
        }
    }

    #[test]
    fn apertures_are_centred_and_stay_inside() {
        // GIMP's 451 of 452 columns.
        assert_eq!(span(452, (451, 1), (-1, 2)), Some((0, 451)));
        assert_eq!(span(100, (50, 1), (0, 1)), Some((25, 50)));
        assert_eq!(span(100, (100, 2), (25, 1)), Some((50, 50)));
        for (length, offset) in [
            ((0, 1), (0, 1)),
            ((50, 0), (0, 1)),
            ((50, 1), (0, 0)),
            ((101, 1), (0, 1)),
            ((50, 1), (26, 1)),
            ((50, 1), (-26, 1)),
            ((u32::MAX, 1), (i32::MIN, u32::MAX)),
        ] {
            assert_eq!(span(100, length, offset), None, "{length:?} {offset:?}");
        }
    }
}
