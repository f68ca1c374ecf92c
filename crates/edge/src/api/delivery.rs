//! The means by which a page shows a picture: URLs, `srcset` and markup.

use std::collections::BTreeMap;

use serde::Serialize;
use tintype_model::{Format, ObjectKey, Recipe, Rendition, Version};
use utoipa::ToSchema;

use crate::markup::{Urls, markup};

/// URLs, `srcset` and markup that show a picture.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    /// URL of each variant, in the best format that a browser accepts: the newest, unless another one is smaller and no
    /// worse.
    negotiated: BTreeMap<String, String>,
    /// URL of each variant in each format.
    urls: BTreeMap<String, BTreeMap<String, String>>,
    /// `srcset` of the variants that keep the aspect, by the format that a browser has to take for it. An older format
    /// stands where it is smaller and no worse, and a format that is so nowhere better is absent.
    srcset: BTreeMap<String, String>,
    /// A `<picture>` element; `alt` and `sizes` are the page's to fill in.
    picture: String,
}

impl Delivery {
    pub(crate) fn new(
        base: &str,
        key: &ObjectKey,
        version: Option<&Version>,
        renditions: &[Rendition],
        recipe: &Recipe,
    ) -> Self {
        let urls = Urls { base, key, version };
        let mut negotiated = BTreeMap::new();
        let mut fixed: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for Rendition { variant, format, .. } in renditions {
            negotiated
                .entry(variant.clone())
                .or_insert_with(|| urls.of(variant, None));
            let of_variant = fixed.entry(variant.clone()).or_default();
            of_variant.insert(format.name().to_owned(), urls.of(variant, Some(*format)));
        }
        let markup = markup(urls, renditions, recipe);
        let named = |(format, srcset): (Format, String)| (format.name().to_owned(), srcset);
        Self {
            negotiated,
            urls: fixed,
            srcset: markup.srcset.into_iter().map(named).collect(),
            picture: markup.picture,
        }
    }
}
