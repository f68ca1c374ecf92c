//! The steps of a render in their order, and the order of the renditions.

use std::sync::Arc;

use tintype_model::{Color, Encoding, ImageInfo, Limits, Recipe, Rendered, RenderedFile};

use crate::color::{self, Profile};
use crate::encode::Original;
use crate::geometry::{Geometry, resize};
use crate::header::Header;
use crate::header::format::Decoded;
use crate::miniature::{Miniature, appearance, attention};
use crate::panics::quietly;
use crate::picture::{Picture, Space};
use crate::work::{self, Clock, PlannedFile, failure};
use crate::{ENGINE, Error, animation, quality, read, schedule};

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

/// Tells whether the picture is an animation that has a still to be shown instead, by its format's own rule (PNG, third
/// edition, section 4.9). One that is cut off is not a whole file.
fn has_still(header: &Header) -> bool {
    let animation = header.format.animation.as_ref();
    header.is_animated() && animation.is_some_and(|animation| animation.has_still) && !header.motion.is_cut
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
    let planned_files = work::planned_files(size, recipe, &header, is_wide, source_quality);
    let (moving, planned_files): (Vec<_>, Vec<_>) =
        planned_files.into_iter().partition(|planned| planned.moves);
    let scaled = scale(opened.picture, opened.wide, recipe, &planned_files, threads)?;
    let original = original.map(|original| (original, size));
    let stills = schedule::encode_all(recipe, content, &planned_files, scaled, original, threads, clock)?;
    let (places, mut files): (Vec<_>, Vec<_>) = stills.into_iter().unzip();
    for (index, variant) in recipe.variants.iter().enumerate() {
        // The sizes of a still and of an animation cannot be compared.
        if moving.iter().any(|planned| planned.serves(index)) {
            continue;
        }
        let Some(files) = of_variant(&mut files, &variant.name) else {
            continue;
        };
        quality::explain(files, |format| variant.quality(format));
    }
    let mut files: Vec<_> = places.into_iter().zip(files).collect();
    let animated = animation::encode_all(source, &header, recipe, &moving, content, threads)?;
    for (planned, file) in moving.iter().zip(animated) {
        let encoding = Encoding {
            frames: (file.frames > 1).then_some(file.frames),
            ..Encoding::default()
        };
        files.extend(planned.files(
            recipe,
            planned.geometry.canvas,
            &file.bytes.into(),
            &encoding,
            None,
        ));
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
    /// True if a part of the picture was missing in the source.
    is_truncated: bool,
}

pub(crate) fn open(source: &[u8], recipe: &Recipe, limits: &Limits, threads: usize) -> Result<Opened, Error> {
    let header = read::header(source, limits)?;
    let Decoded {
        samples,
        is_truncated,
    } = read::decode(source, &header)?;
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

/// The files of one variant, which are beside each other.
fn of_variant<'a>(files: &'a mut [RenderedFile], name: &str) -> Option<&'a mut [RenderedFile]> {
    let first = files.iter().position(|file| file.variant == name)?;
    let count = files.iter().filter(|file| file.variant == name).count();
    files.get_mut(first..first + count)
}

/// The pixels of each planned file, from the source in sRGB and, where that is wanted, in Display P3; its own are
/// shared, not copied. Large ones are made first, because small ones are made from them.
fn scale(
    picture: Picture,
    wide: Option<Picture>,
    recipe: &Recipe,
    planned_files: &[PlannedFile],
    threads: usize,
) -> Result<Vec<Arc<Picture>>, Error> {
    let mut order: Vec<&PlannedFile> = planned_files.iter().collect();
    order.sort_by_key(|planned| std::cmp::Reverse(planned.geometry.scaled.pixels()));
    let mut done: Vec<(Geometry, Arc<Picture>)> = Vec::new();
    let find = |done: &[(Geometry, Arc<Picture>)], planned: &PlannedFile| {
        done.iter()
            .find(|(geometry, picture)| *geometry == planned.geometry && picture.space == planned.space)
            .map(|(_, picture)| Arc::clone(picture))
    };
    for picture in [Some(picture), wide].into_iter().flatten() {
        let source = Arc::new(picture);
        for planned in order.iter().filter(|planned| planned.space == source.space) {
            if find(&done, planned).is_some() {
                continue;
            }
            let pixels = if planned.geometry.is_whole_source(source.size) {
                Arc::clone(&source)
            } else {
                let failed = |error| failure(recipe, planned, error);
                let nearest = done
                    .iter()
                    .rev()
                    .filter(|(_, pixels)| pixels.space == source.space)
                    .find_map(|(geometry, pixels)| Some((pixels, planned.geometry.made_from(geometry)?)));
                let (from, geometry) = nearest.unwrap_or((&source, planned.geometry));
                let background = source.space.express(recipe.background);
                let shown = resize::resize(from, &geometry, threads).map_err(failed)?;
                Arc::new(shown.padded(planned.geometry.canvas, background))
            };
            done.push((planned.geometry, pixels));
        }
    }
    Ok(planned_files
        .iter()
        .filter_map(|planned| find(&done, planned))
        .collect())
}
