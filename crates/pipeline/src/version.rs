use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tintype_model::{Focus, Version};

/// The installation's secret, which makes versions unguessable.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Any bytes; at least 16 random ones.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// HMAC-SHA-256 over everything that decides how the renditions look, cut to 128 bits. `focus` is given only where
    /// it moves a crop.
    pub(crate) fn version(
        &self,
        source_sha256: &str,
        recipe: &str,
        engine: &str,
        focus: Option<Focus>,
    ) -> Version {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        let focus = focus.map(|Focus { x, y }| format!("{x},{y}"));
        for part in [source_sha256, recipe, engine]
            .into_iter()
            .chain(focus.as_deref())
        {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Version(hex::encode(&mac.finalize().into_bytes()[..16]))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_follows_each_of_its_parts_and_where_they_end() {
        let secret = Secret::new(*b"0123456789abcdef");
        let version = secret.version("aa", "bb", "cc", None);
        assert_eq!(version.0.len(), 32);
        assert_eq!(version, secret.version("aa", "bb", "cc", None));
        for other in [
            secret.version("ab", "bb", "cc", None),
            secret.version("aa", "bc", "cc", None),
            secret.version("aa", "bb", "cd", None),
            secret.version("aab", "b", "cc", None),
            secret.version("aa", "bb", "cc", Some(Focus { x: 1, y: 2 })),
            Secret::new(*b"another secret..").version("aa", "bb", "cc", None),
        ] {
            assert_ne!(version, other);
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new(*b"hush")), "Secret(..)");
    }
}
