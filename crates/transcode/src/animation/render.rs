//! From the frames of a source to its animated renditions: a few frames are read and scaled, then every file takes
//! them in, and so on. The result does not depend on the number of threads, because each file takes its frames in
//! order.

use std::sync::Arc;

use tintype_model::{Quality, Recipe, Rgb};

use super::{Frame, Player};
use crate::encode::sequence::{Animated, Sequence};
use crate::encode::{AnimationSettings, Chroma};
use crate::error::EncodeError;
use crate::geometry::{Geometry, resize};
use crate::header::Header;
use crate::picture::Picture;
use crate::quality::Content;
use crate::work::{PlannedFile, failure};
use crate::{Error, parallel};

/// Frames are read until so many pixels of the canvas are in memory, at least one and at most [`BATCH_FRAMES`].
const BATCH_PIXELS: u64 = 2_000_000;
const BATCH_FRAMES: u64 = 8;

/// Decodes the source again from its first frame to its last and makes `planned_files`, which all move. Gives the files of
/// each of `planned_files`, in their order. `content` is that of the first frame.
pub(crate) fn encode_all(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    planned_files: &[PlannedFile],
    content: Content,
    threads: usize,
) -> Result<Vec<Animated>, Error> {
    if planned_files.is_empty() {
        return Ok(Vec::new());
    }
    let mut scaler = Scaler::new(planned_files, recipe.background);
    let mut player = Player::new(source, header)?;
    let mut files = Vec::with_capacity(planned_files.len());
    for planned in planned_files {
        files.push(
            File::new(planned, &scaler, header, content).map_err(|error| failure(recipe, planned, error))?,
        );
    }
    let canvas = header.size.pixels().max(1);
    let batch_frames = (BATCH_PIXELS / canvas).clamp(1, BATCH_FRAMES);
    loop {
        let mut batch = Vec::new();
        for _ in 0..batch_frames {
            let Some(frame) = player.next(threads)? else { break };
            let scaled = scaler.scale(frame, threads);
            batch.push(
                scaled.map_err(|(geometry, error)| failure_of(recipe, planned_files, geometry, error))?,
            );
        }
        if batch.is_empty() {
            break;
        }
        parallel::for_each(threads, files.iter_mut().collect(), |file: &mut File<'_>| {
            file.add(&batch);
        });
        for file in &mut files {
            if let Some(error) = file.failed.take() {
                return Err(failure(recipe, file.planned, error));
            }
        }
    }
    let finished = parallel::map(threads, files, |file| {
        let animated = file.sequence.finish(header.frames);
        animated.map_err(|error| failure(recipe, file.planned, error))
    });
    finished.into_iter().collect()
}

fn failure_of(
    recipe: &Recipe,
    planned_files: &[PlannedFile],
    geometry: Geometry,
    source: EncodeError,
) -> Error {
    match planned_files.iter().find(|planned| planned.geometry == geometry) {
        Some(planned) => failure(recipe, planned, source),
        None => Error::corrupt("the frames cannot be scaled"),
    }
}

/// A frame in the size of each geometry.
struct Scaled {
    pictures: Vec<Arc<Picture>>,
    duration_ms: u32,
}

/// Scales frames to the sizes that the planned files need, each once.
struct Scaler {
    geometries: Vec<Geometry>,
    background: Rgb,
    /// True if the padding of `contain` is transparent: if the first frame has transparency, as in a still. It must not
    /// change from one frame to the next.
    pads_with_alpha: Option<bool>,
}

impl Scaler {
    fn new(planned_files: &[PlannedFile], background: Rgb) -> Self {
        let mut geometries: Vec<Geometry> = Vec::new();
        for planned in planned_files {
            if !geometries.contains(&planned.geometry) {
                geometries.push(planned.geometry);
            }
        }
        Self {
            geometries,
            background,
            pads_with_alpha: None,
        }
    }

    fn scale(&mut self, frame: Frame, threads: usize) -> Result<Scaled, (Geometry, EncodeError)> {
        let pads_with_alpha = *self.pads_with_alpha.get_or_insert(frame.picture.has_alpha);
        let whole = Arc::new(frame.picture);
        let mut pictures = Vec::with_capacity(self.geometries.len());
        for &geometry in &self.geometries {
            if geometry.is_whole_source(whole.size) {
                pictures.push(Arc::clone(&whole));
                continue;
            }
            let shown = resize::resize(&whole, &geometry, threads).map_err(|error| (geometry, error))?;
            let shown = if geometry.canvas == geometry.scaled {
                shown
            } else {
                self.pad(shown, &geometry, pads_with_alpha)
            };
            pictures.push(Arc::new(shown));
        }
        Ok(Scaled {
            pictures,
            duration_ms: frame.duration_ms,
        })
    }

    fn pad(&self, shown: Picture, geometry: &Geometry, with_alpha: bool) -> Picture {
        match (with_alpha, shown.has_alpha) {
            (true, _) => shown.with_alpha().padded(geometry.canvas, self.background),
            (false, false) => shown.padded(geometry.canvas, self.background),
            (false, true) => shown.padded_opaque(geometry.canvas, self.background),
        }
    }
}

/// One file that is being written.
struct File<'a> {
    planned: &'a PlannedFile,
    /// The index of the scaled picture that it takes.
    geometry: usize,
    sequence: Sequence,
    failed: Option<EncodeError>,
}

impl<'a> File<'a> {
    fn new(
        planned: &'a PlannedFile,
        scaler: &Scaler,
        header: &Header,
        content: Content,
    ) -> Result<Self, EncodeError> {
        let settings = AnimationSettings {
            size: planned.geometry.canvas,
            // Scores are of stills.
            quality: planned.quality.number(planned.format),
            is_lossless: planned.quality == Quality::Lossless,
            plays: header.motion.plays,
            frames: header.frames,
            is_drawn: header
                .format
                .animation
                .as_ref()
                .is_some_and(|animation| animation.is_drawn),
            chroma: match content {
                Content::Drawn => Chroma::Full,
                Content::Photo => Chroma::Halved,
            },
        };
        let geometry = scaler
            .geometries
            .iter()
            .position(|geometry| *geometry == planned.geometry);
        Ok(Self {
            planned,
            geometry: geometry.unwrap_or_default(),
            sequence: Sequence::new(planned.format, &settings)?,
            failed: None,
        })
    }

    fn add(&mut self, batch: &[Scaled]) {
        for frame in batch {
            if let Err(error) = self
                .sequence
                .add(&frame.pictures[self.geometry], frame.duration_ms)
            {
                self.failed = Some(error);
                return;
            }
        }
    }
}
