//! URLs of renditions, and the HTML that lets a browser choose among them.

use std::collections::BTreeMap;

use askama::Template;
use tintype_model::{DeliveryPath, Fit, Format, ObjectKey, Recipe, Rendition, Version};

/// The widest picture that browsers without `srcset` get, in pixels, if there is one that small.
const FALLBACK_WIDTH: u32 = 1280;

/// Spells the URLs of one picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Urls<'a> {
    /// This server, without a slash at the end; empty for paths.
    pub base: &'a str,
    pub key: &'a ObjectKey,
    /// The version, for URLs under `/v/`; without one they are under `/img/`.
    pub version: Option<&'a Version>,
}

impl Urls<'_> {
    /// The URL of a variant; without a format it is negotiated.
    pub(crate) fn of(&self, variant: &str, format: Option<Format>) -> String {
        let path = DeliveryPath {
            key: self.key.clone(),
            version: self.version.map(|version| version.0.clone()),
            variant: variant.to_owned(),
            format,
        };
        format!("{}{}", self.base, path.to_path())
    }
}

/// The markup that shows a picture in a page.
#[derive(Debug)]
pub(crate) struct Markup {
    /// `srcset` with width descriptors, by the format that a browser has to take for it.
    pub srcset: BTreeMap<Format, String>,
    /// A whole `<picture>` element.
    pub picture: String,
}

/// Markup from the variants that show the whole picture in its own aspect: a browser may put any of them in the
/// place of another. Without such a variant only the recipe's first one is used.
pub(crate) fn markup(urls: Urls<'_>, renditions: &[Rendition], recipe: &Recipe) -> Markup {
    let keeps_aspect = |name: &str| {
        recipe
            .variant(name)
            .is_some_and(|variant| variant.fit == Fit::Inside)
    };
    let mut usable: Vec<&Rendition> = renditions
        .iter()
        .filter(|rendition| keeps_aspect(&rendition.variant))
        .collect();
    if usable.is_empty() {
        let first = renditions.first().map(|rendition| rendition.variant.as_str());
        usable = renditions
            .iter()
            .filter(|rendition| Some(rendition.variant.as_str()) == first)
            .collect();
    }
    usable.sort_by_key(|rendition| (rendition.format, rendition.dimensions.width, rendition.size_bytes));
    usable.dedup_by_key(|rendition| (rendition.format, rendition.dimensions.width));
    let mut by_format: BTreeMap<Format, Vec<&Rendition>> = BTreeMap::new();
    for rendition in usable {
        by_format.entry(rendition.format).or_default().push(rendition);
    }
    let offered = offered(renditions, by_format);
    let srcset = offered
        .iter()
        .map(|(format, renditions)| (*format, srcset(urls, renditions)))
        .collect();
    let picture = picture(urls, &offered, &srcset);
    Markup { srcset, picture }
}

/// The renditions that a browser is offered, by the format that it takes: in each size the rendition in that format, or
/// an older one that is smaller and no worse, as every browser that takes a format takes the older ones too. A format
/// that adds nothing to the older ones is left out.
fn offered<'a>(
    renditions: &'a [Rendition],
    by_format: BTreeMap<Format, Vec<&'a Rendition>>,
) -> BTreeMap<Format, Vec<&'a Rendition>> {
    let smallest = |rendition: &'a Rendition| {
        let mut older = rendition
            .stand_ins
            .iter()
            .filter(|format| **format > rendition.format);
        let found = older.find_map(|format| {
            renditions
                .iter()
                .find(|other| other.variant == rendition.variant && other.format == *format)
        });
        found.unwrap_or(rendition)
    };
    let mut offered: BTreeMap<Format, Vec<&Rendition>> = BTreeMap::new();
    for (format, renditions) in by_format.into_iter().rev() {
        let smallest: Vec<&Rendition> = renditions.into_iter().map(smallest).collect();
        let next_older = offered.first_key_value().map(|(_, renditions)| renditions);
        if format.is_universal() || next_older != Some(&smallest) {
            offered.insert(format, smallest);
        }
    }
    offered
}

fn srcset(urls: Urls<'_>, renditions: &[&Rendition]) -> String {
    let candidates: Vec<String> = renditions
        .iter()
        .map(|rendition| {
            let url = urls.of(&rendition.variant, Some(rendition.format));
            format!("{url} {}w", rendition.dimensions.width)
        })
        .collect();
    candidates.join(", ")
}

