//! A source as a rendition without its pixels being encoded again: a JPEG as JPEG XL or JPEG, a PNG as PNG.
//!
//! The bytes are untrusted. They have been decoded before they come here, so they are a whole picture within the
//! limits, but the encoder reads them again.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use tintype_model::Format;

use super::{jpeg, png, vp8};
use crate::color::Profile;
use crate::geometry::orient::Orientation;
use crate::header::Header;
use crate::jpeg::{APP0, APP2, APP14, APP15, COM, RST0, RST7, SOI, SOS, TEM, next_marker, segment};
use crate::picture::Model;
use crate::syntax::bmff;
use crate::syntax::reader::Reader;

/// A source whose coefficients or rows may serve as they are, or that tells how fine its quantizers are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Original<'a> {
    pub(crate) bytes: &'a [u8],
    /// JPEG, PNG or WebP.
    pub(crate) format: Format,
    pub(crate) orientation: Orientation,
    /// The embedded profile, if it is used. One that the conversion of pixels ignores is ignored here too.
    pub(crate) profile: Option<&'a Profile>,
    /// True if its pixels are those that renditions are made from: upright and in sRGB.
    pub(crate) is_plain: bool,
    /// The quality of its format at which our encoder takes quantizers no finer than those of the source.
    pub(crate) quality: Option<u8>,
}

impl<'a> Original<'a> {
    /// The source, if it is a PNG, a WebP, or a JPEG that every decoder understands in the same way.
    pub(crate) fn of(source: &'a [u8], header: &'a Header) -> Option<Self> {
        let format = header.format.rendition?;
        let fits = header.model != Model::Cmyk && !header.is_odd_jpeg;
        fits.then(|| Self {
            bytes: source,
            format,
            orientation: header.orientation,
            profile: header.profile.as_ref(),
            is_plain: header.orientation.exif() == 1 && header.profile.as_ref().is_none_or(Profile::is_idle),
            quality: match format {
                Format::Jpeg => jpeg::quality(source),
                Format::Webp => vp8::quality(source),
                _ => None,
            },
        })
    }

    /// The same coefficients or rows in a file of the same format, and nothing else. `None` where pixels have to be
    /// changed, or for a kind that is not written here: the coefficients of a WebP are not read here.
    pub(crate) fn rewrite(&self) -> Option<Vec<u8>> {
        let rewritten = || match self.format {
            Format::Jpeg => jpeg::rewritten(self.bytes),
            Format::Png => png::rewritten(self.bytes),
            _ => None,
        };
        self.is_plain.then(|| crate::panics::quietly(rewritten))??
    }

    /// The JPEG XL codestream that shows the same pixels. Of the metadata, the colours of the profile and the orientation
    /// are kept. `None` for a JPEG of a kind that JPEG XL cannot hold.
    pub(crate) fn repack(&self) -> Option<Vec<u8>> {
        if self.format != Format::Jpeg {
            return None;
        }
        codestream(pack(&self.without_metadata()?)?)
    }

    /// The JPEG without application data and comments, except for what decides how its pixels look.
    fn without_metadata(&self) -> Option<Vec<u8>> {
        let mut bare = Vec::with_capacity(self.bytes.len());
        bare.extend_from_slice(&[0xFF, SOI]);
        if self.orientation.exif() != 1 {
            bare.extend_from_slice(&exif_segment(self.orientation.exif()));
        }
        if let Some(profile) = self.profile {
            bare.extend_from_slice(&profile_segments(&profile.colours()?)?);
        }
        let mut reader = Reader::at(self.bytes, 2);
        loop {
            let marker = next_marker(&mut reader)?;
            if matches!(marker, SOI | TEM | RST0..=RST7) {
                continue;
            }
            let rest = reader.rest();
            let content = segment(&mut reader).ok()?;
            // With its length before it.
            let whole = rest.get(..content.len().checked_add(2)?)?;
            let stays = match marker {
                // Says which colour model the components are in.
                APP14 => content.starts_with(b"Adobe"),
                APP0..=APP15 | COM => false,
                _ => true,
            };
            if stays {
                bare.extend_from_slice(&[0xFF, marker]);
                bare.extend_from_slice(whole);
            }
            if marker == SOS {
                bare.extend_from_slice(reader.rest());
                return Some(bare);
            }
        }
    }
}

fn pack(jpeg: &[u8]) -> Option<Vec<u8>> {
    let config = jixel::JpegTranscodeConfig {
        jpeg_reconstruction: false,
        num_threads: 1,
        brotli_compression: None,
        speed: jixel::Speed::Fastest,
    };
    crate::panics::quietly(|| jixel::encode_jpeg_lossless_with_config(jpeg, &config))?.ok()
}

