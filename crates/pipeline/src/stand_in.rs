//! The files of a variant that may be sent in place of another: those in an older format that are smaller and no worse.
//!
//! Only older ones, because every browser prefers the newest format that it knows: a client that weighs an older one higher
//! says which it wants.
//!
//! "No worse" is decided from what was asked and what is known of the result, in this order:
//!
//! 1. Everything that the other file shows: motion, and transparency where the source has any.
//! 2. A lossless file is no worse than any file, and a lossy one is worse than a lossless one.
//! 3. Where both were scored, the score decides; less than [`Encoding::SCORE_MARGIN`] is no difference.
//! 4. Else the quality that was asked for decides. A target is compared with a target. The numbers of the default recipe
//!    are chosen to look alike, so a variant with the numbers of one of its variants asks the same of all formats. Other
//!    numbers are compared by how far they are above or below the format's default, and the default counts as the default
//!    target. Where that says nothing the file counts as worse.
//!    So does a JPEG: formats look alike at the default numbers as medians, and where one picture's JPEG is smaller than its
//!    WebP it scores less as well (decision 0016 has the figures).

use tintype_model::{Encoding, Format, Quality, Recipe, Rendered, RenderedFile, Variant};

/// The older formats of the variant of `file` whose files are smaller and no worse than it, the smallest first; of equal
/// sizes the newer one. `recipe` is what the files were made by.
pub(crate) fn stand_ins(file: &RenderedFile, rendered: &Rendered, recipe: &Recipe) -> Vec<Format> {
    let Some(variant) = recipe.variant(&file.variant) else {
        return Vec::new();
    };
    let has_alpha = rendered.image.has_alpha;
    let mut better: Vec<&RenderedFile> = rendered
        .files
        .iter()
        .filter(|other| other.variant == file.variant && other.format > file.format)
        .filter(|other| other.bytes.len() < file.bytes.len())
        .filter(|other| is_no_worse(other, file, variant, has_alpha))
        .collect();
    better.sort_by_key(|other| (other.bytes.len(), other.format));
    better.into_iter().map(|other| other.format).collect()
}

fn is_no_worse(other: &RenderedFile, file: &RenderedFile, variant: &Variant, has_alpha: bool) -> bool {
    let loses_motion = file.encoding.frames.is_some() && other.encoding.frames.is_none();
    let loses_alpha = has_alpha && file.format.can_be_transparent() && !other.format.can_be_transparent();
    if loses_motion || loses_alpha {
        return false;
    }
    let is_lossless = |file: &RenderedFile| file.encoding.is_lossless || file.format == Format::Png;
    match (is_lossless(other), is_lossless(file)) {
        (true, _) => true,
        (false, true) => false,
        (false, false) => match scores(&other.encoding, &file.encoding) {
            Some((other, score)) => other + Encoding::SCORE_MARGIN >= score,
            None if other.format == Format::Jpeg => false,
            None => {
                is_default(variant) || {
                    let asked = |format: Format| steps(format, variant.quality(format));
                    is_asked_no_less(&asked(other.format), &asked(file.format))
                }
            }
        },
    }
}

fn scores(other: &Encoding, file: &Encoding) -> Option<(f32, f32)> {
    other.score.zip(file.score)
}

/// True if the variant asks what a variant of the default recipe does.
fn is_default(variant: &Variant) -> bool {
    let defaults = Recipe::default().variants;
    defaults.iter().any(|default| default.quality == variant.quality)
}

/// A quality, in steps of its own scale above the default.
enum Asked {
    Number(i16),
    Target(i16),
}

fn is_asked_no_less(other: &Asked, file: &Asked) -> bool {
    match (other, file) {
        (Asked::Number(other), Asked::Number(file)) | (Asked::Target(other), Asked::Target(file)) => {
            other >= file
        }
        // The scales meet at their defaults only.
        (Asked::Number(other), Asked::Target(file)) | (Asked::Target(other), Asked::Number(file)) => {
            *other >= 0 && *file <= 0
        }
    }
}

