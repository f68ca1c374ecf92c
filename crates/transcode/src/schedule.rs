//! The distribution of encodes over threads, and their order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tintype_model::{Dimensions, Encoding, Format, Quality, Recipe, RenderedFile};

use crate::encode::{Original, SplitFile};
use crate::error::EncodeError;
use crate::geometry::Geometry;
use crate::picture::{Picture, Space};
use crate::quality::{self, Content, EncodeRequest, LazyReference, RenditionFile};
use crate::work::{self, Clock, PlannedFile, failure};
use crate::{Error, parallel};

/// A planned file and the pixels that it is encoded from.
struct PendingFile<'a> {
    number: usize,
    planned: &'a PlannedFile,
    picture: Arc<Picture>,
    score_reference: LazyReference,
}

/// A file that threads encode together.
struct SharedFile {
    number: usize,
    size: Dimensions,
    split: SplitFile,
    encoding: Encoding,
    /// The CPU time that its frames took so far, or the first error.
    made: Mutex<Result<Option<Duration>, EncodeError>>,
}

impl SharedFile {
    fn add(&self, clock: &Clock<'_>, work: impl FnOnce() -> Result<(), EncodeError>) {
        let sum = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if sum().is_err() {
            return;
        }
        let (made, cpu) = timed(clock, work);
        let mut sum = sum();
        match (&mut *sum, made) {
            (Ok(sum), Ok(())) => *sum = sum.unwrap_or_default().checked_add(cpu.unwrap_or_default()),
            (Ok(_), Err(error)) => *sum = Err(error),
            (Err(_), _) => {}
        }
    }

    fn finish(self, clock: &Clock<'_>) -> FinishedFile {
        let (encoded, cpu) = timed(clock, || {
            let cpu = self.made.into_inner().unwrap_or_else(PoisonError::into_inner)?;
            let made = RenditionFile::of(self.split.finish()?, self.encoding);
            Ok((made, cpu))
        });
        let (made, of_frames) = match encoded {
            Ok((made, cpu)) => (Ok(made), cpu),
            Err(error) => (Err(error), None),
        };
        let cpu = cpu.zip(of_frames).map(|(rest, frames)| rest + frames);
        FinishedFile {
            number: self.number,
            size: self.size,
            made,
            cpu,
        }
    }
}

/// A file that was encoded, or the error of its encoder.
struct FinishedFile {
    /// The number of the planned file.
    number: usize,
    size: Dimensions,
    made: Result<RenditionFile, EncodeError>,
    cpu: Option<Duration>,
}

fn timed<T>(clock: &Clock<'_>, work: impl FnOnce() -> T) -> (T, Option<Duration>) {
    let began = clock();
    let result = work();
    let cpu = clock().zip(began).map(|(now, began)| now.saturating_sub(began));
    (result, cpu)
}

/// The work that a thread takes at a time.
enum ThreadTask<'a> {
    /// Encodes files, one after the other.
    Files(Vec<PendingFile<'a>>),
    /// Converts the pixels of a file to planes.
    Prepare(&'a SharedFile),
    /// Encodes frames of shared files as long as there are any.
    Frames,
}

/// The planned files with their pixels, in their order.
fn pending(planned_files: &[PlannedFile], pictures: Vec<Arc<Picture>>) -> Vec<PendingFile<'_>> {
    let mut score_references: Vec<((Geometry, Space), LazyReference)> = Vec::new();
    let mut score_reference =
        |key: (Geometry, Space)| match score_references.iter().find(|(of, _)| *of == key) {
            Some((_, score_reference)) => score_reference.clone(),
            None => {
                let new = LazyReference::default();
                score_references.push((key, new.clone()));
                new
            }
        };
    let files = planned_files.iter().zip(pictures).enumerate();
    files
        .map(|(number, (planned, picture))| PendingFile {
            number,
            planned,
            picture,
            score_reference: score_reference((planned.geometry, planned.space)),
        })
        .collect()
}

/// The most bytes, beside the picture, of an encode that runs beside others; those that need more run one after the
/// other.
const MOST_BYTES: u64 = 200_000_000;

/// The most frames that are encoded at the same time: each takes some 20 MB.
const MOST_FRAMES: usize = 8;

/// Number of pixels of a picture above which its files are made before those of smaller pictures, so that its memory
/// becomes free early.
const LARGE_PIXELS: u64 = 1_000_000;

/// The tasks, in the order in which the threads take them.
fn tasks<'a>(pending: Vec<PendingFile<'a>>, shared: &'a [SharedFile], frames: usize) -> Vec<ThreadTask<'a>> {
    let bytes =
        |file: &PendingFile<'_>| file.picture.size.pixels() * work::working_bytes(file.planned.format);
    let (mut heavy, others): (Vec<_>, Vec<_>) =
        pending.into_iter().partition(|file| bytes(file) > MOST_BYTES);
    heavy.sort_by_key(bytes);
    let (large, small): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|file| file.picture.size.pixels() > LARGE_PIXELS);
    let alone = |file| ThreadTask::Files(vec![file]);
    let mut tasks = vec![ThreadTask::Files(heavy)];
    tasks.extend(large.into_iter().map(alone));
    tasks.extend(shared.iter().map(ThreadTask::Prepare));
    tasks.extend(small.into_iter().map(alone));
    tasks.extend((0..frames.min(MOST_FRAMES)).map(|_| ThreadTask::Frames));
    tasks
}

