//! The paths that CloudFront is asked to forget.
//!
//! Its guide ("What you need to know when invalidating paths") asks for three things. Only non-ASCII characters and
//! those that RFC 1738 calls unsafe are percent-encoded. A path has no `~`, encoded or not. And where a function
//! changes the URI of a viewer's request, as ours does, both URIs are invalidated; the guide does not say which of them
//! is compared.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tintype_model::{ObjectKey, encode_path};

/// The characters that are escaped in invalidation paths: RFC 1738 section 2.2, "Unsafe", and `?`, which would begin a
/// query.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'~');

/// The first parts of the URIs that renditions may be cached under: both of the viewers', and that of the rewritten
/// one.
const FAMILIES: [&str; 3] = ["/img/", "/v/", "/"];

/// The path of all cached objects.
pub(super) const EVERYTHING: &str = "/*";

/// The set of keys that, with a slash behind them, start with this text, which is decoded and has no `~`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope(String);

impl Scope {
    /// One key, and the keys below it. A key with a `~` cannot be named: its scope is all keys that begin with the text
    /// before it.
    pub(super) fn of(key: &ObjectKey) -> Self {
        let whole = format!("{}/", key.as_str());
        let end = whole.find('~').unwrap_or(whole.len());
        Self(whole[..end].to_owned())
    }

    pub(super) fn covers(&self, key: &ObjectKey) -> bool {
        match key.as_str().strip_prefix(self.0.as_str()) {
            Some(_) => true,
            None => self.0.strip_suffix('/') == Some(key.as_str()),
        }
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The length in bytes of their common beginning.
    pub(super) fn common(&self, other: &Self) -> usize {
        let same = self.0.bytes().zip(other.0.bytes()).take_while(|(a, b)| a == b);
        self.0.floor_char_boundary(same.count())
    }

    /// All keys that begin with the first `length` bytes of this.
    pub(super) fn widened(&self, length: usize) -> Self {
        Self(self.0[..length].to_owned())
    }

    /// All keys that begin with the part of this that no client escapes: letters, digits, `-`, `.`, `_` and `/`.
    pub(super) fn plain(&self) -> Self {
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "-._/".contains(character);
        let end = self.0.find(|character| !is_plain(character));
        self.widened(end.unwrap_or(self.0.len()))
    }

    /// The paths that cover every URI of these keys: three, or six where clients escape differently. The
    /// guide's spelling is the one that browsers send of hand-written links; the API and our Function escape more.
    pub(super) fn paths(&self) -> Vec<String> {
        if self.0.is_empty() {
            return vec![EVERYTHING.to_owned()];
        }
        let mut spellings = vec![
            utf8_percent_encode(&self.0, UNSAFE).to_string(),
            encode_path(&self.0),
        ];
        spellings.dedup();
        let of_family = |family| {
            spellings
                .iter()
                .map(move |spelling| format!("{family}{spelling}*"))
        };
        FAMILIES.into_iter().flat_map(of_family).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(key: &str) -> Scope {
        Scope::of(&ObjectKey::new(key).unwrap())
    }

    fn in_families(spellings: &[&str]) -> Vec<String> {
        let of_family = |family: &str| -> Vec<String> {
            spellings
                .iter()
                .map(|spelling| format!("{family}{spelling}*"))
                .collect()
        };
        [of_family("/img/"), of_family("/v/"), of_family("/")].concat()
    }

    #[test]
    fn only_what_the_guide_names_is_escaped_beside_the_spelling_of_the_api() {
        for (key, spellings) in [
            ("shop/photo.jpg", &["shop/photo.jpg/"][..]),
            ("a b/ü.jpg", &["a%20b/%C3%BC.jpg/"]),
            (
                "50%_#1[x]{y}|\\^`<>\"?.png",
                &["50%25_%231%5Bx%5D%7By%7D%7C%5C%5E%60%3C%3E%22%3F.png/"],
            ),
            ("photo (1).jpg", &["photo%20(1).jpg/", "photo%20%281%29.jpg/"]),
            (
                "a,b@c=d&e+f'g!h*:;$.jpg",
                &[
                    "a,b@c=d&e+f'g!h*:;$.jpg/",
                    "a%2Cb%40c%3Dd%26e%2Bf%27g%21h%2A%3A%3B%24.jpg/",
                ],
            ),
        ] {
            assert_eq!(scope(key).paths(), in_families(spellings), "{key}");
        }
    }

    #[test]
    fn no_path_has_a_tilde_in_any_spelling() {
        assert_eq!(scope("PHOTO~1.JPG").paths(), in_families(&["PHOTO"]));
        assert_eq!(scope("shop/~old/a.jpg").paths(), in_families(&["shop/"]));
        assert_eq!(scope("~a.jpg").paths(), ["/*"], "there is nothing before it");
    }

    #[test]
    fn a_path_fits_the_4000_characters_that_cloudfront_takes() {
        let longest = "ü".repeat(ObjectKey::MAX_BYTES / 2);
        for path in scope(&longest).paths() {
            assert!(path.len() <= 4000, "{}", path.len());
        }
    }

    #[test]
    fn a_scope_covers_its_key_and_the_keys_below_it_but_no_neighbour() {
        let covers = |key: &str| scope("a/b").covers(&ObjectKey::new(key).unwrap());
        assert!(covers("a/b") && covers("a/b/c"));
        assert!(!covers("a/bc") && !covers("a") && !covers("A/b"));
        let widened = scope("a/b").widened(1);
        assert!(widened.covers(&ObjectKey::new("apple").unwrap()));
    }

    #[test]
    fn what_two_have_in_common_ends_between_characters() {
        // Their second bytes differ.
        let (one, other) = (scope("aé"), scope("aè"));
        assert_eq!(one.common(&other), 1);
        assert_eq!(one.widened(1).paths(), in_families(&["a"]));
    }
}
