//! The order of the steps, and which rendition is made when.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tintype_model::{
    Color, Dimensions, Encoding, Format, ImageInfo, Limits, Quality, Recipe, Rendered, RenderedFile, Variant,
};

use crate::color::Profile;
use crate::color::space::Space;
use crate::encode::Original;
use crate::error::EncodeError;
use crate::geometry::Plan;
use crate::geometry::resize;
use crate::header::Header;
use crate::miniature::Miniature;
use crate::miniature::{appearance, attention};
use crate::picture::Picture;
use crate::quality::{self, Content, Wanted};
use crate::read::sniff::Kind;
use crate::{ENGINE, Error, animation, color, encode, header, quietly, read, schedule};

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
    let opened = open(source, recipe, limits, threads)?;
    if !has_still(&opened.header) {
        return make(source, opened, recipe, threads, clock);
    }
    match make(source, opened, recipe, threads, clock) {
        // Pixels of the still have been decoded: a frame behind it is broken.
        Err(Error::Rejected(_)) => {
            let mut opened = open(source, recipe, limits, threads)?;
            opened.header.show_still();
            make(source, opened, recipe, threads, clock)
        }
        made => made,
    }
}

/// Whether the picture is an animation that has a still to be shown instead, by its format's own rule (PNG, third
/// edition, section 4.9). One that is cut off is no whole file.
fn has_still(header: &Header) -> bool {
    header.kind == Kind::Png && header.frames > 1 && !header.motion.is_cut
}

fn make(
    source: &[u8],
    opened: Opened,
    recipe: &Recipe,
    threads: usize,
    clock: &Clock<'_>,
) -> Result<Rendered, Error> {
    let (header, is_wide, is_truncated) = (opened.header, opened.wide.is_some(), opened.is_truncated);
    let small = Miniature::new(&opened.picture);
    let appearance = quietly(|| appearance::of(&small, recipe.background));
    let content = quality::classify(&opened.picture);
    let size = opened.picture.size;
    let recipe = attention::resolve(size, &small, recipe);
    let recipe = recipe.as_ref();
    let original = Original::of(source, &header).filter(|_| !is_truncated);
    let source_quality = original.and_then(|original| Some((original.format, original.quality?)));
    let works = plan(size, recipe, &header, is_wide, source_quality);
    let (moving, works): (Vec<_>, Vec<_>) = works.into_iter().partition(|work| work.moves);
    let scaled = scale(opened.picture, opened.wide, recipe, &works, threads)?;
    let original = original.map(|original| (original, size));
    let stills = schedule::encode_all(recipe, content, &works, scaled, original, threads, clock)?;
    let (places, mut files): (Vec<_>, Vec<_>) = stills.into_iter().unzip();
    for (index, variant) in recipe.variants.iter().enumerate() {
        // One frame and many of them say nothing of each other's size.
        if moving.iter().any(|work| work.serves(index)) {
            continue;
        }
        let Some(files) = of_variant(&mut files, &variant.name) else {
            continue;
        };
        quality::explain(files, |format| variant.quality(format));
    }
    let mut files: Vec<_> = places.into_iter().zip(files).collect();
    let animated = animation::encode_all(source, &header, recipe, &moving, content, threads)?;
    for (work, file) in moving.iter().zip(animated) {
        let encoding = Encoding {
            frames: (file.frames > 1).then_some(file.frames),
            ..Encoding::default()
        };
        files.extend(work.files(recipe, work.plan.canvas, &file.bytes.into(), &encoding, None));
    }
    files.sort_by_key(|(place, _)| *place);
    Ok(Rendered {
        image: ImageInfo {
            is_truncated,
            appearance,
            ..header.info(source)
        },
        engine: ENGINE.to_owned(),
        files: files.into_iter().map(|(_, file)| file).collect(),
    })
}

/// A source, decoded and upright.
pub(crate) struct Opened {
    pub(crate) header: Header,
    /// In sRGB.
    pub(crate) picture: Picture,
    /// In Display P3, if the source has colours outside sRGB and a variant keeps them.
    pub(crate) wide: Option<Picture>,
    /// Whether a part of the picture was missing in the source.
    is_truncated: bool,
}

pub(crate) fn open(source: &[u8], recipe: &Recipe, limits: &Limits, threads: usize) -> Result<Opened, Error> {
    let header = header::read(source, limits)?;
    let (samples, is_truncated) = read::decode(source, &header)?;
    let convert = |samples, space| {
        let picture = color::convert(samples, header.profile.as_ref(), space, threads);
        header.orientation.apply(picture, threads).without_idle_alpha()
    };
    let keeps = recipe.variants.iter().any(|variant| variant.color == Color::Keep);
    let is_wide = keeps && header.profile.as_ref().is_some_and(Profile::is_wide);
    let wide = is_wide.then(|| convert(samples.clone(), Space::DisplayP3));
    let picture = convert(samples, Space::Srgb);
    Ok(Opened {
        picture,
        wide,
        header,
        is_truncated,
    })
}

/// The colour space of a variant. `is_wide` says that the source has colours outside sRGB.
const fn space(variant: &Variant, is_wide: bool) -> Space {
    match variant.color {
        Color::Keep if is_wide => Space::DisplayP3,
        Color::Keep | Color::Srgb => Space::Srgb,
    }
}

