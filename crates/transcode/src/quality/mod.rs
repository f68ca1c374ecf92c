//! The quality of renditions: settings by the kind of picture, the quality that reaches a score, the attempts that may
//! be made beside it, and the reasons why a newer format is larger than an older one.
//!
//! Everything here follows from pixels and recipe alone, so that the same source gives the same bytes on any number
//! of threads.

mod budget;
mod content;
mod larger;
mod score;
mod search;

use std::sync::{Arc, OnceLock};

use tintype_model::{Encoding, Format, Quality, Rgb};

pub(crate) use budget::needed;
pub(crate) use content::{Content, Features, classify};
pub(crate) use larger::explain;
pub(crate) use score::ScoreReference;

use crate::encode::{self, Chroma, Encoded, EncodedFile, Loss, SplitFile, StillSettings};
use crate::error::EncodeError;
use crate::picture::Picture;

/// A rendition to be encoded: its parameters, from the recipe and the source.
#[derive(Clone, Copy)]
pub(crate) struct EncodeRequest {
    pub(crate) format: Format,
    pub(crate) quality: Quality,
    /// The kind of picture that the source is.
    pub(crate) content: Content,
    /// Format and quality of a lossy source of the same size.
    pub(crate) source_quality: Option<(Format, u8)>,
    /// The least cost of all files of this picture that have to be made ([`needed`]), in nanoseconds a pixel.
    pub(crate) needed: u64,
    /// The colour behind transparent pixels in formats without alpha.
    pub(crate) background: Rgb,
    /// True if the score is recorded even where no quality was chosen by it.
    pub(crate) scores: bool,
}

/// The file of a rendition, and the encoding that its record tells.
pub(crate) struct RenditionFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) encoding: Encoding,
}

impl RenditionFile {
    /// A file with the encoding that was chosen for it.
    pub(crate) fn of(file: EncodedFile, chosen: Encoding) -> Self {
        Self {
            bytes: file.bytes,
            encoding: Encoding {
                tiles: file.tiles,
                ..chosen
            },
        }
    }
}

/// A reference that is made when it is first needed, and shared by the formats of one size.
#[derive(Clone, Default)]
pub(crate) struct LazyReference(Arc<OnceLock<ScoreReference>>);

impl LazyReference {
    fn get(&self, picture: &Arc<Picture>, background: Rgb) -> &ScoreReference {
        self.0.get_or_init(|| ScoreReference::new(picture, background))
    }
}

/// Added to a fixed quality where a drawing becomes a JPEG, which shows rings around letters at low qualities.
const DRAWN_JPEG_BONUS: u8 = 10;
const DRAWN_JPEG_MOST: u8 = 95;

/// Taken off a fixed quality where a drawing becomes an AVIF: with palettes, and colours at full resolution, drawings
/// score ten points and more above what photographs do at the same number.
const DRAWN_AVIF_LESS: u8 = 12;

/// Target from which the colours of photographs are no longer halved. With halved ones photographs score 82 to 90 at
/// the best quality that there is.
const FULL_CHROMA_TARGET: u8 = 85;

/// The fixed quality of JPEG from which colours of photographs are no longer halved. On two photos at 800 pixels,
/// halved colours need 0 and 5 % fewer bytes at the score that they have at quality 90; at that of 95 it is 4 % fewer
/// and 8 % more, and they never reach the score that full resolution has at 95.
const FULL_CHROMA_JPEG: u8 = 95;

impl EncodeRequest {
    fn chroma(&self) -> Chroma {
        match (self.content, self.quality) {
            (Content::Drawn, _) => Chroma::Full,
            (Content::Photo, Quality::Auto { target }) if target >= FULL_CHROMA_TARGET => Chroma::Full,
            (Content::Photo, Quality::Fixed(FULL_CHROMA_JPEG..)) if self.format == Format::Jpeg => {
                Chroma::Full
            }
            (Content::Photo, _) => Chroma::Halved,
        }
    }

    fn settings(&self, quality: u8, pixels: u64) -> StillSettings {
        StillSettings {
            chroma: self.chroma(),
            is_drawn: self.content == Content::Drawn,
            ..StillSettings::usual(quality, pixels)
        }
    }

    /// The quality that a fixed one becomes: higher in a JPEG of a drawing, lower in an AVIF of it, and no finer than the
    /// source.
    pub(crate) fn fixed(&self, quality: u8) -> u8 {
        let wanted = match (self.content, self.format) {
            (Content::Drawn, Format::Jpeg) if quality < DRAWN_JPEG_MOST => {
                (quality + DRAWN_JPEG_BONUS).min(DRAWN_JPEG_MOST)
            }
            (Content::Drawn, Format::Avif) if quality < 100 => quality.saturating_sub(DRAWN_AVIF_LESS).max(1),
            _ => quality,
        };
        let useful = self
            .source_quality
            .map(|source| search::useful(self.format, source));
        wanted.min(useful.unwrap_or(100))
    }

