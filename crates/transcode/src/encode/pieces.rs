//! Files that several threads make together.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tintype_model::Format;

use super::avif;
use super::settings::{EncodedFile, Settings};
use crate::error::EncodeError;
use crate::picture::Picture;

/// A large AVIF. Its pieces are made in any order, by whoever has time; its bytes are those of [`super::encode_with`].
pub(crate) struct Pieces {
    settings: Settings,
    /// Until the first piece is made.
    picture: Mutex<Option<Arc<Picture>>>,
    still: OnceLock<Result<avif::Still, String>>,
    made: Vec<OnceLock<avif::Piece>>,
}

impl Pieces {
    /// `None` for files of one piece.
    pub(crate) fn new(picture: &Arc<Picture>, format: Format, settings: &Settings) -> Option<Self> {
        let count = match format {
            Format::Avif => avif::count(picture),
            Format::Jxl | Format::Webp | Format::Jpeg | Format::Png => 1,
        };
        (count > 1).then(|| Self {
            settings: *settings,
            picture: Mutex::new(Some(Arc::clone(picture))),
            still: OnceLock::new(),
            made: (0..count).map(|_| OnceLock::new()).collect(),
        })
    }

    pub(crate) const fn count(&self) -> usize {
        self.made.len()
    }

    /// Lets go of the picture; otherwise the first piece does.
    pub(crate) fn prepare(&self) -> Result<(), EncodeError> {
        self.still().map(|_| ())
    }

    fn still(&self) -> Result<&avif::Still, EncodeError> {
        let still = self.still.get_or_init(|| {
            let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
            let picture = picture.take().ok_or("the picture is gone")?;
            avif::Still::new(picture, &self.settings, false).map_err(|error| error.to_string())
        });
        still.as_ref().map_err(|error| EncodeError::Pixels(error.clone()))
    }

    /// Makes one of them.
    pub(crate) fn make(&self, number: usize) -> Result<(), EncodeError> {
        let still = self.still()?;
        let piece = still.encode(number)?;
        self.made[number].get_or_init(|| piece);
        Ok(())
    }

    /// The file, when all pieces are made.
    pub(crate) fn finish(self) -> Result<EncodedFile, EncodeError> {
        let missing = || EncodeError::Pixels("a piece is missing".to_owned());
        let still = self.still.into_inner().ok_or_else(missing)?;
        let still = still.map_err(EncodeError::Pixels)?;
        let made = self.made.into_iter().map(OnceLock::into_inner);
        let made = made.collect::<Option<_>>().ok_or_else(missing)?;
        still.finish(made).map(|encoded| encoded.file)
    }
}

#[cfg(test)]
mod tests {
    use tintype_model::{Dimensions, Rgb};

    use super::*;
    use crate::picture::Space;

    #[test]
    fn pieces_make_the_same_file_in_any_order() {
        for channels in [3, 4] {
            let size = Dimensions {
                width: 1600,
                height: 1300,
            };
            let byte = |at: usize| u8::try_from((at / channels * 7 + at / 5000) % 200).unwrap();
            let picture = Arc::new(Picture {
                size,
                has_alpha: channels == 4,
                space: Space::Srgb,
                data: (0..1600 * 1300 * channels).map(byte).collect(),
            });
            let settings = Settings::usual(50, size.pixels());
            let pieces = Pieces::new(&picture, Format::Avif, &settings).unwrap();
            assert_eq!(pieces.count(), 2 * (channels - 2));
            for number in (0..pieces.count()).rev() {
                pieces.make(number).unwrap();
            }
            let expected = super::super::encode_with(picture, Format::Avif, &settings, Rgb::default());
            assert!(pieces.finish().unwrap().bytes == expected.unwrap().bytes);
        }
    }

    #[test]
    fn small_files_and_other_formats_have_one_piece() {
        let of = |width: u32, height: u32, format| {
            let size = Dimensions { width, height };
            let picture = Arc::new(Picture {
                size,
                has_alpha: false,
                space: Space::Srgb,
                data: vec![0; width as usize * height as usize * 3],
            });
            Pieces::new(&picture, format, &Settings::usual(50, size.pixels())).is_some()
        };
        assert!(!of(1400, 900, Format::Avif));
        assert!(!of(1600, 1300, Format::Webp));
    }

    #[test]
    fn what_is_missing_is_missed() {
        let size = Dimensions {
            width: 1600,
            height: 1300,
        };
        let picture = Arc::new(Picture {
            size,
            has_alpha: false,
            space: Space::Srgb,
            data: vec![0; 1600 * 1300 * 3],
        });
        let settings = Settings::usual(50, size.pixels());
        let pieces = Pieces::new(&picture, Format::Avif, &settings).unwrap();
        pieces.make(1).unwrap();
        assert!(pieces.finish().is_err());
    }
}