fn steps(format: Format, quality: Quality) -> Asked {
    let above = |value: u8, default: u8| i16::from(value) - i16::from(default);
    match quality {
        Quality::Auto { target } => Asked::Target(above(target, Quality::DEFAULT_TARGET)),
        Quality::Fixed(_) | Quality::Lossless => {
            let default = Quality::default_for(format).number(format);
            Asked::Number(above(quality.number(format), default))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_model::{Dimensions, ImageInfo};

    /// A file of the variant `medium` with so many bytes.
    fn file(format: Format, size: usize, encoding: Encoding) -> RenderedFile {
        RenderedFile {
            variant: "medium".to_owned(),
            format,
            dimensions: Dimensions { width: 1, height: 1 },
            bytes: vec![0; size].into(),
            encoding,
            cpu: None,
        }
    }

    fn plain(format: Format, size: usize) -> RenderedFile {
        file(format, size, Encoding::default())
    }

    fn lossless(format: Format, size: usize) -> RenderedFile {
        let encoding = Encoding {
            is_lossless: true,
            ..Encoding::default()
        };
        file(format, size, encoding)
    }

    fn scored(format: Format, size: usize, score: f32) -> RenderedFile {
        let encoding = Encoding {
            score: Some(score),
            ..Encoding::default()
        };
        file(format, size, encoding)
    }

    fn moving(format: Format, size: usize) -> RenderedFile {
        let encoding = Encoding {
            frames: Some(3),
            ..Encoding::default()
        };
        file(format, size, encoding)
    }

    fn variant(change: impl FnOnce(&mut Variant)) -> Variant {
        let mut variant = Recipe::default().variants.remove(1);
        change(&mut variant);
        variant
    }

    /// The stand-ins of the first of the files.
    fn first(files: Vec<RenderedFile>, has_alpha: bool, variant: &Variant) -> Vec<Format> {
        let rendered = Rendered {
            image: ImageInfo {
                has_alpha,
                ..ImageInfo::default()
            },
            engine: "test".to_owned(),
            files,
        };
        let recipe = Recipe {
            variants: vec![variant.clone()],
            ..Recipe::default()
        };
        stand_ins(&rendered.files[0], &rendered, &recipe)
    }

    #[test]
    fn smaller_files_that_are_no_worse_stand_in_the_smallest_first() {
        let default = variant(|_| {});
        let avif = |size| plain(Format::Avif, size);
        let (webp, jpeg) = (plain(Format::Webp, 20), lossless(Format::Jpeg, 10));
        let of = |size| first(vec![avif(size), webp.clone(), jpeg.clone()], false, &default);
        assert_eq!(of(30), [Format::Jpeg, Format::Webp]);
        assert_eq!(of(20), [Format::Jpeg], "an equal size is no smaller");
        assert_eq!(of(10), []);
        let equal = vec![avif(30), lossless(Format::Jpeg, 10), plain(Format::Webp, 10)];
        assert_eq!(first(equal, false, &default), [Format::Webp, Format::Jpeg]);
    }

    #[test]
    fn a_smaller_jpeg_stands_in_by_its_score_only() {
        for variant in Recipe::default().variants {
            for newer in [Format::Avif, Format::Webp] {
                let of = |mut files: [RenderedFile; 2]| {
                    for file in &mut files {
                        file.variant.clone_from(&variant.name);
                    }
                    first(files.to_vec(), false, &variant)
                };
                assert_eq!(of([plain(newer, 30), plain(Format::Jpeg, 20)]), []);
                let score = |jpeg| [scored(newer, 30, 75.0), scored(Format::Jpeg, 20, jpeg)];
                assert_eq!(of(score(75.0)), [Format::Jpeg]);
                assert_eq!(of(score(74.0)), []);
            }
        }
    }

    #[test]
    fn a_newer_format_is_only_sent_to_those_who_prefer_it() {
        let files = vec![plain(Format::Webp, 30), plain(Format::Avif, 20)];
        assert_eq!(first(files, false, &variant(|_| {})), []);
        let files = vec![plain(Format::Png, 30), lossless(Format::Webp, 20)];
        assert_eq!(first(files, false, &variant(|_| {})), []);
    }

    #[test]
    fn other_variants_are_other_pictures() {
        let mut other = plain(Format::Webp, 1);
        other.variant = "thumbnail".to_owned();
        assert_eq!(
            first(vec![plain(Format::Avif, 30), other], false, &variant(|_| {})),
            []
        );
    }

    #[test]
    fn nothing_is_better_than_lossless() {
        let poor = variant(|variant| {
            variant.quality = [
                (Format::Avif, Quality::Fixed(100)),
                (Format::Webp, Quality::Fixed(1)),
            ]
            .into();
        });
        for lossless in [lossless(Format::Webp, 20), plain(Format::Png, 20)] {
            let format = lossless.format;
            let files = vec![plain(Format::Avif, 30), lossless.clone()];
            assert_eq!(first(files, true, &poor), [format]);
        }
        let files = vec![lossless(Format::Webp, 30), plain(Format::Png, 20)];
        assert_eq!(first(files, true, &poor), [Format::Png]);
        let files = vec![lossless(Format::Webp, 30), plain(Format::Jpeg, 20)];
        assert_eq!(first(files, false, &poor), []);
    }

    #[test]
    fn scores_decide_where_both_are_known() {
        let default = variant(|_| {});
        let avif = || scored(Format::Avif, 30, 70.0);
        for (webp, expected) in [
            (80.0, true),
            (70.0, true),
            (69.6, true),
            (69.4, false),
            (40.0, false),
        ] {
            let files = vec![avif(), scored(Format::Webp, 20, webp)];
            assert_eq!(!first(files, false, &default).is_empty(), expected, "{webp}");
        }
        let files = vec![avif(), plain(Format::Webp, 20)];
        assert_eq!(
            first(files, false, &default),
            [Format::Webp],
            "one score says nothing"
        );
    }

    #[test]
    fn motion_and_transparency_are_not_given_up() {
        let default = variant(|_| {});
        let files = |webp| vec![moving(Format::Avif, 30), webp, plain(Format::Jpeg, 1)];
        assert_eq!(
            first(files(moving(Format::Webp, 20)), false, &default),
            [Format::Webp]
        );
        assert_eq!(first(files(lossless(Format::Webp, 20)), false, &default), []);
        let files = vec![
            plain(Format::Avif, 30),
            plain(Format::Webp, 20),
            lossless(Format::Jpeg, 10),
        ];
        assert_eq!(first(files.clone(), true, &default), [Format::Webp]);
        assert_eq!(first(files, false, &default), [Format::Jpeg, Format::Webp]);
        let files = vec![plain(Format::Jpeg, 30), plain(Format::Png, 20)];
        assert_eq!(
            first(files, true, &default),
            [Format::Png],
            "transparency is no loss"
        );
    }

    /// `original` asks for another number of AVIF, so that it looks like the WebP beside it.
    #[test]
    fn the_default_recipe_asks_the_same_of_avif_and_webp() {
        for variant in Recipe::default().variants {
            let mut files = [plain(Format::Avif, 30), plain(Format::Webp, 20)];
            for file in &mut files {
                file.variant.clone_from(&variant.name);
            }
            assert_eq!(
                first(files.to_vec(), false, &variant),
                [Format::Webp],
                "{}",
                variant.name
            );
        }
    }

    #[test]
    fn what_the_recipe_asks_less_of_does_not_stand_in() {
        let auto = |target| Quality::Auto { target };
        for (avif, webp, expected) in [
            (None, None, true),
            (Some(Quality::Fixed(66)), Some(Quality::Fixed(81)), true),
            (None, Some(Quality::Fixed(81)), true),
            (None, Some(Quality::Fixed(79)), false),
            (Some(Quality::Fixed(90)), None, false),
            (Some(Quality::Fixed(50)), None, true),
            (Some(auto(75)), Some(auto(75)), true),
            (Some(auto(75)), Some(auto(74)), false),
            (Some(auto(75)), None, true),
            (Some(auto(80)), None, false),
            (None, Some(auto(75)), true),
            (None, Some(auto(70)), false),
            (Some(Quality::Fixed(90)), Some(auto(95)), false),
        ] {
            let variant = variant(|variant| {
                let asked = [(Format::Avif, avif), (Format::Webp, webp)];
                variant.quality = asked
                    .into_iter()
                    .filter_map(|(format, quality)| quality.map(|quality| (format, quality)))
                    .collect();
            });
            let files = vec![plain(Format::Avif, 30), plain(Format::Webp, 20)];
            let stands_in = !first(files, false, &variant).is_empty();
            assert_eq!(stands_in, expected, "AVIF {avif:?}, WebP {webp:?}");
        }
    }
}