    /// The settings for a file of the fixed quality `asked`, and the encoding that its record tells.
    fn fixed_settings(&self, asked: u8, pixels: u64) -> (StillSettings, Encoding) {
        let quality = self.fixed(asked);
        let encoding = Encoding {
            quality: (quality != asked).then_some(quality),
            ..Encoding::default()
        };
        (self.settings(quality, pixels), encoding)
    }

    /// A file that shows every pixel as it is.
    pub(crate) fn exact(&self, bytes: Vec<u8>) -> RenditionFile {
        RenditionFile {
            bytes,
            encoding: Encoding {
                score: self.scores.then_some(100.0),
                // Not told for PNG, which is always lossless.
                is_lossless: self.format != Format::Png,
                ..Encoding::default()
            },
        }
    }
}

/// The file that [`make`] would make, for several threads, with the encoding that its record tells; `None` where one thread
/// has to make it.
pub(crate) fn split(request: &EncodeRequest, picture: &Arc<Picture>) -> Option<(SplitFile, Encoding)> {
    let (Quality::Fixed(asked), false) = (request.quality, request.scores) else {
        return None;
    };
    let (settings, encoding) = request.fixed_settings(asked, picture.size.pixels());
    SplitFile::new(picture, request.format, &settings).map(|split| (split, encoding))
}

/// Encodes one rendition. `score_reference` is that of the picture's size.
pub(crate) fn make(
    request: &EncodeRequest,
    picture: Arc<Picture>,
    score_reference: &LazyReference,
) -> Result<RenditionFile, EncodeError> {
    if request.format == Format::Png {
        return encode::encode(picture, Format::Png, 100, request.background)
            .map(|file| request.exact(file.bytes));
    }
    match request.quality {
        Quality::Lossless => {
            let settings = StillSettings {
                loss: Loss::Nothing,
                ..request.settings(100, picture.size.pixels())
            };
            encode::encode_with(picture, request.format, &settings, request.background)
                .map(|file| request.exact(file.bytes))
        }
        Quality::Fixed(_) if request.is_lossless_first(&picture) => lossless(request, &picture),
        Quality::Fixed(quality) => fixed(request, quality, picture, score_reference),
        Quality::Auto { target } => automatic_or_lossless(request, target.into(), &picture, score_reference),
    }
}

/// The quality of a second attempt at a picture whose first file is `made`: lossy WebP where that is lossless. `None`
/// where nothing is tried, because too little can be gained or it costs too much beside what has to be made.
///
/// It needs less memory than the first file did.
pub(crate) fn attempt(request: &EncodeRequest, made: &RenditionFile, pixels: u64) -> Option<u8> {
    let Quality::Fixed(quality) = request.quality else {
        return None;
    };
    let is_open = request.format == Format::Webp && made.encoding.is_lossless;
    (is_open && budget::is_worth_it(made.bytes.len(), pixels) && budget::allows(request.needed))
        .then_some(quality)
}

/// Makes the [`attempt`]. `None` where its file is no smaller than `first` or cannot be made.
pub(crate) fn tried(
    request: &EncodeRequest,
    quality: u8,
    first: &RenditionFile,
    picture: Arc<Picture>,
    score_reference: &LazyReference,
) -> Option<RenditionFile> {
    let second = fixed(request, quality, picture, score_reference).ok()?;
    (second.bytes.len() < first.bytes.len()).then_some(second)
}

impl EncodeRequest {
    /// Tells whether lossless WebP is made first: of drawings it mostly is the smaller one, unless scaling has blurred
    /// them.
    pub(crate) fn is_lossless_first(&self, picture: &Picture) -> bool {
        self.format == Format::Webp
            && self.content == Content::Drawn
            && self.quality != Quality::Lossless
            && classify(picture) == Content::Drawn
    }
}

/// Lossless WebP of every pixel that can be seen.
fn lossless(request: &EncodeRequest, picture: &Arc<Picture>) -> Result<RenditionFile, EncodeError> {
    let settings = StillSettings {
        loss: Loss::Invisible,
        ..request.settings(100, picture.size.pixels())
    };
    encode::encode_with(Arc::clone(picture), Format::Webp, &settings, request.background)
        .map(|file| request.exact(file.bytes))
}

