use tintype_edge::Accept;
use tintype_model::{DeliveryPath, Format, PathError, Recipe, encode_path};

/// The result of the request function for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// A request to S3 for this path.
    Object {
        /// `/{key}/{variant}.{ext}`, percent-encoded.
        uri: String,
        /// The header `x-tintype-version`, on `/v/` paths.
        version: Option<String>,
        /// Formats to which the response function may send the client instead; `None` where the path names a format,
        /// and where the client takes no other one.
        offer: Option<Offer>,
    },
    /// 400: not percent-encoded UTF-8.
    BadEncoding,
    /// 404: the path names no rendition of this recipe.
    NotFound,
}

/// Formats besides the chosen one in which the client takes the variant, and the path that they belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The request's path, percent-encoded.
    pub path: String,
    /// Extensions that the client takes besides the chosen one, in the order of [`Format::ALL`], separated by commas.
    pub takes: String,
}

/// The value in place of every text that cannot be a version, so that they share one cache entry. It is no version
/// itself.
pub const UNKNOWN_VERSION: &str = "~";

/// The longest text that counts as a version; published ones have 32 hexadecimal digits.
const MAX_VERSION_BYTES: usize = 64;

/// The value of `x-tintype-version` for the version of a path: safe in a header and of bounded length.
#[must_use]
pub fn version_token(version: &str) -> &str {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=MAX_VERSION_BYTES).contains(&version.len()) && version.bytes().all(legal) {
        version
    } else {
        UNKNOWN_VERSION
    }
}

/// The result of the edge's own rules for a request whose image is ready in every format of the recipe.
#[must_use]
pub fn rewrite(raw_path: &str, accept: Option<&str>, recipe: &Recipe, held_back: &[Format]) -> Rewrite {
    let path = match DeliveryPath::parse(raw_path) {
        Ok(path) => path,
        Err(PathError::BadEncoding) => return Rewrite::BadEncoding,
        Err(PathError::NotFound) => return Rewrite::NotFound,
    };
    let Some(variant) = recipe.variant(&path.variant) else {
        return Rewrite::NotFound;
    };
    if path.key.check_servable(recipe).is_err() {
        return Rewrite::NotFound;
    }
    let version = path
        .version
        .as_deref()
        .map(|version| version_token(version).to_owned());
    let (format, offer) = match path.format {
        Some(format) if variant.formats.contains(&format) => (format, None),
        Some(_) => return Rewrite::NotFound,
        None => {
            let advertised =
                |format: &Format| variant.formats.contains(format) && !held_back.contains(format);
            let formats: Vec<Format> = Format::ALL.into_iter().filter(advertised).collect();
            let accept = Accept::parse(accept);
            let preferred = accept.preferred(&formats);
            let others: Vec<&str> = formats
                .iter()
                .filter(|format| **format != preferred && accept.takes(**format))
                .map(|format| format.extension())
                .collect();
            let negotiated = DeliveryPath {
                version: version.clone(),
                ..path.clone()
            };
            let offer = (!others.is_empty()).then(|| Offer {
                path: negotiated.to_path(),
                takes: others.join(","),
            });
            (preferred, offer)
        }
    };
    Rewrite::Object {
        uri: format!(
            "/{}/{}.{}",
            encode_path(path.key.as_str()),
            encode_path(&path.variant),
            format.extension()
        ),
        version,
        offer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_of_a_versions_form_stand_for_themselves() {
        let digits = "0123456789abcdef0123456789abcdef";
        for version in [digits, "a", "A_b-9", &"x".repeat(64)] {
            assert_eq!(version_token(version), version);
        }
        for version in ["", "a/b", "a b", "a\n", "é", "~", ".", "%", &"x".repeat(65)] {
            assert_eq!(version_token(version), UNKNOWN_VERSION, "{version:?}");
        }
    }

    #[test]
    fn a_format_held_back_is_served_only_by_name() {
        let recipe = Recipe::default();
        let object = |uri: &str, takes: Option<&str>| Rewrite::Object {
            uri: uri.to_owned(),
            version: None,
            offer: takes.map(|takes| Offer {
                path: "/img/a/medium".to_owned(),
                takes: takes.to_owned(),
            }),
        };
        let accept = Some("image/avif,image/webp");
        let held_back = [Format::Avif];
        assert_eq!(
            rewrite("/img/a/medium", accept, &recipe, &held_back),
            object("/a/medium.webp", None)
        );
        assert_eq!(
            rewrite("/img/a/medium.avif", accept, &recipe, &held_back),
            object("/a/medium.avif", None)
        );
        assert_eq!(
            rewrite("/img/a/medium", accept, &recipe, &[]),
            object("/a/medium.avif", Some("webp"))
        );
    }

    #[test]
    fn what_else_the_client_takes_goes_along() {
        let offer = |path: &str, accept| match rewrite(path, accept, &Recipe::default(), &[]) {
            Rewrite::Object { offer, .. } => offer.map(|Offer { path, takes }| (path, takes)),
            other => panic!("{other:?}"),
        };
        let told = |path: &str, takes: &str| Some((path.to_owned(), takes.to_owned()));
        let chrome = Some("image/avif,image/webp,image/apng,image/*,*/*;q=0.8");
        assert_eq!(
            offer("/img/a%2bb/medium", chrome),
            told("/img/a%2Bb/medium", "webp,jpg")
        );
        assert_eq!(
            offer("/v/a/0123/medium", chrome),
            told("/v/a/0123/medium", "webp,jpg")
        );
        assert_eq!(
            offer("/v/a/a%20b/medium", chrome),
            told("/v/a/~/medium", "webp,jpg")
        );
        assert_eq!(offer("/img/a/medium.avif", chrome), None);
        assert_eq!(offer("/img/a/medium", Some("*/*")), None);
        assert_eq!(offer("/img/a/medium", None), None);
    }

    #[test]
    fn the_shared_table_of_paths_holds() {
        let table = include_str!("../../../edge/tests/vectors/paths.tsv");
        let recipe = Recipe::default();
        for line in table.lines().filter(|line| !line.starts_with("# ")) {
            let [path, outcome, version] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line:?} has not three columns");
            };
            let expected = match outcome {
                "400" => Rewrite::BadEncoding,
                "404" => Rewrite::NotFound,
                uri => Rewrite::Object {
                    uri: uri.to_owned(),
                    version: (version != "-").then(|| version.to_owned()),
                    offer: None,
                },
            };
            assert_eq!(
                rewrite(path, Some("image/webp"), &recipe, &[]),
                expected,
                "{path}"
            );
        }
    }
}
