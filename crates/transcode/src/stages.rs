//! The steps of [`render`](crate::render()) one by one, for benchmarks, comparisons of quality and fuzzing. Not a stable
//! interface.

use std::sync::Arc;

use tintype_model::{Dimensions, Format, Limits, Recipe, Rgb, Variant};

use crate::geometry::{Geometry, resize};
use crate::header::{self, Header};
use crate::panics::contain;
use crate::picture::{Picture, Space};
use crate::quality::{self, Content, Features, ScoreReference};
use crate::{EncodeError, Error, encode, metadata, read, render};

/// The names of the formats that this build reads, in the order in which they are tried.
pub fn formats() -> impl Iterator<Item = &'static str> {
    read::formats().map(|format| format.name)
}

/// Tells whether the first bytes of `source` are those of the format `name`.
#[must_use]
pub fn is_recognized(name: &str, source: &[u8]) -> bool {
    read::formats().any(|format| format.name == name && (format.recognize)(source))
}

/// Reads `source` as a file of the format `name`, whatever its first bytes are: its header, its facts, its picture and
/// every frame.
///
/// # Errors
/// [`Error::Rejected`] only.
pub fn read_as(name: &str, source: &[u8], limits: &Limits) -> Result<(), Error> {
    let Some(format) = read::formats().find(|format| format.name == name) else {
        return Err(Error::unsupported(format!("this build does not read {name}")));
    };
    header::check_bytes(source, limits)?;
    let header = Header::read(format, source, limits)?;
    header.info(source);
    header.exif(source).and_then(metadata::capture::location);
    read::decode(source, &header)?;
    if let Some(animation) = format.animation.as_ref().filter(|_| header.is_animated()) {
        contain(|| {
            let mut frames = (animation.open)(source, &header)?;
            (0..header.frames).try_for_each(|_| frames.next().map(drop))
        })?;
    }
    Ok(())
}

/// 8-bit sRGB pixels, upright.
#[derive(Clone, Debug)]
pub struct Pixels(Arc<Picture>);

impl Pixels {
    /// RGB pixels, rows from the top without padding; `None` when the number of bytes does not fit the size.
    #[must_use]
    pub fn from_rgb(size: Dimensions, data: Vec<u8>) -> Option<Self> {
        let picture = Picture {
            size,
            has_alpha: false,
            space: Space::Srgb,
            data,
        };
        (picture.data.len() == picture.width() * picture.height() * 3).then(|| Self(Arc::new(picture)))
    }

    /// Decodes, converts to sRGB and turns upright.
    ///
    /// # Errors
    /// As [`crate::render()`].
    pub fn decode(source: &[u8], limits: &Limits, threads: usize) -> Result<Self, Error> {
        let opened = render::open(source, &Recipe::default(), limits, threads)?;
        Ok(Self(Arc::new(opened.picture)))
    }

    /// The size in pixels.
    #[must_use]
    pub fn size(&self) -> Dimensions {
        self.0.size
    }

    /// 4 for RGBA, 3 for RGB.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.0.channels()
    }

    /// Rows from the top, without padding.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.0.data
    }

    /// Scales to what `variant` asks for.
    ///
    /// # Errors
    /// When the resizer fails.
    pub fn resize(&self, variant: &Variant, threads: usize) -> Result<Self, EncodeError> {
        resize::resize(&self.0, &Geometry::new(self.0.size, variant), threads)
            .map(|picture| Self(Arc::new(picture)))
    }

    /// Encodes at `quality`, 1 to 100, on a white background.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn encode(&self, format: Format, quality: u8) -> Result<Vec<u8>, EncodeError> {
        encode::encode(Arc::clone(&self.0), format, quality, Rgb::default()).map(|file| file.bytes)
    }

    /// Tells whether this is a drawing rather than a photograph, with the counts that decide it: all blocks, flat ones,
    /// ones with a hard edge, ones with a drawn edge, and pairs of equal pixels in blocks that are not flat.
    #[must_use]
    pub fn content(&self) -> (bool, [usize; 5]) {
        let features = Features::of(&self.0);
        let counts = [
            features.blocks,
            features.flat,
            features.edged,
            features.drawn,
            features.same,
        ];
        (quality::classify(&self.0) == Content::Drawn, counts)
    }

    /// Encodes in each format at each quality, and gives numbers of bytes and scores as records tell them: those of a
    /// sample where the picture is large.
    ///
    /// # Errors
    /// When an encoder fails or its file cannot be read back.
    pub fn scores(&self, wanted: &[(Format, u8)]) -> Result<Vec<(usize, f64)>, EncodeError> {
        let background = Rgb::default();
        let score_reference = ScoreReference::new(&self.0, background);
        let made = wanted.iter().map(|&(format, quality)| {
            let settings = encode::StillSettings::usual(quality, self.0.size.pixels());
            let encoded = encode::encode_and_show(Arc::clone(&self.0), format, &settings, background)?;
            let score = score_reference.score_whole(format, &encoded)?;
            Ok((encoded.file.bytes.len(), score))
        });
        made.collect()
    }

    /// Encodes at `quality` and tells how good that is, measured in three ways.
    ///
    /// # Errors
    /// When the encoder fails or its file cannot be read back.
    pub fn measure(&self, format: Format, quality: u8) -> Result<Measured, EncodeError> {
        let background = Rgb::default();
        let settings = encode::StillSettings::usual(quality, self.0.size.pixels());
        let score_reference = ScoreReference::new(&self.0, background);
        let sample = encode::encode_and_show(
            Arc::clone(score_reference.picture()),
            format,
            &settings,
            background,
        )?;
        let whole = encode::encode_and_show(Arc::clone(&self.0), format, &settings, background)?;
        Ok(Measured {
            bytes: whole.file.bytes.len(),
            sample: score_reference.score_sample(format, &sample)?,
            in_place: score_reference.score_whole(format, &whole)?,
            whole: ScoreReference::thorough(&self.0).score_whole(format, &whole)?,
        })
    }
}

/// The SSIMULACRA2 score of one encode, measured in three ways.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Size of the file.
    pub bytes: usize,
    /// The score of the sample, encoded by itself; of the whole where the picture is small.
    pub sample: f64,
    /// The score of the same pixels, encoded as a part of the whole.
    pub in_place: f64,
    /// The score of the whole picture.
    pub whole: f64,
}
