//! The CloudFront Functions: `deploy/functions/*.js` with the recipe filled in.
//!
//! The JavaScript repeats rules that the edge has in Rust. [`rewrite`] composes those rules, so that
//! the tests can hold every answer of the JavaScript to it.

mod rules;

use serde::Serialize;
use tintype_edge::{MAX_ACCEPT_BYTES, MAX_ACCEPT_LINES};
use tintype_http::ascii_json;
use tintype_model::{CachePolicy, Format, ObjectKey, Recipe};

pub use rules::{Offer, Rewrite, UNKNOWN_VERSION, rewrite, version_token};

/// The largest code that CloudFront allows a function to have, in bytes (quota "Maximum function size": 10 KB).
pub const MAX_BYTES: usize = 10_240;

/// One function, ready to be deployed for runtime `cloudfront-js-2.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The file name that the template has for it.
    pub file_name: &'static str,
    /// The code, ASCII, at most [`MAX_BYTES`].
    pub code: String,
}

/// The reason why a recipe cannot be put into the functions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// Too many variants, or names too long.
    #[error(
        "the recipe does not fit into CloudFront Function {file_name}: rendered it has {size} bytes of at most \
         {MAX_BYTES}; use fewer variants or shorter names"
    )]
    TooLarge {
        /// The function.
        file_name: &'static str,
        /// Bytes that it would have.
        size: usize,
    },
    /// The formats that are held back leave no format that every browser takes.
    #[error("variant {variant:?}: neither JPEG nor PNG is left to negotiate when {held_back} is held back")]
    NothingUniversal {
        /// The variant.
        variant: String,
        /// The formats held back, separated by commas.
        held_back: String,
    },
}

/// A file of `deploy/functions`, and the mark in it that is replaced.
struct Template {
    name: &'static str,
    text: &'static str,
    mark: &'static str,
}

const VIEWER_REQUEST: Template = Template {
    name: "viewer-request.js",
    text: include_str!("../../../../deploy/functions/viewer-request.js"),
    mark: "{/*recipe*/}",
};

const VIEWER_RESPONSE: Template = Template {
    name: "viewer-response.js",
    text: include_str!("../../../../deploy/functions/viewer-response.js"),
    mark: "{/*policy*/}",
};

/// The data that the request function is made with: limits, `Cache-Control` values and the variants of the recipe.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestTable<'a> {
    max_accept_bytes: usize,
    max_accept_lines: usize,
    max_key_bytes: usize,
    negative: &'static str,
    no_store: &'static str,
    variants: Vec<VariantTable<'a>>,
}

/// Extensions, in the order of preference of [`Format::ALL`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VariantTable<'a> {
    name: &'a str,
    negotiated: Vec<&'static str>,
    held_back: Vec<&'static str>,
}

/// The data that the response function of one behaviour is made with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseTable {
    max_accept_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    immutable: Option<&'static str>,
}

/// The functions for a recipe that is valid: of requests, of responses of `/img/*`, of responses of `/v/*`. Formats of
/// `held_back` are served under their explicit URLs and never chosen, until every image has them (delivery rule 10).
///
/// # Errors
/// [`FunctionError`], when a function would be too large or a variant would have nothing to negotiate.
pub fn render(recipe: &Recipe, held_back: &[Format]) -> Result<[Function; 3], FunctionError> {
    let mut variants = Vec::with_capacity(recipe.variants.len());
    for variant in &recipe.variants {
        let extensions = |held: bool| {
            Format::ALL
                .into_iter()
                .filter(|format| variant.formats.contains(format) && held_back.contains(format) == held)
                .map(Format::extension)
                .collect()
        };
        let table = VariantTable {
            name: &variant.name,
            negotiated: extensions(false),
            held_back: extensions(true),
        };
        let universal =
            |extension: &&str| Format::from_extension(extension).is_some_and(Format::is_universal);
        if !table.negotiated.iter().any(universal) {
            let names: Vec<&str> = held_back.iter().map(|format| format.name()).collect();
            return Err(FunctionError::NothingUniversal {
                variant: variant.name.clone(),
                held_back: names.join(", "),
            });
        }
        variants.push(table);
    }
    let request = RequestTable {
        max_accept_bytes: MAX_ACCEPT_BYTES,
        max_accept_lines: MAX_ACCEPT_LINES,
        max_key_bytes: ObjectKey::MAX_BYTES.saturating_sub(recipe.longest_rendition_suffix()),
        negative: CachePolicy::Negative.header_value(),
        no_store: CachePolicy::NoStore.header_value(),
        variants,
    };
    let image = ResponseTable {
        max_accept_bytes: MAX_ACCEPT_BYTES,
        immutable: None,
    };
    let versioned = ResponseTable {
        immutable: Some(CachePolicy::Immutable.header_value()),
        ..image
    };
    Ok([
        VIEWER_REQUEST.fill("viewer-request.js", &request, recipe)?,
        VIEWER_RESPONSE.fill("image-response.js", &image, recipe)?,
        VIEWER_RESPONSE.fill("versioned-response.js", &versioned, recipe)?,
    ])
}

