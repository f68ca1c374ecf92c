//! Which thread encodes what, and when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tintype_model::{Dimensions, Encoding, Format, Quality, Recipe, RenderedFile};

use crate::encode::{Original, Pieces};
use crate::error::EncodeError;
use crate::geometry::Plan;
use crate::picture::{Picture, Space};
use crate::quality::{self, Content, LazyYardstick, Made, Wanted};
use crate::work::{self, Clock, Work, failure};
use crate::{Error, parallel};

/// One work and the pixels that it encodes.
struct Job<'a> {
    number: usize,
    work: &'a Work,
    picture: Arc<Picture>,
    yardstick: LazyYardstick,
}

/// A file that threads make together.
struct Shared {
    number: usize,
    size: Dimensions,
    pieces: Pieces,
    encoding: Encoding,
    /// The CPU time that its pieces took so far, or the first error.
    made: Mutex<Result<Option<Duration>, EncodeError>>,
}

impl Shared {
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

    fn finish(self, clock: &Clock<'_>) -> Encoded {
        let (encoded, cpu) = timed(clock, || {
            let cpu = self.made.into_inner().unwrap_or_else(PoisonError::into_inner)?;
            let made = Made::of(self.pieces.finish()?, self.encoding);
            Ok((made, cpu))
        });
        let (made, of_pieces) = match encoded {
            Ok((made, cpu)) => (Ok(made), cpu),
            Err(error) => (Err(error), None),
        };
        let cpu = cpu.zip(of_pieces).map(|(rest, pieces)| rest + pieces);
        (self.number, self.size, made, cpu)
    }
}

/// The number of a work, the size of its files, the file, and its CPU time.
type Encoded = (usize, Dimensions, Result<Made, EncodeError>, Option<Duration>);

fn timed<T>(clock: &Clock<'_>, work: impl FnOnce() -> T) -> (T, Option<Duration>) {
    let began = clock();
    let result = work();
    let cpu = clock().zip(began).map(|(now, began)| now.saturating_sub(began));
    (result, cpu)
}

/// The work that a thread does before it looks for more.
enum Task<'a> {
    Files(Vec<Job<'a>>),
    /// Makes what the pieces of a file are made from.
    Prepare(&'a Shared),
    /// Makes pieces as long as there are any.
    Pieces,
}

/// The works with their pixels, in the order of the works.
fn jobs(works: &[Work], pictures: Vec<Arc<Picture>>) -> Vec<Job<'_>> {
    let mut yardsticks: Vec<((Plan, Space), LazyYardstick)> = Vec::new();
    let mut yardstick = |key: (Plan, Space)| match yardsticks.iter().find(|(of, _)| *of == key) {
        Some((_, yardstick)) => yardstick.clone(),
        None => {
            let new = LazyYardstick::default();
            yardsticks.push((key, new.clone()));
            new
        }
    };
    let jobs = works.iter().zip(pictures).enumerate();
    jobs.map(|(number, (work, picture))| Job {
        number,
        work,
        picture,
        yardstick: yardstick((work.plan, work.space)),
    })
    .collect()
}

/// Encodes that need more bytes, beside the picture, are made one after the other.
const MOST_BYTES: u64 = 200_000_000;

/// The most pieces that are made at the same time: each takes some 20 MB.
const MOST_PIECES: usize = 8;

/// Number of pixels of a picture above which its files are made before those of smaller pictures, so that its memory
/// becomes free early.
const LARGE_PIXELS: u64 = 1_000_000;

/// The tasks, in the order in which the threads take them.
fn tasks<'a>(jobs: Vec<Job<'a>>, shared: &'a [Shared], pieces: usize) -> Vec<Task<'a>> {
    let bytes = |job: &Job<'_>| job.picture.size.pixels() * work::working_bytes(job.work.format);
    let (mut heavy, others): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| bytes(job) > MOST_BYTES);
    heavy.sort_by_key(bytes);
    let (large, small): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|job| job.picture.size.pixels() > LARGE_PIXELS);
    let alone = |job| Task::Files(vec![job]);
    let mut tasks = vec![Task::Files(heavy)];
    tasks.extend(large.into_iter().map(alone));
    tasks.extend(shared.iter().map(Task::Prepare));
    tasks.extend(small.into_iter().map(alone));
    tasks.extend((0..pieces.min(MOST_PIECES)).map(|_| Task::Pieces));
    tasks
}

