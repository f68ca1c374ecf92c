//! The size of the largest record that a recipe can lead to, against the largest item that DynamoDB takes.

use tintype_model::{
    Dimensions, Encoding, Format, ImageInfo, ObjectKey, Order, Recipe, Record, Rendition, Sequencer,
    SourceInfo, Status, Tiles, UnixMillis, Version,
};

use super::metadata::item_of;
use aws_sdk_dynamodb::types::AttributeValue;

/// The largest item that DynamoDB takes, in bytes.
const MAX_ITEM_BYTES: usize = 400 << 10;
/// Room for the parts that do not grow with the recipe: facts of the image (some 3 KB at most), and an attempt with its
/// error.
const RESERVE_BYTES: usize = 16 << 10;
/// The longest reason that the engine gives for a file's size, in bytes of ASCII; real ones have less than 100.
const REASON_BYTES: usize = 120;

/// A recipe whose renditions do not fit into a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the recipe makes {renditions} renditions of an image; with the longest key that it can have, its record has up to \
     {bytes} bytes, and DynamoDB takes {MAX_ITEM_BYTES}: use fewer variants or formats"
)]
pub struct RecordTooLarge {
    /// Renditions of one image.
    pub renditions: usize,
    /// Bytes of the largest record.
    pub bytes: usize,
}

/// Refuses a recipe that could make a record which is too large for DynamoDB: at the time of publication this would be
/// an error that no retry repairs.
///
/// # Errors
/// [`RecordTooLarge`].
///
/// # Panics
/// Never: a record has string keys only.
pub fn check_records_fit(recipe: &Recipe) -> Result<(), RecordTooLarge> {
    let record = largest_record(recipe);
    let item = item_of(&record, None).expect("a record is written as JSON");
    let bytes = item
        .iter()
        .map(|(name, value)| name.len() + size(value))
        .sum::<usize>()
        + RESERVE_BYTES;
    if bytes <= MAX_ITEM_BYTES {
        return Ok(());
    }
    Err(RecordTooLarge {
        renditions: recipe.variants.iter().map(|variant| variant.formats.len()).sum(),
        bytes,
    })
}

/// The bytes of an attribute's value, by the rules of "DynamoDB item sizes and formats".
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::Bool(_) => 1,
        // No record has another kind; a number has 21 at most.
        _ => 21,
    }
}

/// A record that is as large as the recipe can make one, but for the image's own facts.
fn largest_record(recipe: &Recipe) -> Record {
    // The longest key that is rendered, of characters that JSON writes as two each.
    let longest = ObjectKey::MAX_BYTES.saturating_sub(recipe.longest_rendition_suffix());
    let key = "\"".repeat(longest.max(1));
    let renditions = recipe.variants.iter().flat_map(|variant| {
        variant.formats.iter().map(|format| Rendition {
            variant: variant.name.clone(),
            format: *format,
            dimensions: Dimensions {
                width: u32::MAX,
                height: u32::MAX,
            },
            size_bytes: u64::MAX,
            etag: "f".repeat(64),
            object_key: format!("{key}/{}.{}", variant.name, format.extension()),
            encoding: Encoding {
                quality: Some(100),
                score: Some(-999.999_94),
                is_lossless: true,
                frames: Some(u32::MAX),
                larger_because: Some("x".repeat(REASON_BYTES)),
                tiles: Some(Tiles::Refused),
            },
            stand_ins: Format::ALL.to_vec(),
        })
    });
    Record {
        status: Status::Ready {
            version: Version("f".repeat(32)),
            recipe: "f".repeat(64),
            engine: "x".repeat(128),
            image: ImageInfo::default(),
            renditions: renditions.collect(),
        },
        // A key of that length is valid.
        key: ObjectKey::new(key).unwrap_or_else(|error| unreachable!("{error}")),
        order: Order::of_event(Sequencer::from_counter(u64::MAX)),
        updated_at: UnixMillis(u64::MAX),
        source: Some(SourceInfo {
            etag: "f".repeat(64),
            size_bytes: u64::MAX,
            sha256: Some("f".repeat(64)),
        }),
        attempt: None,
    }
}

#[cfg(test)]
mod tests {
    use tintype_model::Variant;

    use super::*;

    fn recipe(variants: usize, formats: &[Format]) -> Recipe {
        let first = Recipe::default().variants.remove(0);
        let variant = |number| Variant {
            name: format!("variant-{number}"),
            formats: formats.to_vec(),
            ..first.clone()
        };
        Recipe {
            variants: (0..variants).map(variant).collect(),
            ..Recipe::default()
        }
    }

    #[test]
    fn recipes_whose_records_fit_pass_and_the_first_one_that_does_not_is_refused() {
        assert_eq!(check_records_fit(&Recipe::default()), Ok(()));
        let four = [Format::Jxl, Format::Avif, Format::Webp, Format::Jpeg];
        let refused = (1..200).find(|&variants| check_records_fit(&recipe(variants, &four)).is_err());
        let refused = refused.expect("some number of variants is too many");
        // By hand: 280 renditions with a key of 2 KB each are more than 400 KB, 100 of them are not.
        assert!((25..70).contains(&refused), "{refused}");
        let error = check_records_fit(&recipe(70, &four)).unwrap_err();
        assert_eq!(error.renditions, 280);
        assert!(error.bytes > MAX_ITEM_BYTES && error.to_string().contains("use fewer variants or formats"));
    }

    #[test]
    fn the_largest_record_is_as_large_as_its_parts() {
        let recipe = recipe(10, &[Format::Avif, Format::Jpeg]);
        let record = largest_record(&recipe);
        assert!(record.key.check_servable(&recipe).is_ok());
        let json = serde_json::to_string(&record).unwrap();
        // 20 object keys and the record's own, every character of which is escaped.
        assert!(json.len() > 21 * 2 * record.key.as_str().len());
        let Status::Ready { renditions, .. } = &record.status else {
            panic!()
        };
        assert!(
            renditions
                .iter()
                .all(|rendition| rendition.object_key.len() <= ObjectKey::MAX_BYTES)
        );
    }
}
