//! The items that list the keys whose sources have a digest.
//!
//! An item is written before the record that it is about, so that no record is without one, and is removed when the
//! key's source no longer has that digest. An item that an interrupted put leaves is ignored when the record is read.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use tintype_model::{Record, Result};

use super::CallError;
use super::error::is_refusal;
use super::index::{self, KEY, SHARD};
use super::metadata::{ORDER, PK};

/// The item of a digest to remove, by its order compared with that of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// An older item, of the record that was replaced.
    Older,
    /// The item of the record itself, which was refused.
    Own,
}

/// Lower-case hexadecimal SHA-256 of a record's source.
pub(super) fn digest(record: &Record) -> Option<&str> {
    record.source.as_ref()?.sha256.as_deref()
}

fn pk(sha256: &str, record: &Record) -> AttributeValue {
    AttributeValue::S(format!("sha256#{sha256}#{}", record.key))
}

fn order(record: &Record) -> AttributeValue {
    AttributeValue::S(record.order.to_string())
}

/// Notes that the record's source has the digest, unless something newer is noted.
pub(super) async fn note(client: &Client, table: &str, sha256: &str, record: &Record) -> Result<()> {
    let answer = client
        .put_item()
        .table_name(table)
        .item(PK, pk(sha256, record))
        .item(ORDER, order(record))
        .item(KEY, AttributeValue::S(record.key.as_str().to_owned()))
        .item(SHARD, AttributeValue::S(index::shard_of_digest(sha256)))
        .condition_expression("attribute_not_exists(#pk) OR #order < :order")
        .expression_attribute_names("#pk", PK)
        .expression_attribute_names("#order", ORDER)
        .expression_attribute_values(":order", order(record))
        .send()
        .await;
    match answer {
        Err(error) if !is_refusal(&error) => Err(CallError::new("dynamodb:PutItem", error).into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Removes the item of the digest for the record's key, if it is the one to remove.
pub(super) async fn take_back(
    client: &Client,
    table: &str,
    sha256: &str,
    record: &Record,
    stale: Stale,
) -> Result<()> {
    let condition = match stale {
        Stale::Older => "#order < :order",
        Stale::Own => "#order = :order",
    };
    let answer = client
        .delete_item()
        .table_name(table)
        .key(PK, pk(sha256, record))
        .condition_expression(condition)
        .expression_attribute_names("#order", ORDER)
        .expression_attribute_values(":order", order(record))
        .send()
        .await;
    match answer {
        Err(error) if !is_refusal(&error) => Err(CallError::new("dynamodb:DeleteItem", error).into()),
        Ok(_) | Err(_) => Ok(()),
    }
}