/// One file, of the pixels or of a source that is as large and has them coded already.
fn made(job: Job<'_>, wanted: &Wanted, original: Option<Original<'_>>) -> Result<Made, EncodeError> {
    if let Some(bytes) = original.and_then(|original| coefficients(&original, job.work, wanted)) {
        return Ok(wanted.exact(bytes));
    }
    let kept = wanted
        .is_lossless_first(&job.picture)
        .then(|| Arc::clone(&job.picture));
    let pixels = job.picture.size.pixels();
    let first = quality::make(wanted, job.picture, &job.yardstick)?;
    if let Some(original) = original.filter(|original| has_form(job.work, original))
        && first.bytes.len() > original.bytes.len()
        && let Some(bytes) = original.rewrite()
        && bytes.len() < first.bytes.len()
    {
        return Ok(wanted.exact(bytes));
    }
    let attempt = quality::attempt(wanted, &first, pixels).zip(kept);
    let second = attempt
        .and_then(|(quality, picture)| quality::tried(wanted, quality, &first, picture, &job.yardstick));
    Ok(second.unwrap_or(first))
}

/// The coefficients of a JPEG in a file of the format that is wanted, where that is as good as what is asked for: in a
/// lossless JPEG XL, and in a JPEG that is not asked to be coarser.
fn coefficients(original: &Original<'_>, work: &Work, wanted: &Wanted) -> Option<Vec<u8>> {
    match (work.format, work.quality) {
        (Format::Jxl, Quality::Lossless) => original.repack(),
        (Format::Jpeg, Quality::Fixed(asked)) if has_form(work, original) => {
            let is_coarse = original
                .quality
                .is_some_and(|quality| quality <= wanted.fixed(asked));
            is_coarse.then(|| original.rewrite())?
        }
        _ => None,
    }
}

/// Whether the file that is wanted has the format and the colour space that the source may serve in.
fn has_form(work: &Work, original: &Original<'_>) -> bool {
    work.format == original.format && work.space == Space::Srgb
}

/// `works` are all stills of the source.
fn wanted(recipe: &Recipe, content: Content, work: &Work, works: &[Work]) -> Wanted {
    let beside = works
        .iter()
        .filter(|other| (other.plan, other.space) == (work.plan, work.space));
    Wanted {
        format: work.format,
        quality: work.quality,
        content,
        source_quality: work.source_quality,
        needed: beside.map(|work| quality::needed(work.format)).sum(),
        background: recipe.background,
        scores: recipe.scores,
    }
}

/// The stills of a recipe, each with its place in the result. `pictures` are those of the works.
pub(crate) fn encode_all(
    recipe: &Recipe,
    content: Content,
    works: &[Work],
    pictures: Vec<Arc<Picture>>,
    original: Option<(Original<'_>, Dimensions)>,
    threads: usize,
    clock: &Clock<'_>,
) -> Result<Vec<(usize, RenderedFile)>, Error> {
    let wanted = |work: &Work| wanted(recipe, content, work, works);
    let encode = |job: Job<'_>| -> Encoded {
        let (number, size) = (job.number, job.picture.size);
        let original = original.filter(|&(_, size)| job.work.plan.is_whole_source(size));
        let wanted = wanted(job.work);
        let (encoded, cpu) = timed(clock, || {
            made(job, &wanted, original.map(|(original, _)| original))
        });
        (number, size, encoded, cpu)
    };
    let (mut shared, mut whole) = (Vec::new(), Vec::new());
    for job in jobs(works, pictures) {
        match quality::in_pieces(&wanted(job.work), &job.picture) {
            Some((pieces, encoding)) => shared.push(Shared {
                number: job.number,
                size: job.picture.size,
                pieces,
                encoding,
                made: Mutex::new(Ok(None)),
            }),
            None => whole.push(job),
        }
    }
    let pieces: Vec<(&Shared, usize)> = shared
        .iter()
        .flat_map(|shared| (0..shared.pieces.count()).map(move |number| (shared, number)))
        .collect();
    let tasks = tasks(whole, &shared, pieces.len());
    let pieces = Mutex::new(pieces.into_iter());
    let results = parallel::map(threads, tasks, |task| {
        match task {
            Task::Files(jobs) => return jobs.into_iter().map(&encode).collect(),
            Task::Prepare(shared) => shared.add(clock, || shared.pieces.prepare()),
            Task::Pieces => {
                while let Some((shared, number)) = parallel::next(&pieces) {
                    shared.add(clock, || shared.pieces.make(number));
                }
            }
        }
        Vec::new()
    });
    let mut results: Vec<Encoded> = results.into_iter().flatten().collect();
    results.extend(shared.into_iter().map(|shared| shared.finish(clock)));
    results.sort_by_key(|(number, ..)| *number);
    let mut files = Vec::new();
    for (number, dimensions, encoded, cpu) in results {
        let work = &works[number];
        let Made { bytes, encoding } = encoded.map_err(|error| failure(recipe, work, error))?;
        files.extend(work.files(recipe, dimensions, &bytes.into(), &encoding, cpu));
    }
    files.sort_by_key(|(place, _)| *place);
    Ok(files)
}