#[derive(Template)]
#[template(path = "picture.html")]
struct Picture<'a> {
    sources: Vec<Source<'a>>,
    src: String,
    srcset: &'a str,
    width: u32,
    height: u32,
}

/// The choice for browsers that take one media type.
struct Source<'a> {
    media_type: &'static str,
    srcset: &'a str,
}

fn picture<'a>(
    urls: Urls<'_>,
    offered: &BTreeMap<Format, Vec<&Rendition>>,
    srcset: &'a BTreeMap<Format, String>,
) -> String {
    let universal = offered.iter().find(|(format, _)| format.is_universal());
    // A source in another universal format would be taken by every browser, and the image by none.
    let Some((universal, renditions)) = universal else {
        return String::new();
    };
    let modest = renditions
        .iter()
        .rev()
        .find(|rendition| rendition.dimensions.width <= FALLBACK_WIDTH);
    let Some(fallback) = modest.or(renditions.first()) else {
        return String::new();
    };
    let source = |(format, srcset): (&Format, &'a String)| Source {
        media_type: format.media_type(),
        srcset,
    };
    let picture = Picture {
        sources: srcset
            .iter()
            .filter(|(format, _)| !format.is_universal())
            .map(source)
            .collect(),
        src: urls.of(&fallback.variant, Some(fallback.format)),
        srcset: srcset.get(universal).map_or("", String::as_str),
        width: fallback.dimensions.width,
        height: fallback.dimensions.height,
    };
    picture.render().expect("writing to a string cannot fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_model::Dimensions;

    fn rendition(variant: &str, format: Format, width: u32, height: u32) -> Rendition {
        Rendition {
            variant: variant.to_owned(),
            format,
            dimensions: Dimensions { width, height },
            size_bytes: u64::from(width),
            etag: "e".to_owned(),
            object_key: "o".to_owned(),
            encoding: tintype_model::Encoding::default(),
            stand_ins: Vec::new(),
        }
    }

    fn set(sizes: &[(&str, u32, u32)]) -> Vec<Rendition> {
        let formats = [Format::Avif, Format::Webp, Format::Jpeg];
        let all = sizes.iter().flat_map(|(variant, width, height)| {
            formats.map(|format| rendition(variant, format, *width, *height))
        });
        all.collect()
    }

    #[test]
    fn a_picture_element_offers_every_format_and_width() {
        let key = ObjectKey::new("a b/\"c\".jpg").unwrap();
        let urls = Urls {
            base: "https://img.example",
            key: &key,
            version: None,
        };
        let renditions = set(&[
            ("original", 4000, 3000),
            ("medium", 800, 600),
            ("thumbnail", 300, 225),
        ]);
        let markup = markup(urls, &renditions, &Recipe::default());
        insta::assert_snapshot!(markup.picture, @r#"
        <picture>
          <source type="image/avif" srcset="https://img.example/img/a%20b/%22c%22.jpg/thumbnail.avif 300w, https://img.example/img/a%20b/%22c%22.jpg/medium.avif 800w, https://img.example/img/a%20b/%22c%22.jpg/original.avif 4000w" sizes="100vw">
          <source type="image/webp" srcset="https://img.example/img/a%20b/%22c%22.jpg/thumbnail.webp 300w, https://img.example/img/a%20b/%22c%22.jpg/medium.webp 800w, https://img.example/img/a%20b/%22c%22.jpg/original.webp 4000w" sizes="100vw">
          <img src="https://img.example/img/a%20b/%22c%22.jpg/medium.jpg" srcset="https://img.example/img/a%20b/%22c%22.jpg/thumbnail.jpg 300w, https://img.example/img/a%20b/%22c%22.jpg/medium.jpg 800w, https://img.example/img/a%20b/%22c%22.jpg/original.jpg 4000w" sizes="100vw" width="800" height="600" alt="" loading="lazy">
        </picture>
        "#);
    }

    #[test]
    fn small_pictures_name_each_width_once_and_versions_go_into_urls() {
        let key = ObjectKey::new("dot.png").unwrap();
        let version = Version("0123".to_owned());
        let urls = Urls {
            base: "",
            key: &key,
            version: Some(&version),
        };
        let renditions = set(&[
            ("original", 200, 100),
            ("medium", 200, 100),
            ("thumbnail", 200, 100),
        ]);
        let markup = markup(urls, &renditions, &Recipe::default());
        assert_eq!(markup.srcset[&Format::Avif], "/v/dot.png/0123/original.avif 200w");
    }

    #[test]
    fn variants_that_cut_or_stretch_are_left_out() {
        let key = ObjectKey::new("k").unwrap();
        let urls = Urls {
            base: "",
            key: &key,
            version: None,
        };
        let mut recipe = Recipe::default();
        recipe.variants[2].fit = Fit::Cover;
        let renditions = set(&[
            ("original", 4000, 3000),
            ("thumbnail", 300, 300),
            ("retired", 640, 480),
        ]);
        let widths = |recipe: &Recipe| markup(urls, &renditions, recipe).srcset[&Format::Jpeg].clone();
        assert_eq!(widths(&recipe), "/img/k/original.jpg 4000w");
        recipe.variants[0].fit = Fit::Fill;
        assert_eq!(widths(&recipe), "/img/k/original.jpg 4000w");
        recipe.variants.remove(0);
        assert_eq!(widths(&recipe), "/img/k/original.jpg 4000w");
    }

    fn key() -> ObjectKey {
        ObjectKey::new("k").unwrap()
    }

    /// The default set in which `stand_ins` has what stands in for a variant in a format.
    fn markup_with(formats: &[Format], stand_ins: &[(&str, Format, &[Format])]) -> Markup {
        let key = key();
        let urls = Urls {
            base: "",
            key: &key,
            version: None,
        };
        let sizes = [("original", 4000, 3000), ("medium", 800, 600)];
        let mut renditions = Vec::new();
        for (variant, width, height) in sizes {
            for format in formats {
                let mut rendition = rendition(variant, *format, width, height);
                let known = stand_ins
                    .iter()
                    .find(|(name, of, _)| *name == variant && of == format);
                rendition.stand_ins = known.map_or_else(Vec::new, |(_, _, formats)| formats.to_vec());
                renditions.push(rendition);
            }
        }
        markup(urls, &renditions, &Recipe::default())
    }

    const USUAL: [Format; 3] = [Format::Avif, Format::Webp, Format::Jpeg];

    #[test]
    fn a_format_that_is_larger_for_nothing_in_every_size_is_not_offered() {
        let webp: &[Format] = &[Format::Webp];
        let markup = markup_with(
            &USUAL,
            &[("original", Format::Avif, webp), ("medium", Format::Avif, webp)],
        );
        assert!(!markup.picture.contains("avif"), "{}", markup.picture);
        assert!(!markup.srcset.contains_key(&Format::Avif));
        assert_eq!(
            markup.srcset[&Format::Webp],
            "/img/k/medium.webp 800w, /img/k/original.webp 4000w"
        );
        assert!(markup.picture.contains("<source type=\"image/webp\""));
    }

    #[test]
    fn a_format_that_is_larger_for_nothing_in_one_size_gives_way_there() {
        let markup = markup_with(&USUAL, &[("medium", Format::Avif, &[Format::Webp])]);
        assert_eq!(
            markup.srcset[&Format::Avif],
            "/img/k/medium.webp 800w, /img/k/original.avif 4000w"
        );
    }

    #[test]
    fn a_jpeg_that_is_the_smallest_is_all_that_is_offered() {
        let jpeg: &[Format] = &[Format::Jpeg];
        let all = ["original", "medium"]
            .map(|name| [(name, Format::Avif, jpeg), (name, Format::Webp, jpeg)])
            .concat();
        let markup = markup_with(&USUAL, &all);
        assert!(!markup.picture.contains("<source"), "{}", markup.picture);
        assert_eq!(markup.srcset.into_keys().collect::<Vec<_>>(), [Format::Jpeg]);
    }

    #[test]
    fn only_what_every_taker_of_a_format_takes_is_offered_in_its_place() {
        let avif: &[Format] = &[Format::Avif];
        let markup = markup_with(
            &USUAL,
            &[("original", Format::Webp, avif), ("medium", Format::Jpeg, avif)],
        );
        assert!(!markup.srcset[&Format::Webp].contains("avif"));
        assert!(!markup.srcset[&Format::Jpeg].contains("avif"));
    }

    #[test]
    fn the_second_universal_format_does_not_push_the_first_aside() {
        let markup = markup_with(&[Format::Webp, Format::Jpeg, Format::Png], &[]);
        assert!(!markup.picture.contains("png"), "{}", markup.picture);
        assert!(markup.srcset.contains_key(&Format::Png));
    }

    #[test]
    fn nothing_to_show_is_no_markup() {
        let key = ObjectKey::new("k").unwrap();
        let urls = Urls {
            base: "",
            key: &key,
            version: None,
        };
        assert_eq!(markup(urls, &[], &Recipe::default()).picture, "");
    }
}