/// [`automatic`], or lossless where the lossless file is small, is no larger, or alone reaches the target.
fn automatic_or_lossless(
    request: &EncodeRequest,
    target: f64,
    picture: &Arc<Picture>,
    score_reference: &LazyReference,
) -> Result<RenditionFile, EncodeError> {
    if !request.is_lossless_first(picture) {
        return automatic(request, target, picture, score_reference);
    }
    let mut lossless = lossless(request, picture)?;
    lossless.encoding.score = Some(100.0);
    if !budget::is_worth_it(lossless.bytes.len(), picture.size.pixels()) {
        return Ok(lossless);
    }
    let lossy = automatic(request, target, picture, score_reference)?;
    let reaches = lossy
        .encoding
        .score
        .is_some_and(|score| search::reaches(score.into(), target));
    if reaches && lossy.bytes.len() < lossless.bytes.len() {
        return Ok(lossy);
    }
    Ok(lossless)
}

fn fixed(
    request: &EncodeRequest,
    asked: u8,
    picture: Arc<Picture>,
    score_reference: &LazyReference,
) -> Result<RenditionFile, EncodeError> {
    let (settings, mut encoding) = request.fixed_settings(asked, picture.size.pixels());
    if !request.scores {
        let file = encode::encode_with(picture, request.format, &settings, request.background)?;
        return Ok(RenditionFile::of(file, encoding));
    }
    let score_reference = score_reference.get(&picture, request.background);
    let encoded = encode::encode_and_show(picture, request.format, &settings, request.background)?;
    encoding.quality = Some(settings.quality);
    encoding.score = Some(rounded(score_reference.score_whole(request.format, &encoded)?));
    Ok(RenditionFile::of(encoded.file, encoding))
}

/// The lowest quality that reaches the target: searched on the whole of a small picture, on a sample of a large one.
/// The score of a large one is then measured in the file itself, and one more encode corrects a score that is too low.
fn automatic(
    request: &EncodeRequest,
    target: f64,
    picture: &Arc<Picture>,
    score_reference: &LazyReference,
) -> Result<RenditionFile, EncodeError> {
    let score_reference = score_reference.get(picture, request.background);
    let encode = |picture: &Arc<Picture>, quality: u8| {
        let settings = request.settings(quality, score_reference.pixels());
        encode::encode_and_show(Arc::clone(picture), request.format, &settings, request.background)
    };
    let found = search::search(request.format, target, |quality| {
        let encoded = encode(score_reference.picture(), quality)?;
        let score = score_reference.score_sample(request.format, &encoded)?;
        Ok((score, encoded.file))
    })?;
    if score_reference.is_whole() {
        return Ok(chosen(found.made, found.quality, found.score));
    }
    let whole = |quality: u8| -> Result<(Encoded, f64), EncodeError> {
        let encoded = encode(picture, quality)?;
        let score = score_reference.score_whole(request.format, &encoded)?;
        Ok((encoded, score))
    };
    let (encoded, score) = whole(found.quality)?;
    if search::reaches(score, target) {
        return Ok(chosen(encoded.file, found.quality, score));
    }
    let higher = search::higher(request.format, found.quality, score, target);
    match higher {
        Some(quality) => {
            let (encoded, score) = whole(quality)?;
            Ok(chosen(encoded.file, quality, score))
        }
        None => Ok(chosen(encoded.file, found.quality, score)),
    }
}

fn chosen(file: EncodedFile, quality: u8, score: f64) -> RenditionFile {
    let encoding = Encoding {
        quality: Some(quality),
        score: Some(rounded(score)),
        ..Encoding::default()
    };
    RenditionFile::of(file, encoding)
}

/// A score as records tell it, to a hundredth.
#[expect(clippy::cast_possible_truncation, reason = "scores are small numbers")]
fn rounded(score: f64) -> f32 {
    ((score * 100.0).round() / 100.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_photographs_are_whole_at_the_highest_qualities_of_jpeg_alone() {
        let chroma = |format, quality| {
            EncodeRequest {
                format,
                quality,
                content: Content::Photo,
                source_quality: None,
                needed: 0,
                background: Rgb::default(),
                scores: false,
            }
            .chroma()
        };
        for (format, quality, expected) in [
            (Format::Jpeg, Quality::Fixed(94), Chroma::Halved),
            (Format::Jpeg, Quality::Fixed(95), Chroma::Full),
            (Format::Jpeg, Quality::Fixed(100), Chroma::Full),
            (Format::Avif, Quality::Fixed(100), Chroma::Halved),
            (Format::Jpeg, Quality::Auto { target: 84 }, Chroma::Halved),
            (Format::Jpeg, Quality::Auto { target: 85 }, Chroma::Full),
        ] {
            assert_eq!(chroma(format, quality), expected, "{format:?} {quality:?}");
        }
    }
}