/// One file, encoded from its pixels or copied from the coding of a source that is as large.
fn made(
    file: PendingFile<'_>,
    request: &EncodeRequest,
    original: Option<Original<'_>>,
) -> Result<RenditionFile, EncodeError> {
    if let Some(bytes) = original.and_then(|original| coefficients(&original, file.planned, request)) {
        return Ok(request.exact(bytes));
    }
    let kept = request
        .is_lossless_first(&file.picture)
        .then(|| Arc::clone(&file.picture));
    let pixels = file.picture.size.pixels();
    let first = quality::make(request, file.picture, &file.score_reference)?;
    if let Some(original) = original.filter(|original| has_form(file.planned, original))
        && first.bytes.len() > original.bytes.len()
        && let Some(bytes) = original.rewrite()
        && bytes.len() < first.bytes.len()
    {
        return Ok(request.exact(bytes));
    }
    let attempt = quality::attempt(request, &first, pixels).zip(kept);
    let second = attempt.and_then(|(quality, picture)| {
        quality::tried(request, quality, &first, picture, &file.score_reference)
    });
    Ok(second.unwrap_or(first))
}

/// The coefficients of a JPEG source in a file of the format that is asked for, where that is at least as good as the
/// request: in a lossless JPEG XL, and in a JPEG that is not asked to be coarser.
fn coefficients(original: &Original<'_>, planned: &PlannedFile, request: &EncodeRequest) -> Option<Vec<u8>> {
    match (planned.format, planned.quality) {
        (Format::Jxl, Quality::Lossless) => original.repack(),
        (Format::Jpeg, Quality::Fixed(asked)) if has_form(planned, original) => {
            let is_coarse = original
                .quality
                .is_some_and(|quality| quality <= request.fixed(asked));
            is_coarse.then(|| original.rewrite())?
        }
        _ => None,
    }
}

/// Tells whether the file has the format and the colour space in which the source may serve as it is.
fn has_form(planned: &PlannedFile, original: &Original<'_>) -> bool {
    planned.format == original.format && planned.space == Space::Srgb
}

/// The request for one of `planned_files`, which are all stills of the source.
fn request(
    recipe: &Recipe,
    content: Content,
    planned: &PlannedFile,
    planned_files: &[PlannedFile],
) -> EncodeRequest {
    let beside = planned_files
        .iter()
        .filter(|other| (other.geometry, other.space) == (planned.geometry, planned.space));
    EncodeRequest {
        format: planned.format,
        quality: planned.quality,
        content,
        source_quality: planned.source_quality,
        needed: beside.map(|planned| quality::needed(planned.format)).sum(),
        background: recipe.background,
        scores: recipe.scores,
    }
}

/// The stills of a recipe, each with its place in the result. `pictures` are those of `planned_files`.
pub(crate) fn encode_all(
    recipe: &Recipe,
    content: Content,
    planned_files: &[PlannedFile],
    pictures: Vec<Arc<Picture>>,
    original: Option<(Original<'_>, Dimensions)>,
    threads: usize,
    clock: &Clock<'_>,
) -> Result<Vec<(usize, RenderedFile)>, Error> {
    let request = |planned: &PlannedFile| request(recipe, content, planned, planned_files);
    let encode = |file: PendingFile<'_>| {
        let (number, size) = (file.number, file.picture.size);
        let original = original.filter(|&(_, size)| file.planned.geometry.is_whole_source(size));
        let request = request(file.planned);
        let (made, cpu) = timed(clock, || {
            made(file, &request, original.map(|(original, _)| original))
        });
        FinishedFile {
            number,
            size,
            made,
            cpu,
        }
    };
    let (mut shared, mut whole) = (Vec::new(), Vec::new());
    for file in pending(planned_files, pictures) {
        match quality::split(&request(file.planned), &file.picture) {
            Some((split, encoding)) => shared.push(SharedFile {
                number: file.number,
                size: file.picture.size,
                split,
                encoding,
                made: Mutex::new(Ok(None)),
            }),
            None => whole.push(file),
        }
    }
    let frames: Vec<(&SharedFile, usize)> = shared
        .iter()
        .flat_map(|shared| (0..shared.split.count()).map(move |number| (shared, number)))
        .collect();
    let tasks = tasks(whole, &shared, frames.len());
    let frames = Mutex::new(frames.into_iter());
    let results = parallel::map(threads, tasks, |task| {
        match task {
            ThreadTask::Files(files) => return files.into_iter().map(&encode).collect(),
            ThreadTask::Prepare(shared) => shared.add(clock, || shared.split.prepare()),
            ThreadTask::Frames => {
                while let Some((shared, number)) = parallel::next(&frames) {
                    shared.add(clock, || shared.split.encode(number));
                }
            }
        }
        Vec::new()
    });
    let mut results: Vec<FinishedFile> = results.into_iter().flatten().collect();
    results.extend(shared.into_iter().map(|shared| shared.finish(clock)));
    results.sort_by_key(|finished| finished.number);
    let mut files = Vec::new();
    for FinishedFile {
        number,
        size,
        made,
        cpu,
    } in results
    {
        let planned = &planned_files[number];
        let RenditionFile { bytes, encoding } = made.map_err(|error| failure(recipe, planned, error))?;
        files.extend(planned.files(recipe, size, &bytes.into(), &encoding, cpu));
    }
    files.sort_by_key(|(place, _)| *place);
    Ok(files)
}
