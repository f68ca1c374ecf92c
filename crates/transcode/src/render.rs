//! The order of the steps, and which rendition is made when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tintype_model::{Color, Dimensions, Encoding, Format, Limits, Quality, Recipe, Rendered, RenderedFile};

use crate::color::Profile;
use crate::encode::Original;
use crate::error::EncodeError;
use crate::geometry::Plan;
use crate::header::Header;
use crate::picture::{Picture, Samples};
use crate::space::Space;
use crate::{ENGINE, Error, color, decode, encode, header, parallel, resize};

/// Tells the CPU time of the calling thread; this crate reads no clock of its own.
pub type Clock<'a> = dyn Fn() -> Option<Duration> + Sync + 'a;

/// Decodes `source` once and makes every rendition of `recipe`, in the recipe's order, on at most `threads` threads.
///
/// The same source and recipe give the same bytes, whatever `threads` is. The recipe has to be valid
/// ([`Recipe::validate`]).
///
/// # Errors
/// [`Error::Rejected`] when the source passes a limit, is no image that is read here, or is broken;
/// [`Error::Encode`] when an encoder fails.
pub fn render(source: &[u8], recipe: &Recipe, limits: &Limits, threads: usize) -> Result<Rendered, Error> {
    render_timed(source, recipe, limits, threads, &|| None)
}

/// [`render`], with [`RenderedFile::cpu`] told by `clock`: the CPU time that the calling thread has used so far.
///
/// # Errors
/// As [`render`].
pub fn render_timed(
    source: &[u8],
    recipe: &Recipe,
    limits: &Limits,
    threads: usize,
    clock: &Clock<'_>,
) -> Result<Rendered, Error> {
    let threads = threads.max(1);
    let header = header::read(source, limits)?;
    let samples = decode::decode(source, &header)?;
    let is_wide = header.profile.as_ref().is_some_and(Profile::is_wide);
    let size = header.orientation.apply_to_size(samples.size);
    let works = plan(size, recipe, is_wide);
    let pictures = pictures(samples, &header, &works, threads);
    let scaled = scale(pictures, recipe, &works, threads)?;
    let original = Original::of(source, &header).map(|original| (original, size));
    let files = encode_all(recipe, &works, scaled, original, threads, clock)?;
    Ok(Rendered {
        image: header.info(),
        engine: ENGINE.to_owned(),
        files,
    })
}

/// The source in each colour space that is needed, upright.
fn pictures(samples: Samples, header: &Header, works: &[Work], threads: usize) -> Vec<Picture> {
    let convert = |samples, space| {
        let picture = color::convert(samples, header.profile.as_ref(), space, threads);
        header.orientation.apply(picture, threads).without_idle_alpha()
    };
    let needs = |space| works.iter().any(|work| work.space == space);
    match (needs(Space::Srgb), needs(Space::DisplayP3)) {
        (true, true) => vec![
            convert(samples.clone(), Space::DisplayP3),
            convert(samples, Space::Srgb),
        ],
        (false, true) => vec![convert(samples, Space::DisplayP3)],
        (_, false) => vec![convert(samples, Space::Srgb)],
    }
}

/// One file to encode, and the renditions that it serves: variants that come out alike are encoded once.
struct Work {
    plan: Plan,
    space: Space,
    format: Format,
    quality: Quality,
    /// Index in `Recipe::variants`, and where the rendition goes in the result.
    serves: Vec<(usize, usize)>,
}

impl Work {
    fn cost(&self) -> u64 {
        encode::cost(self.format, self.plan.canvas.pixels())
    }

    /// Whether the coefficients of a JPEG source of that size can serve instead of its pixels.
    fn takes_coefficients(&self, source: Dimensions) -> bool {
        self.format == Format::Jxl && self.quality == Quality::Lossless && self.plan.is_whole_source(source)
    }
}

/// All files of the recipe, the most expensive first. `is_wide` says that the source has colours outside sRGB.
fn plan(source: Dimensions, recipe: &Recipe, is_wide: bool) -> Vec<Work> {
    let mut works: Vec<Work> = Vec::new();
    let mut place = 0;
    for (index, variant) in recipe.variants.iter().enumerate() {
        let plan = Plan::new(source, variant);
        let space = match variant.color {
            Color::Keep if is_wide => Space::DisplayP3,
            Color::Keep | Color::Srgb => Space::Srgb,
        };
        for &format in &variant.formats {
            let quality = variant.quality(format);
            let same = works.iter_mut().find(|work| {
                (&work.plan, work.space, work.format, work.quality) == (&plan, space, format, quality)
            });
            match same {
                Some(work) => work.serves.push((index, place)),
                None => works.push(Work {
                    plan,
                    space,
                    format,
                    quality,
                    serves: vec![(index, place)],
                }),
            }
            place += 1;
        }
    }
    works.sort_by_key(|work| std::cmp::Reverse(work.cost()));
    works
}