/// An APP1 segment that says nothing but the orientation.
fn exif_segment(orientation: u8) -> [u8; 36] {
    let mut segment = *b"\xFF\xE1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    segment[29] = orientation;
    segment
}

/// The APP2 segments that carry a profile (ICC.1, annex B.4). `None` for one that is too long for them.
fn profile_segments(profile: &[u8]) -> Option<Vec<u8>> {
    const MAX_PART: usize = 65_519;
    let total = u8::try_from(profile.len().div_ceil(MAX_PART)).ok()?;
    let mut segments = Vec::new();
    for (number, part) in (1..=total).zip(profile.chunks(MAX_PART)) {
        let length = u16::try_from(part.len().checked_add(16)?).ok()?;
        segments.extend_from_slice(&[0xFF, APP2]);
        segments.extend_from_slice(&length.to_be_bytes());
        segments.extend_from_slice(b"ICC_PROFILE\0");
        segments.extend_from_slice(&[number, total]);
        segments.extend_from_slice(part);
    }
    Some(segments)
}

/// The codestream of a JPEG XL file, without the boxes around it and what else is in them.
fn codestream(file: Vec<u8>) -> Option<Vec<u8>> {
    if file.starts_with(&[0xFF, 0x0A]) {
        return Some(file);
    }
    let mut rest = &file[..];
    loop {
        let (kind, body, behind) = bmff::first(rest)?;
        if &kind == b"jxlc" {
            return Some(body.to_vec());
        }
        rest = behind;
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn only_what_decides_how_pixels_look_is_kept() {
        let segment = |marker: u8, content: &[u8]| {
            let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
            [&[0xFF, marker], &length[..], content].concat()
        };
        let jpeg = [
            &[0xFF, SOI][..],
            &segment(0xE0, b"JFIF\0"),
            &segment(0xE1, b"Exif\0\0GPS"),
            &segment(APP2, b"ICC_PROFILE\0\x01\x01profile"),
            &segment(APP2, b"MPF\0"),
            &[0xFF],
            &segment(APP14, b"Adobe\0"),
            &segment(COM, b"secret"),
            &segment(0xDB, b"tables"),
            &segment(SOS, b"scan"),
            b"data\xFF\xD9",
        ]
        .concat();
        let mut named = moxcms::ColorProfile::new_display_p3();
        named.description = Some(moxcms::ProfileText::PlainString("Petra".to_owned()));
        let profile = Profile::parse(&named.encode().unwrap(), Model::Rgb).unwrap();
        let original = |orientation, profile| Original {
            bytes: &jpeg,
            format: Format::Jpeg,
            orientation: Orientation::from_exif(Some(orientation)),
            profile,
            is_plain: false,
            quality: None,
        };
        let rest = [
            &segment(APP14, b"Adobe\0")[..],
            &segment(0xDB, b"tables"),
            &segment(SOS, b"scan"),
            b"data\xFF\xD9",
        ]
        .concat();
        assert_eq!(
            original(1, None).without_metadata().unwrap(),
            [&[0xFF, SOI][..], &rest].concat()
        );
        let colours = [&b"ICC_PROFILE\0\x01\x01"[..], &profile.colours().unwrap()].concat();
        let kept = original(6, Some(&profile)).without_metadata().unwrap();
        assert_eq!(kept[..2], [0xFF, SOI]);
        assert_eq!(crate::metadata::exif::orientation(&kept[6..38]), Some(6));
        assert_eq!(kept[38..], [segment(APP2, &colours), rest].concat());
        assert_eq!(
            Original {
                bytes: &jpeg[..30],
                ..original(1, Some(&profile))
            }
            .without_metadata(),
            None
        );
    }

    #[test]
    fn the_codestream_is_taken_out_of_its_boxes() {
        assert_eq!(codestream(vec![0xFF, 0x0A, 9]), Some(vec![0xFF, 0x0A, 9]));
        let boxes = [
            &b"\0\0\0\x0cJXL \r\n\x87\n"[..],
            b"\0\0\0\x0cExifGPS.",
            b"\0\0\0\x01jxlc\0\0\0\0\0\0\0\x13abc",
        ]
        .concat();
        assert_eq!(codestream(boxes.clone()), Some(b"abc".to_vec()));
        assert_eq!(codestream(boxes[..boxes.len() - 1].to_vec()), None);
        assert_eq!(codestream(b"\0\0\0\0jxlcabc".to_vec()), Some(b"abc".to_vec()));
        assert_eq!(codestream(b"\0\0\0\x02jxlcabc".to_vec()), None);
    }
}