/// The files of one variant, which are beside each other.
fn of_variant<'a>(files: &'a mut [RenderedFile], name: &str) -> Option<&'a mut [RenderedFile]> {
    let first = files.iter().position(|file| file.variant == name)?;
    let count = files.iter().filter(|file| file.variant == name).count();
    files.get_mut(first..first + count)
}

/// `works` are all stills of the source.
pub(crate) fn wanted(recipe: &Recipe, content: Content, work: &Work, works: &[Work]) -> Wanted {
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

/// One file to encode, and the renditions that it serves: variants that come out alike are encoded once.
pub(crate) struct Work {
    pub(crate) plan: Plan,
    pub(crate) space: Space,
    pub(crate) format: Format,
    pub(crate) quality: Quality,
    /// Format and quality of a lossy source that is as large.
    source_quality: Option<(Format, u8)>,
    /// Whether it is animated.
    moves: bool,
    /// Index in `Recipe::variants`, and where the rendition goes in the result.
    serves: Vec<(usize, usize)>,
}

impl Work {
    fn cost(&self) -> u64 {
        encode::cost(self.format, self.plan.canvas.pixels())
    }

    /// Whether the variant of that number is among those that it serves.
    fn serves(&self, variant: usize) -> bool {
        self.serves.iter().any(|&(index, _)| index == variant)
    }

    /// The renditions that it serves, each with its place in the result.
    pub(crate) fn files(
        &self,
        recipe: &Recipe,
        dimensions: Dimensions,
        bytes: &Bytes,
        encoding: &Encoding,
        cpu: Option<Duration>,
    ) -> impl Iterator<Item = (usize, RenderedFile)> {
        self.serves.iter().map(move |&(index, place)| {
            let file = RenderedFile {
                variant: recipe.variants[index].name.clone(),
                format: self.format,
                dimensions,
                bytes: bytes.clone(),
                encoding: encoding.clone(),
                cpu,
            };
            (place, file)
        })
    }
}

/// All files of the recipe, the most expensive first. `is_wide` says that the source has colours outside sRGB, and
/// `source_quality` its format and quality where it is lossy.
fn plan(
    source: Dimensions,
    recipe: &Recipe,
    header: &Header,
    is_wide: bool,
    source_quality: Option<(Format, u8)>,
) -> Vec<Work> {
    let mut works: Vec<Work> = Vec::new();
    let mut place = 0;
    for (index, variant) in recipe.variants.iter().enumerate() {
        let plan = Plan::new(source, variant);
        let space = space(variant, is_wide);
        for &format in &variant.formats {
            let quality = variant.quality(format);
            let moves = animation::moves(header, variant, format, &plan);
            // Animations come in sRGB.
            let space = if moves { Space::Srgb } else { space };
            let same = works.iter_mut().find(|work| {
                (&work.plan, work.space, work.format, work.quality, work.moves)
                    == (&plan, space, format, quality, moves)
            });
            match same {
                Some(work) => work.serves.push((index, place)),
                None => works.push(Work {
                    plan,
                    space,
                    format,
                    quality,
                    source_quality: source_quality.filter(|_| plan.is_whole_source(source)),
                    moves,
                    serves: vec![(index, place)],
                }),
            }
            place += 1;
        }
    }
    works.sort_by_key(|work| std::cmp::Reverse(work.cost()));
    works
}

/// The pixels of each work, from the source in sRGB and, where that is wanted, in Display P3; its own are shared, not
/// copied. Large ones are made first, because small ones are made from them.
fn scale(
    picture: Picture,
    wide: Option<Picture>,
    recipe: &Recipe,
    works: &[Work],
    threads: usize,
) -> Result<Vec<Arc<Picture>>, Error> {
    let mut order: Vec<&Work> = works.iter().collect();
    order.sort_by_key(|work| std::cmp::Reverse(work.plan.scaled.pixels()));
    let mut done: Vec<(Plan, Arc<Picture>)> = Vec::new();
    let find = |done: &[(Plan, Arc<Picture>)], work: &Work| {
        done.iter()
            .find(|(plan, picture)| *plan == work.plan && picture.space == work.space)
            .map(|(_, picture)| Arc::clone(picture))
    };
    for picture in [Some(picture), wide].into_iter().flatten() {
        let source = Arc::new(picture);
        for work in order.iter().filter(|work| work.space == source.space) {
            if find(&done, work).is_some() {
                continue;
            }
            let pixels = if work.plan.is_whole_source(source.size) {
                Arc::clone(&source)
            } else {
                let failed = |error| failure(recipe, work, error);
                let nearest = done
                    .iter()
                    .rev()
                    .filter(|(_, pixels)| pixels.space == source.space)
                    .find_map(|(plan, pixels)| Some((pixels, work.plan.made_from(plan)?)));
                let (from, plan) = nearest.unwrap_or((&source, work.plan));
                let background = source.space.express(recipe.background);
                let shown = resize::resize(from, &plan, threads).map_err(failed)?;
                Arc::new(shown.padded(work.plan.canvas, background))
            };
            done.push((work.plan, pixels));
        }
    }
    Ok(works.iter().filter_map(|work| find(&done, work)).collect())
}

pub(crate) fn failure(recipe: &Recipe, work: &Work, source: EncodeError) -> Error {
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
