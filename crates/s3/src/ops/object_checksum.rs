//! The facts about checksums that the attributes of objects and uploads keep: their types, and the names under which
//! they are stored.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};
use tintype_store::Attributes;

use crate::checksum::{Algorithm, Kind};

// Keys of `Attributes::extra`.
const KIND: &str = "checksum-type";
/// The checksums of the parts, in order and separated by commas.
const PARTS: &str = "part-checksums";
const ALGORITHM: &str = "checksum-algorithm";
/// Present when the client chose the algorithm.
const CHOSEN: &str = "checksum-chosen";

/// The checksum of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectChecksum<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: Kind,
    /// The checksum in Base64, with the number of parts behind a dash when it is composite.
    pub(crate) value: &'a str,
    /// The checksums of the parts, separated by commas; `None` when it was uploaded in one piece.
    parts: Option<&'a str>,
}

impl<'a> ObjectChecksum<'a> {
    /// The checksum of an object that is written in one piece.
    pub(crate) const fn of_whole(algorithm: Algorithm, value: &'a str) -> Self {
        Self {
            algorithm,
            kind: Kind::FullObject,
            value,
            parts: None,
        }
    }

    /// The checksum in the attributes of an object; `None` when they have none that is known.
    pub(crate) fn of(attributes: &'a Attributes) -> Option<Self> {
        let (name, value) = attributes.checksums.iter().next()?;
        let text = |name: &str| attributes.extra.get(name).map(String::as_str);
        Some(Self {
            algorithm: Algorithm::from_name(name)?,
            kind: text(KIND).and_then(Kind::from_name).unwrap_or(Kind::FullObject),
            value,
            parts: text(PARTS),
        })
    }

    /// The checksum of the part at this place, counted from 0.
    pub(crate) fn part(&self, index: usize) -> Option<&'a str> {
        self.parts?.split(',').nth(index)
    }

    /// Stores it in the attributes of an object in place of any other.
    pub(crate) fn keep_in(&self, attributes: &mut Attributes) {
        attributes.checksums = BTreeMap::from([(self.algorithm.name().to_owned(), self.value.to_owned())]);
        let extra = &mut attributes.extra;
        extra.insert(KIND.to_owned(), self.kind.name().to_owned());
        if let Some(parts) = self.parts {
            extra.insert(PARTS.to_owned(), parts.to_owned());
        }
    }

    /// Its headers, with `value` in place of the checksum of the whole.
    pub(crate) fn headers(&self, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(self.algorithm.header(), value);
            headers.insert("x-amz-checksum-type", HeaderValue::from_static(self.kind.name()));
        }
        headers
    }
}

/// The algorithm and kind of checksum of a multipart upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UploadChecksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: Kind,
    /// `true` when the client chose the algorithm.
    pub(crate) is_chosen: bool,
}

impl UploadChecksum {
    /// The algorithm and kind in the attributes of an upload.
    pub(crate) fn of(attributes: &Attributes) -> Self {
        let text = |name: &str| attributes.extra.get(name).map(String::as_str);
        let algorithm = text(ALGORITHM)
            .and_then(Algorithm::from_name)
            .unwrap_or(Algorithm::DEFAULT);
        let kind = text(KIND).and_then(Kind::from_name);
        Self {
            algorithm,
            kind: kind.unwrap_or_else(|| algorithm.default_kind()),
            is_chosen: text(CHOSEN).is_some(),
        }
    }

    /// Stores them in the attributes of an upload.
    pub(crate) fn keep_in(&self, attributes: &mut Attributes) {
        let extra = &mut attributes.extra;
        extra.insert(ALGORITHM.to_owned(), self.algorithm.name().to_owned());
        extra.insert(KIND.to_owned(), self.kind.name().to_owned());
        if self.is_chosen {
            extra.insert(CHOSEN.to_owned(), "yes".to_owned());
        }
    }

    /// The attributes that an upload's object gets: its checksum and those of its parts.
    pub(crate) fn completed<'a>(&self, value: &str, parts: impl Iterator<Item = &'a str>) -> Attributes {
        let parts: Vec<&str> = parts.collect();
        let mut attributes = Attributes::default();
        ObjectChecksum {
            algorithm: self.algorithm,
            kind: self.kind,
            value,
            parts: Some(&parts.join(",")),
        }
        .keep_in(&mut attributes);
        attributes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(attributes: &Attributes) -> serde_json::Value {
        serde_json::to_value(attributes).unwrap()
    }

    #[test]
    fn stored_names_stay_as_they_are() {
        let mut whole = Attributes::default();
        let checksum = ObjectChecksum::of_whole(Algorithm::Crc32, "AAAAAA==");
        checksum.keep_in(&mut whole);
        let expected = serde_json::json!({
            "checksums": { "CRC32": "AAAAAA==" },
            "extra": { "checksum-type": "FULL_OBJECT" },
        });
        assert_eq!(json(&whole), expected);
        assert_eq!(ObjectChecksum::of(&whole), Some(checksum));

        let mut upload = Attributes::default();
        let chosen = UploadChecksum {
            algorithm: Algorithm::Sha256,
            kind: Kind::Composite,
            is_chosen: true,
        };
        chosen.keep_in(&mut upload);
        let expected = serde_json::json!({ "extra": {
            "checksum-algorithm": "SHA256", "checksum-type": "COMPOSITE", "checksum-chosen": "yes",
        } });
        assert_eq!(json(&upload), expected);
        assert_eq!(UploadChecksum::of(&upload), chosen);
        let completed = chosen.completed("x-2", ["a", "b"].into_iter());
        let expected = serde_json::json!({
            "checksums": { "SHA256": "x-2" },
            "extra": { "checksum-type": "COMPOSITE", "part-checksums": "a,b" },
        });
        assert_eq!(json(&completed), expected);
        let read = ObjectChecksum::of(&completed).unwrap();
        assert_eq!(
            (read.kind, read.part(1), read.part(2)),
            (Kind::Composite, Some("b"), None)
        );
    }

    #[test]
    fn attributes_without_checksums_have_the_defaults() {
        let none = Attributes::default();
        assert_eq!(ObjectChecksum::of(&none), None);
        let default = UploadChecksum {
            algorithm: Algorithm::DEFAULT,
            kind: Kind::FullObject,
            is_chosen: false,
        };
        assert_eq!(UploadChecksum::of(&none), default);
    }
}
