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
pub(crate) use score::Yardstick;

use crate::encode::{self, Chroma, Encoded, EncodedFile, Loss, Pieces, Settings};
use crate::error::EncodeError;
use crate::picture::Picture;

/// The parameters of one rendition, from the recipe and the source.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
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
    /// Whether the score is to be told even where nothing was chosen by it.
    pub(crate) scores: bool,
}

/// A rendition and what was chosen for it.
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    pub(crate) encoding: Encoding,
}

impl Made {
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

/// A yardstick that is made when it is first needed, and shared by the formats of one size.
#[derive(Clone, Default)]
pub(crate) struct LazyYardstick(Arc<OnceLock<Yardstick>>);

impl LazyYardstick {
    fn get(&self, picture: &Arc<Picture>, background: Rgb) -> &Yardstick {
        self.0.get_or_init(|| Yardstick::new(picture, background))
    }
}

/// Added to a fixed quality where a drawing becomes a JPEG: ringing around letters is what JPEG does worst.
const DRAWN_JPEG_BONUS: u8 = 10;
const DRAWN_JPEG_MOST: u8 = 95;

/// Taken off a fixed quality where a drawing becomes an AVIF: with palettes, and colours at full resolution, drawings score ten
/// points and more above what photographs do at the same number.
const DRAWN_AVIF_LESS: u8 = 12;

/// Target from which the colours of photographs are no longer halved. With halved ones photographs score 82 to 90 at
/// the best quality that there is.
const FULL_CHROMA_TARGET: u8 = 85;

/// Fixed quality of JPEG from which they are not either. On two photos at 800 pixels, halved colours need 0 and 5 % fewer
/// bytes at the score that they have at quality 90; at that of 95 it is 4 % fewer and 8 % more, and what full resolution
/// has at 95 is out of their reach.
const FULL_CHROMA_JPEG: u8 = 95;

impl Wanted {
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

    fn settings(&self, quality: u8, pixels: u64) -> Settings {
        Settings {
            chroma: self.chroma(),
            is_drawn: self.content == Content::Drawn,
            ..Settings::usual(quality, pixels)
        }
    }

    /// The quality that a fixed one becomes: higher in a JPEG of a drawing, lower in an AVIF of it, and no finer than is of
    /// use.
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
    fn fixed_settings(&self, asked: u8, pixels: u64) -> (Settings, Encoding) {
        let quality = self.fixed(asked);
        let encoding = Encoding {
            quality: (quality != asked).then_some(quality),
            ..Encoding::default()
        };
        (self.settings(quality, pixels), encoding)
    }