impl Template {
    fn fill(
        &self,
        file_name: &'static str,
        table: &impl Serialize,
        recipe: &Recipe,
    ) -> Result<Function, FunctionError> {
        // In ASCII, so that nothing on the way can read it in another encoding.
        let table = ascii_json(table).expect("a table has only strings, numbers and lists");
        let statements: String = self
            .text
            .lines()
            .filter(|line| !line.is_empty() && !line.trim_start().starts_with("//"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let code = format!(
            "// Tintype {}: deploy/functions/{} rendered for recipe {}\n{}",
            env!("CARGO_PKG_VERSION"),
            self.name,
            recipe.hash(),
            statements.replacen(self.mark, &table, 1)
        );
        if code.len() > MAX_BYTES {
            return Err(FunctionError::TooLarge {
                file_name,
                size: code.len(),
            });
        }
        Ok(Function { file_name, code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_model::Variant;

    fn recipe(names: impl IntoIterator<Item = String>) -> Recipe {
        let mut recipe = Recipe::default();
        let variant = recipe.variants[0].clone();
        recipe.variants = names
            .into_iter()
            .map(|name| Variant {
                name,
                ..variant.clone()
            })
            .collect();
        recipe.validate().unwrap();
        recipe
    }

    #[test]
    fn the_marks_are_replaced_and_comments_are_left_out() {
        let [request, image, versioned] = render(&Recipe::default(), &[]).unwrap();
        assert!(
            request
                .code
                .contains(r#"{"name":"medium","negotiated":["avif","webp","jpg"],"heldBack":[]}"#)
        );
        assert!(request.code.contains(r#""maxKeyBytes":1009"#));
        assert!(versioned.code.contains("public, max-age=31536000, immutable"));
        assert!(!image.code.contains("max-age"));
        for function in [request, image, versioned] {
            let comments = function
                .code
                .lines()
                .filter(|line| line.trim_start().starts_with("//"));
            assert_eq!(comments.count(), 1, "{}", function.code);
            assert!(!function.code.contains("{/*"), "{}", function.code);
            assert!(function.code.is_ascii());
        }
        for template in [VIEWER_REQUEST, VIEWER_RESPONSE] {
            assert_eq!(template.text.matches(template.mark).count(), 1);
        }
    }

    #[test]
    fn what_is_held_back_is_listed_apart() {
        let [request, ..] = render(&Recipe::default(), &[Format::Avif]).unwrap();
        assert!(
            request
                .code
                .contains(r#""negotiated":["webp","jpg"],"heldBack":["avif"]"#)
        );
        let error = render(&Recipe::default(), &[Format::Avif, Format::Jpeg]).unwrap_err();
        assert!(
            error.to_string().contains(
                "\"original\": neither JPEG nor PNG is left to negotiate when avif, jpeg is held back"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_recipe_that_does_not_fit_is_refused_with_its_size() {
        let fits = recipe((0..60).map(|number| format!("v{number}")));
        assert!(render(&fits, &[]).is_ok());
        let too_large = recipe((0..120).map(|number| format!("variant-{number}")));
        let error = render(&too_large, &[]).unwrap_err();
        assert!(matches!(error, FunctionError::TooLarge { size, .. } if size > MAX_BYTES));
        assert!(error.to_string().contains("viewer-request.js"), "{error}");
    }

    #[test]
    fn names_cannot_break_out_of_their_string() {
        let hostile = recipe(["\"},0]};x(\"", "\u{2028}", "snail \u{1F40C}", "__proto__"].map(str::to_owned));
        let [request, ..] = render(&hostile, &[]).unwrap();
        assert!(
            request.code.contains(r#""name":"\"},0]};x(\"""#),
            "{}",
            request.code
        );
        assert!(request.code.contains(r#""name":"\u2028""#));
        assert!(request.code.contains(r#""name":"snail \ud83d\udc0c""#));
    }
}
