//! From the frames of a source to its animated renditions: a few frames are read and scaled, then every file takes
//! them in, and so on. What comes out does not depend on the number of threads, because each file takes its frames in
//! order.

use std::sync::Arc;

use tintype_model::{Quality, Recipe, Rgb};

use super::{Frame, Player};
use crate::encode::sequence::{Animated, Sequence};
use crate::encode::{AnimationSettings, Chroma};
use crate::error::EncodeError;
use crate::geometry::{Plan, resize};
use crate::header::Header;
use crate::picture::Picture;
use crate::quality::Content;
use crate::work::{Work, failure};
use crate::{Error, parallel};

/// Frames are read until so many pixels of the canvas are in memory, at least one and at most [`BATCH_FRAMES`].
const BATCH_PIXELS: u64 = 2_000_000;
const BATCH_FRAMES: u64 = 8;

/// Decodes the source again from its first frame to its last and makes `works`, which all move. Gives the files of
/// each of `works`, in their order. `content` is that of the first frame.
pub(crate) fn encode_all(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    works: &[Work],
    content: Content,
    threads: usize,
) -> Result<Vec<Animated>, Error> {
    if works.is_empty() {
        return Ok(Vec::new());
    }
    let mut scaler = Scaler::new(works, recipe.background);
    let mut player = Player::new(source, header)?;
    let mut files = Vec::with_capacity(works.len());
    for work in works {
        files.push(File::new(work, &scaler, header, content).map_err(|error| failure(recipe, work, error))?);
    }
    let canvas = header.size.pixels().max(1);
    let batch_frames = (BATCH_PIXELS / canvas).clamp(1, BATCH_FRAMES);
    loop {
        let mut batch = Vec::new();
        for _ in 0..batch_frames {
            let Some(frame) = player.next(threads)? else { break };
            let scaled = scaler.scale(frame, threads);
            batch.push(scaled.map_err(|(plan, error)| failure_of(recipe, works, plan, error))?);
        }
        if batch.is_empty() {
            break;
        }
        parallel::for_each(threads, files.iter_mut().collect(), |file: &mut File<'_>| {
            file.add(&batch);
        });
        for file in &mut files {
            if let Some(error) = file.failed.take() {
                return Err(failure(recipe, file.work, error));
            }
        }
    }
    let finished = parallel::map(threads, files, |file| {
        let animated = file.sequence.finish(header.frames);
        animated.map_err(|error| failure(recipe, file.work, error))
    });
    finished.into_iter().collect()
}

fn failure_of(recipe: &Recipe, works: &[Work], plan: Plan, source: EncodeError) -> Error {
    match works.iter().find(|work| work.plan == plan) {
        Some(work) => failure(recipe, work, source),
        None => Error::corrupt("the frames cannot be scaled"),
    }
}

/// A frame in the size of each plan.
struct Scaled {
    pictures: Vec<Arc<Picture>>,
    duration_ms: u32,
}

/// Makes the sizes that the works need, each once.
struct Scaler {
    plans: Vec<Plan>,
    background: Rgb,
    /// Whether what `contain` adds is transparent: if the first frame has transparency, as in a still. It must not
    /// change from one frame to the next.
    pads_with_alpha: Option<bool>,
}

impl Scaler {
    fn new(works: &[Work], background: Rgb) -> Self {
        let mut plans: Vec<Plan> = Vec::new();
        for work in works {
            if !plans.contains(&work.plan) {
                plans.push(work.plan);
            }
        }
        Self {
            plans,
            background,
            pads_with_alpha: None,
        }
    }

    fn scale(&mut self, frame: Frame, threads: usize) -> Result<Scaled, (Plan, EncodeError)> {
        let pads_with_alpha = *self.pads_with_alpha.get_or_insert(frame.picture.has_alpha);
        let whole = Arc::new(frame.picture);
        let mut pictures = Vec::with_capacity(self.plans.len());
        for &plan in &self.plans {
            if plan.is_whole_source(whole.size) {
                pictures.push(Arc::clone(&whole));
                continue;
            }
            let shown = resize::resize(&whole, &plan, threads).map_err(|error| (plan, error))?;
            let shown = if plan.canvas == plan.scaled {
                shown
            } else {
                self.pad(shown, &plan, pads_with_alpha)
            };
            pictures.push(Arc::new(shown));
        }
        Ok(Scaled {
            pictures,
            duration_ms: frame.duration_ms,
        })
    }

    fn pad(&self, shown: Picture, plan: &Plan, with_alpha: bool) -> Picture {
        match (with_alpha, shown.has_alpha) {
            (true, _) => shown.with_alpha().padded(plan.canvas, self.background),
            (false, false) => shown.padded(plan.canvas, self.background),
            (false, true) => shown.padded_opaque(plan.canvas, self.background),
        }
    }
}

/// One file that is being written.
struct File<'a> {
    work: &'a Work,
    /// Which of the scaled pictures it takes.
    plan: usize,
    sequence: Sequence,
    failed: Option<EncodeError>,
}

impl<'a> File<'a> {
    fn new(work: &'a Work, scaler: &Scaler, header: &Header, content: Content) -> Result<Self, EncodeError> {
        let settings = AnimationSettings {
            size: work.plan.canvas,
            // Scores are of stills.
            quality: work.quality.number(work.format),
            is_lossless: work.quality == Quality::Lossless,
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
        let plan = scaler.plans.iter().position(|plan| *plan == work.plan);
        Ok(Self {
            work,
            plan: plan.unwrap_or_default(),
            sequence: Sequence::new(work.format, &settings)?,
            failed: None,
        })
    }

    fn add(&mut self, batch: &[Scaled]) {
        for frame in batch {
            if let Err(error) = self.sequence.add(&frame.pictures[self.plan], frame.duration_ms) {
                self.failed = Some(error);
                return;
            }
        }
    }
}
