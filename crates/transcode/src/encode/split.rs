//! Files that several threads encode together.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tintype_model::Format;

use super::avif;
use super::settings::{EncodedFile, StillSettings};
use crate::error::EncodeError;
use crate::picture::Picture;

/// An AVIF of several AV1 frames, which threads encode in any order. Its bytes are those of [`super::encode_with`].
pub(crate) struct SplitFile {
    settings: StillSettings,
    /// `None` from the first frame on.
    picture: Mutex<Option<Arc<Picture>>>,
    encoder: OnceLock<Result<avif::StillEncoder, String>>,
    frames: Vec<OnceLock<avif::EncodedFrame>>,
}

impl SplitFile {
    /// `None` for files of one frame.
    pub(crate) fn new(picture: &Arc<Picture>, format: Format, settings: &StillSettings) -> Option<Self> {
        let count = match format {
            Format::Avif => avif::frames_of(picture),
            Format::Jxl | Format::Webp | Format::Jpeg | Format::Png => 1,
        };
        (count > 1).then(|| Self {
            settings: *settings,
            picture: Mutex::new(Some(Arc::clone(picture))),
            encoder: OnceLock::new(),
            frames: (0..count).map(|_| OnceLock::new()).collect(),
        })
    }

    pub(crate) const fn count(&self) -> usize {
        self.frames.len()
    }

    /// Converts the picture and drops it; otherwise the first [`Self::encode`] does.
    pub(crate) fn prepare(&self) -> Result<(), EncodeError> {
        self.encoder().map(|_| ())
    }

    fn encoder(&self) -> Result<&avif::StillEncoder, EncodeError> {
        let encoder = self.encoder.get_or_init(|| {
            let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
            let picture = picture.take().ok_or("the picture was taken already")?;
            avif::StillEncoder::new(picture, &self.settings, false).map_err(|error| error.to_string())
        });
        encoder
            .as_ref()
            .map_err(|error| EncodeError::Pixels(error.clone()))
    }

    /// Encodes one of the frames.
    pub(crate) fn encode(&self, number: usize) -> Result<(), EncodeError> {
        let frame = self.encoder()?.encode(number)?;
        self.frames[number].get_or_init(|| frame);
        Ok(())
    }

    /// Writes the file, when all frames are encoded.
    pub(crate) fn finish(self) -> Result<EncodedFile, EncodeError> {
        let missing = || EncodeError::Pixels("a frame was not encoded".to_owned());
        let encoder = self.encoder.into_inner().ok_or_else(missing)?;
        let encoder = encoder.map_err(EncodeError::Pixels)?;
        let frames = self.frames.into_iter().map(OnceLock::into_inner);
        let frames = frames.collect::<Option<_>>().ok_or_else(missing)?;
        encoder.finish(frames).map(|encoded| encoded.file)
    }
}

#[cfg(test)]
mod tests {
    use tintype_model::{Dimensions, Rgb};

    use super::*;
    use crate::picture::Space;

    #[test]
    fn frames_make_the_same_file_in_any_order() {
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
            let settings = StillSettings::usual(50, size.pixels());
            let split = SplitFile::new(&picture, Format::Avif, &settings).unwrap();
            assert_eq!(split.count(), 2 * (channels - 2));
            for number in (0..split.count()).rev() {
                split.encode(number).unwrap();
            }
            let expected = super::super::encode_with(picture, Format::Avif, &settings, Rgb::default());
            assert!(split.finish().unwrap().bytes == expected.unwrap().bytes);
        }
    }

    #[test]
    fn small_files_and_other_formats_are_not_split() {
        let of = |width: u32, height: u32, format| {
            let size = Dimensions { width, height };
            let picture = Arc::new(Picture {
                size,
                has_alpha: false,
                space: Space::Srgb,
                data: vec![0; width as usize * height as usize * 3],
            });
            SplitFile::new(&picture, format, &StillSettings::usual(50, size.pixels())).is_some()
        };
        assert!(!of(1400, 900, Format::Avif));
        assert!(!of(1600, 1300, Format::Webp));
    }

    #[test]
    fn a_file_without_all_frames_is_an_error() {
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
        let settings = StillSettings::usual(50, size.pixels());
        let split = SplitFile::new(&picture, Format::Avif, &settings).unwrap();
        split.encode(1).unwrap();
        assert!(split.finish().is_err());
    }
}
