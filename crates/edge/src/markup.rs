//! URLs of renditions, and the HTML that lets a browser choose among them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tintype_model::{DeliveryPath, Fit, Format, ObjectKey, Recipe, Rendition, Version};

use crate::html::Escaped;

/// The widest picture that browsers without `srcset` get, in pixels, if there is one that small.
const FALLBACK_WIDTH: u32 = 1280;

/// Spells the URLs of one picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Urls<'a> {
    /// This server, without a slash at the end; empty for paths.
    pub base: &'a str,
    pub key: &'a ObjectKey,
    /// With a version the URLs are under `/v/`, otherwise under `/img/`.
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

/// What to put into a page.
#[derive(Debug)]
pub(crate) struct Markup {
    /// `srcset` with width descriptors, by format.
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
    let srcset = by_format
        .iter()
        .map(|(format, renditions)| (*format, srcset(urls, renditions)))
        .collect();
    let picture = picture(urls, &by_format, &srcset);
    Markup { srcset, picture }
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

fn picture(
    urls: Urls<'_>,
    by_format: &BTreeMap<Format, Vec<&Rendition>>,
    srcset: &BTreeMap<Format, String>,
) -> String {
    let universal = by_format.iter().find(|(format, _)| format.is_universal());
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
    let mut html = String::from("<picture>\n");
    for (format, srcset) in srcset.iter().filter(|(format, _)| *format != universal) {
        let (kind, srcset) = (format.media_type(), Escaped(srcset));
        let line = writeln!(
            html,
            "  <source type=\"{kind}\" srcset=\"{srcset}\" sizes=\"100vw\">"
        );
        line.expect("writing to a string cannot fail");
    }
    let src = urls.of(&fallback.variant, Some(fallback.format));
    let srcset = srcset.get(universal).map_or("", String::as_str);
    let (width, height) = (fallback.dimensions.width, fallback.dimensions.height);
    let line = write!(
        html,
        "  <img src=\"{}\" srcset=\"{}\" sizes=\"100vw\" width=\"{width}\" height=\"{height}\" alt=\"\" loading=\"lazy\">\n</picture>",
        Escaped(&src),
        Escaped(srcset),
    );
    line.expect("writing to a string cannot fail");
    html
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
