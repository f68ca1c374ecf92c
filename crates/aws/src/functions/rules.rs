use tintype_edge::negotiate;
use tintype_model::{DeliveryPath, Format, PathError, Recipe, encode_path};

/// What the request function does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// S3 is asked for this path.
    Object {
        /// `/{key}/{variant}.{ext}`, percent-encoded.
        uri: String,
        /// The header `x-tintype-version`, on `/v/` paths.
        version: Option<String>,
    },
    /// 400: not percent-encoded UTF-8.
    BadEncoding,
    /// 404: the path names no rendition of this recipe.
    NotFound,
}

/// Stands for every text that cannot be a version, so that they share one cache entry. No version is spelled so.
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

/// What the edge's own rules make of a request whose image is ready in every format of the recipe.
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
    let format = match path.format {
        Some(format) if variant.formats.contains(&format) => format,
        Some(_) => return Rewrite::NotFound,
        None => {
            let advertised = |format: &Format| !held_back.contains(format);
            let formats: Vec<Format> = variant.formats.iter().copied().filter(advertised).collect();
            negotiate(accept, &formats)
        }
    };
    Rewrite::Object {
        uri: format!(
            "/{}/{}.{}",
            encode_path(path.key.as_str()),
            encode_path(&path.variant),
            format.extension()
        ),
        version: path
            .version
            .as_deref()
            .map(|version| version_token(version).to_owned()),
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
        let object = |uri: &str| Rewrite::Object {
            uri: uri.to_owned(),
            version: None,
        };
        let accept = Some("image/avif,image/webp");
        let held_back = [Format::Avif];
        assert_eq!(
            rewrite("/img/a/medium", accept, &recipe, &held_back),
            object("/a/medium.webp")
        );
        assert_eq!(
            rewrite("/img/a/medium.avif", accept, &recipe, &held_back),
            object("/a/medium.avif")
        );
        assert_eq!(
            rewrite("/img/a/medium", accept, &recipe, &[]),
            object("/a/medium.avif")
        );
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