/// The pixels of each work; the source's own are shared, not copied.
fn scale(
    pictures: Vec<Picture>,
    recipe: &Recipe,
    works: &[Work],
    threads: usize,
) -> Result<Vec<Arc<Picture>>, Error> {
    let mut done: Vec<(Space, Plan, Arc<Picture>)> = Vec::new();
    for picture in pictures {
        let (space, source) = (picture.space, Arc::new(picture));
        for work in works.iter().filter(|work| work.space == space) {
            if done
                .iter()
                .any(|(space, plan, _)| (*space, plan) == (work.space, &work.plan))
            {
                continue;
            }
            let pixels = if work.plan.is_whole_source(source.size) {
                Arc::clone(&source)
            } else {
                let failed = |error| failure(recipe, work, error);
                let shown = resize::resize(&source, &work.plan, threads).map_err(failed)?;
                Arc::new(shown.padded(work.plan.canvas, space.express(recipe.background)))
            };
            done.push((space, work.plan, pixels));
        }
    }
    let of = |work: &Work| {
        done.iter()
            .find(|(space, plan, _)| (*space, plan) == (work.space, &work.plan))
    };
    Ok(works
        .iter()
        .filter_map(of)
        .map(|(.., pixels)| Arc::clone(pixels))
        .collect())
}

fn failure(recipe: &Recipe, work: &Work, source: EncodeError) -> Error {
    let variant = work
        .serves
        .first()
        .and_then(|&(index, _)| recipe.variants.get(index));
    Error::Encode {
        variant: variant.map(|variant| variant.name.clone()).unwrap_or_default(),
        format: work.format,
        source,
    }
}

/// One work and the pixels that it encodes.
struct Job<'a> {
    number: usize,
    work: &'a Work,
    picture: Arc<Picture>,
}

/// Pictures of more pixels are encoded one after the other: encoders need up to fifteen bytes for each pixel.
const ONE_AT_A_TIME_PIXELS: u64 = 16_000_000;

/// What the threads take in turn: all encodes of large pictures as one batch, every other encode by itself.
///
/// In the batch the encoder that needs most memory comes last, when nobody else holds the picture any more.
fn batches(works: &[Work], pictures: Vec<Arc<Picture>>) -> Vec<Vec<Job<'_>>> {
    let jobs = works.iter().zip(pictures).enumerate();
    let jobs = jobs.map(|(number, (work, picture))| Job {
        number,
        work,
        picture,
    });
    let (mut large, small): (Vec<_>, Vec<_>) =
        jobs.partition(|job| job.picture.size.pixels() > ONE_AT_A_TIME_PIXELS);
    large.sort_by_key(|job| job.picture.size.pixels() * encode::working_bytes(job.work.format));
    let mut batches = vec![large];
    batches.extend(small.into_iter().map(|job| vec![job]));
    batches
}

fn encode_all(
    recipe: &Recipe,
    works: &[Work],
    pictures: Vec<Arc<Picture>>,
    original: Option<(Original<'_>, Dimensions)>,
    threads: usize,
    clock: &Clock<'_>,
) -> Result<Vec<RenderedFile>, Error> {
    let results = Mutex::new(Vec::with_capacity(works.len()));
    parallel::for_each(threads, batches(works, pictures), |batch| {
        for job in batch {
            let (work, size) = (job.work, job.picture.size);
            let began = clock();
            let repacked = original
                .filter(|&(_, size)| work.takes_coefficients(size))
                .and_then(|(original, _)| original.repack());
            let encoded = match repacked {
                Some(bytes) => Ok(bytes),
                None => encode::encode(job.picture, work.format, work.quality, recipe.background),
            };
            let cpu = clock().zip(began).map(|(now, began)| now.saturating_sub(began));
            results
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((job.number, size, encoded, cpu));
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(number, ..)| *number);
    let mut files = Vec::new();
    for (number, dimensions, encoded, cpu) in results {
        let work = &works[number];
        let bytes = Bytes::from(encoded.map_err(|error| failure(recipe, work, error))?);
        for &(index, place) in &work.serves {
            files.push((
                place,
                RenderedFile {
                    variant: recipe.variants[index].name.clone(),
                    format: work.format,
                    dimensions,
                    bytes: bytes.clone(),
                    encoding: Encoding::default(),
                    cpu,
                },
            ));
        }
    }
    files.sort_by_key(|(place, _)| *place);
    Ok(files.into_iter().map(|(_, file)| file).collect())
}