    /// A file that shows every pixel as it is.
    pub(crate) fn exact(&self, bytes: Vec<u8>) -> Made {
        Made {
            bytes,
            encoding: Encoding {
                score: self.scores.then_some(100.0),
                // Nothing else can be expected of PNG, so that it is not worth telling.
                is_lossless: self.format != Format::Png,
                ..Encoding::default()
            },
        }
    }
}

/// The file that [`make`] would make, in pieces, and the encoding that its record tells; `None` where it has to be made
/// at once.
pub(crate) fn in_pieces(wanted: &Wanted, picture: &Arc<Picture>) -> Option<(Pieces, Encoding)> {
    let (Quality::Fixed(asked), false) = (wanted.quality, wanted.scores) else {
        return None;
    };
    let (settings, encoding) = wanted.fixed_settings(asked, picture.size.pixels());
    Pieces::new(picture, wanted.format, &settings).map(|pieces| (pieces, encoding))
}

/// Encodes one rendition. `yardstick` is that of the picture's size.
pub(crate) fn make(
    wanted: &Wanted,
    picture: Arc<Picture>,
    yardstick: &LazyYardstick,
) -> Result<Made, EncodeError> {
    if wanted.format == Format::Png {
        return encode::encode(picture, Format::Png, 100, wanted.background)
            .map(|file| wanted.exact(file.bytes));
    }
    match wanted.quality {
        Quality::Lossless => {
            let settings = Settings {
                loss: Loss::Nothing,
                ..wanted.settings(100, picture.size.pixels())
            };
            encode::encode_with(picture, wanted.format, &settings, wanted.background)
                .map(|file| wanted.exact(file.bytes))
        }
        Quality::Fixed(_) if wanted.is_lossless_first(&picture) => lossless(wanted, &picture),
        Quality::Fixed(quality) => fixed(wanted, quality, picture, yardstick),
        Quality::Auto { target } => automatic_or_lossless(wanted, target.into(), &picture, yardstick),
    }
}

/// The quality of a second attempt at a picture whose first file is `made`: lossy WebP where that is lossless. `None`
/// where nothing is tried, because too little can be gained or it costs too much beside what has to be made.
///
/// It needs less memory than the first file did.
pub(crate) fn attempt(wanted: &Wanted, made: &Made, pixels: u64) -> Option<u8> {
    let Quality::Fixed(quality) = wanted.quality else {
        return None;
    };
    let is_open = wanted.format == Format::Webp && made.encoding.is_lossless;
    (is_open && budget::is_worth_it(made.bytes.len(), pixels) && budget::allows(wanted.needed))
        .then_some(quality)
}

/// Makes the [`attempt`]. `None` where its file is no smaller than `first` or cannot be made.
pub(crate) fn tried(
    wanted: &Wanted,
    quality: u8,
    first: &Made,
    picture: Arc<Picture>,
    yardstick: &LazyYardstick,
) -> Option<Made> {
    let second = fixed(wanted, quality, picture, yardstick).ok()?;
    (second.bytes.len() < first.bytes.len()).then_some(second)
}

impl Wanted {
    /// Whether lossless WebP is made first: of what is drawn it mostly is the smaller, unless scaling has blurred it.
    pub(crate) fn is_lossless_first(&self, picture: &Picture) -> bool {
        self.format == Format::Webp
            && self.content == Content::Drawn
            && self.quality != Quality::Lossless
            && classify(picture) == Content::Drawn
    }
}

/// Lossless WebP of every pixel that can be seen.
fn lossless(wanted: &Wanted, picture: &Arc<Picture>) -> Result<Made, EncodeError> {
    let settings = Settings {
        loss: Loss::Invisible,
        ..wanted.settings(100, picture.size.pixels())
    };
    encode::encode_with(Arc::clone(picture), Format::Webp, &settings, wanted.background)
        .map(|file| wanted.exact(file.bytes))
}

/// [`automatic`], or lossless where that is small anyhow, is no larger, or alone reaches the target.
fn automatic_or_lossless(
    wanted: &Wanted,
    target: f64,
    picture: &Arc<Picture>,
    yardstick: &LazyYardstick,
) -> Result<Made, EncodeError> {
    if !wanted.is_lossless_first(picture) {
        return automatic(wanted, target, picture, yardstick);
    }
    let mut lossless = lossless(wanted, picture)?;
    lossless.encoding.score = Some(100.0);
    if !budget::is_worth_it(lossless.bytes.len(), picture.size.pixels()) {
        return Ok(lossless);
    }
    let lossy = automatic(wanted, target, picture, yardstick)?;
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
    wanted: &Wanted,
    asked: u8,
    picture: Arc<Picture>,
    yardstick: &LazyYardstick,
) -> Result<Made, EncodeError> {
    let (settings, mut encoding) = wanted.fixed_settings(asked, picture.size.pixels());
    if !wanted.scores {
        let file = encode::encode_with(picture, wanted.format, &settings, wanted.background)?;
        return Ok(Made::of(file, encoding));
    }
    let yardstick = yardstick.get(&picture, wanted.background);
    let encoded = encode::encode_and_show(picture, wanted.format, &settings, wanted.background)?;
    encoding.quality = Some(settings.quality);
    encoding.score = Some(told(yardstick.score_whole(wanted.format, &encoded)?));
    Ok(Made::of(encoded.file, encoding))
}

/// The lowest quality that reaches the target: searched on the whole of a small picture, on a sample of a large one.
/// The score of a large one is then measured in the file itself, and one more encode corrects a score that is too low.
fn automatic(
    wanted: &Wanted,
    target: f64,
    picture: &Arc<Picture>,
    yardstick: &LazyYardstick,
) -> Result<Made, EncodeError> {
    let yardstick = yardstick.get(picture, wanted.background);
    let encode = |picture: &Arc<Picture>, quality: u8| {
        let settings = wanted.settings(quality, yardstick.pixels());
        encode::encode_and_show(Arc::clone(picture), wanted.format, &settings, wanted.background)
    };
    let found = search::search(wanted.format, target, |quality| {
        let encoded = encode(yardstick.picture(), quality)?;
        let score = yardstick.score_sample(wanted.format, &encoded)?;
        Ok((score, encoded.file))
    })?;
    if yardstick.is_whole() {
        return Ok(chosen(found.made, found.quality, found.score));
    }
    let whole = |quality: u8| -> Result<(Encoded, f64), EncodeError> {
        let encoded = encode(picture, quality)?;
        let score = yardstick.score_whole(wanted.format, &encoded)?;
        Ok((encoded, score))
    };
    let (encoded, score) = whole(found.quality)?;
    if search::reaches(score, target) {
        return Ok(chosen(encoded.file, found.quality, score));
    }
    let higher = search::higher(wanted.format, found.quality, score, target);
    match higher {
        Some(quality) => {
            let (encoded, score) = whole(quality)?;
            Ok(chosen(encoded.file, quality, score))
        }
        None => Ok(chosen(encoded.file, found.quality, score)),
    }
}

fn chosen(file: EncodedFile, quality: u8, score: f64) -> Made {
    let encoding = Encoding {
        quality: Some(quality),
        score: Some(told(score)),
        ..Encoding::default()
    };
    Made::of(file, encoding)
}

/// A score as records tell it, to a hundredth.
#[expect(clippy::cast_possible_truncation, reason = "scores are small numbers")]
fn told(score: f64) -> f32 {
    ((score * 100.0).round() / 100.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_photographs_are_whole_at_the_highest_qualities_of_jpeg_alone() {
        let chroma = |format, quality| {
            Wanted {
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
