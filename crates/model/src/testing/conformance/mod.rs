//! Conformance suites for implementations of the ports. Each suite wants an empty store and panics on the first breach.

mod dead;
mod metadata;
mod object;
mod queue;

use crate::{
    Appearance, Capture, Dimensions, Encoding, Failure, Format, ImageInfo, Location, ObjectKey, Order,
    Record, Rejection, RejectionCode, Rendition, Rgb, Sequencer, SourceInfo, Status, Tiles, UnixMillis,
    Version,
};

pub use dead::dead_letters;
pub use metadata::metadata_store;
pub use object::object_store;
pub use queue::job_queue;

/// Legal keys that file systems, URLs or XML would spoil. All are different objects.
#[must_use]
pub fn nasty_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "plain.jpg",
        "a",
        "a/",
        "a/b",
        "a//b",
        "a///b",
        "/a",
        "//",
        ".",
        "..",
        "../a",
        "../../etc/passwd",
        "a/../b",
        "a/./b",
        "a/..",
        "..a",
        "a..",
        "a.",
        " ",
        " leading",
        "trailing ",
        "two  spaces",
        "a+b",
        "a b",
        "a%20b",
        "a%2Bb",
        "a%2520b",
        "%",
        "%25",
        "%00",
        "..%2f..%2f",
        "a?b=c",
        "a#b",
        "a&b;c=d",
        "a\\b",
        "C:\\con",
        "quote\"s'",
        "<xml>&amp;",
        "*",
        "~user",
        "-rf",
        "a:b",
        "a|b",
        "new\nline",
        "carriage\rreturn",
        "tab\tkey",
        "\u{1}\u{1f}\u{7f}",
        "caf\u{e9}",
        "cafe\u{301}",
        "Case.JPG",
        "case.jpg",
        "CASE.jpg",
        "Stra\u{df}e",
        "strasse",
        "\u{1F40C}\u{200D}\u{1F308}",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        "\u{202e}gpj.exe",
        "\u{feff}bom",
        "\u{10FFFF}",
        "prefix",
        "prefix/medium.avif",
        "prefix/medium.avif/medium.avif",
        "soap",
        "nul",
        "tintype.db",
        "../tintype.db",
    ]
    .map(str::to_owned)
    .to_vec();
    keys.push("k".repeat(1024));
    keys.push("\u{e9}".repeat(512));
    keys.push(format!("{}/x", "d/".repeat(511)));
    keys
}

/// An order for tests: the `sequencer`-th write and its `revision`.
#[must_use]
pub fn order(sequencer: u64, revision: u32) -> Order {
    Order {
        sequencer: Sequencer::from_counter(sequencer),
        revision,
    }
}

/// A record of that key, order and status.
///
/// # Panics
/// When `key` is not a key.
#[must_use]
pub fn record(key: &str, order: Order, status: Status) -> Record {
    Record {
        key: ObjectKey::new(key).expect("key"),
        order,
        status,
        updated_at: UnixMillis(1_700_000_000_000),
        source: Some(SourceInfo {
            etag: "source".to_owned(),
            size_bytes: 1000,
            sha256: Some("ab".repeat(32)),
        }),
        attempt: None,
    }
}

/// A published status with one rendition that lies at `object_key`. It has every fact that a record can have, and is
/// written without defaults, so that what is new to records is new to every store's tests.
#[must_use]
pub fn ready(version: &str, object_key: &str) -> Status {
    Status::Ready {
        version: Version(version.to_owned()),
        recipe: "recipe".to_owned(),
        engine: "engine/1".to_owned(),
        image: ImageInfo {
            format: "jpeg".to_owned(),
            dimensions: Dimensions {
                width: 4000,
                height: 3000,
            },
            orientation: 6,
            has_alpha: true,
            frames: 3,
            duration_ms: Some(220),
            bit_depth: 8,
            color_space: "icc".to_owned(),
            icc_description: Some("Display P3".to_owned()),
            has_gain_map: true,
            is_truncated: true,
            capture: Some(Capture {
                taken_at: Some("2026-11-25T18:27:58+01:00".to_owned()),
                make: Some("Tintype".to_owned()),
                model: Some("Model T".to_owned()),
                lens: Some("Petzval 85 mm".to_owned()),
                location: Some(Location {
                    latitude: 51.477_811,
                    longitude: -0.001_475,
                }),
            }),
            appearance: Some(Appearance {
                thumbhash: "1QcSHQRnh493V4dIh4eXh1h4kJUI".to_owned(),
                blurhash: "LNAdAqj[00aymkj[TKay9}ay-Sj[".to_owned(),
                dominant_color: Rgb([1, 2, 3]),
                palette: vec![Rgb([1, 2, 3]), Rgb([250, 0, 9])],
                perceptual_hash: "c3a51e70f08b2d96".to_owned(),
            }),
        },
        renditions: vec![Rendition {
            variant: "medium".to_owned(),
            format: Format::Jpeg,
            dimensions: Dimensions {
                width: 800,
                height: 600,
            },
            size_bytes: 5,
            etag: "0123456789abcdef".to_owned(),
            object_key: object_key.to_owned(),
            encoding: Encoding {
                quality: Some(61),
                score: Some(70.42),
                is_lossless: true,
                frames: Some(3),
                larger_because: Some("it scores 70.4 against 64.0".to_owned()),
                tiles: Some(Tiles::Refused),
            },
            stand_ins: vec![Format::Png],
        }],
    }
}

/// A failed status.
#[must_use]
pub fn failed() -> Status {
    Status::Failed {
        failure: Failure {
            error: "store is unavailable".to_owned(),
            attempts: 5,
        },
    }
}

/// A rejected status.
#[must_use]
pub fn rejected() -> Status {
    Status::Rejected {
        rejection: Rejection::new(RejectionCode::CorruptImage, "no end of image"),
    }
}
