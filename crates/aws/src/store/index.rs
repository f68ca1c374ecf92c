//! Listings out of the index, in byte order of the keys: of the records by status, a merge of the index's shards, and
//! of the keys whose sources have one digest.

use std::collections::{HashMap, VecDeque};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tintype_model::{ObjectKey, RecordFilter, Result, Status, StatusKind};

use super::{CallError, within_key_limit};

/// Name of the index: hash key [`SHARD`], range key [`KEY`], keys only.
pub(super) const INDEX: &str = "by_status";
pub(super) const SHARD: &str = "status_shard";
pub(super) const KEY: &str = "key";
/// The statuses of the records that are counted, and that listings show when no status is asked for.
pub(super) const SHOWN: [StatusKind; 4] = [
    StatusKind::Pending,
    StatusKind::Ready,
    StatusKind::Rejected,
    StatusKind::Failed,
];
/// The number of parts that each status is divided into: DynamoDB limits the writes to one value of an index's hash
/// key.
const SHARDS: u8 = 8;
/// The number of queries that run at once.
pub(super) const CONCURRENCY: usize = 8;

type Item = HashMap<String, AttributeValue>;

/// The value of [`SHARD`] for a record.
pub(super) fn shard_of(status: &Status, key: &ObjectKey) -> String {
    let shard = Sha256::digest(key.as_str())[0] % SHARDS;
    format!("{}#{shard}", status.name())
}

/// The value of [`SHARD`] in the entry of a key whose source has the digest.
pub(super) fn shard_of_digest(sha256: &str) -> String {
    format!("sha256#{sha256}")
}

pub(super) fn shards(status: StatusKind) -> impl Iterator<Item = String> {
    (0..SHARDS).map(move |shard| format!("{status}#{shard}"))
}

/// The keys that a query asks the index for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Keys {
    All,
    With { prefix: String },
    After { after: String },
    Between { first: String, last: String },
}

impl Keys {
    /// The keys with the prefix that come after `after`, perhaps with `after` itself; `None` when there can be none.
    fn new(prefix: &str, after: Option<&str>) -> Option<Self> {
        if prefix.len() > ObjectKey::MAX_BYTES {
            return None;
        }
        let after = after.filter(|after| *after >= prefix && !after.is_empty());
        match (
            prefix,
            after.map(|after| (after, within_key_limit(after).to_owned())),
        ) {
            ("", None) => Some(Self::All),
            ("", Some((_, after))) => Some(Self::After { after }),
            (prefix, None) => Some(Self::With {
                prefix: prefix.to_owned(),
            }),
            // A condition takes one comparison only, so the prefix becomes an upper bound.
            (prefix, Some((after, first))) => (after.starts_with(prefix) && first.len() >= prefix.len())
                .then(|| Self::Between {
                    first,
                    last: last_key(prefix),
                }),
        }
    }

    pub(super) fn query(
        &self,
        client: &Client,
        table: &str,
        shard: String,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        // `key` is a reserved word.
        let query = client
            .query()
            .table_name(table)
            .index_name(INDEX)
            .expression_attribute_names("#shard", SHARD)
            .expression_attribute_values(":shard", AttributeValue::S(shard));
        let condition = |rest: &str| format!("#shard = :shard{rest}");
        let text = |text: &str| AttributeValue::S(text.to_owned());
        match self {
            Self::All => query.key_condition_expression(condition("")),
            Self::With { prefix } => query
                .key_condition_expression(condition(" AND begins_with(#key, :prefix)"))
                .expression_attribute_names("#key", KEY)
                .expression_attribute_values(":prefix", text(prefix)),
            Self::After { after } => query
                .key_condition_expression(condition(" AND #key > :after"))
                .expression_attribute_names("#key", KEY)
                .expression_attribute_values(":after", text(after)),
            Self::Between { first, last } => query
                .key_condition_expression(condition(" AND #key BETWEEN :first AND :last"))
                .expression_attribute_names("#key", KEY)
                .expression_attribute_values(":first", text(first))
                .expression_attribute_values(":last", text(last)),
        }
    }
}

/// The greatest key with the prefix: filled up to the longest that a key can be with the greatest character that fits.
fn last_key(prefix: &str) -> String {
    let mut key = prefix.to_owned();
    for character in ['\u{10FFFF}', '\u{FFFF}', '\u{7FF}', '\u{7F}'] {
        while key.len() + character.len_utf8() <= ObjectKey::MAX_BYTES {
            key.push(character);
        }
    }
    key
}

/// Keys out of the index in byte order, read as they are needed.
pub(super) struct Merge<'a> {
    client: &'a Client,
    table: &'a str,
    keys: Keys,
    after: Option<String>,
    page: i32,
    sources: Vec<Source>,
}

struct Source {
    shard: String,
    read: VecDeque<String>,
    rest: Rest,
}

enum Rest {
    All,
    From(Item),
    Nothing,
}

impl<'a> Merge<'a> {
    /// Keys of records that `filter` may show, after `after`, for a caller that will read about `limit` of them. Of a
    /// digest these are the keys of every status.
    pub(super) fn new(
        client: &'a Client,
        table: &'a str,
        filter: &RecordFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Option<Self> {
        let (shards, page) = match &filter.sha256 {
            Some(sha256) => (vec![shard_of_digest(sha256)], limit),
            None => Self::shards(filter.status, limit),
        };
        let sources = shards.into_iter().map(|shard| Source {
            shard,
            read: VecDeque::new(),
            rest: Rest::All,
        });
        Some(Self {
            client,
            table,
            keys: Keys::new(&filter.prefix, after)?,
            after: after.map(str::to_owned),
            // A query is charged for at least 4 KB, which is several dozen entries, so that a few in reserve cost
            // nothing.
            page: i32::try_from(page + 4).unwrap_or(i32::MAX),
            sources: sources.collect(),
        })
    }

    /// The shards of a status, or of all but tombstones for `None`, and the number of keys to ask each of them for.
    fn shards(status: Option<StatusKind>, limit: usize) -> (Vec<String>, usize) {
        let statuses = status.map_or_else(|| SHOWN.to_vec(), |status| vec![status]);
        // Keys spread evenly over the shards of a status.
        (
            statuses.into_iter().flat_map(shards).collect(),
            limit / usize::from(SHARDS),
        )
    }

    /// The next keys, at most `count`; empty only at the end.
    pub(super) async fn next(&mut self, count: usize) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        while keys.len() < count {
            self.refill().await?;
            let Some(key) = self
                .sources
                .iter()
                .filter_map(|source| source.read.front())
                .min()
                .cloned()
            else {
                break;
            };
            // While a record changes its status the index may show it under both.
            for source in &mut self.sources {
                source.read.pop_front_if(|other| *other == key);
            }
            if self.after.as_ref().is_none_or(|after| key > *after) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// Reads more from each shard whose next key is not known.
    async fn refill(&mut self) -> Result<()> {
        let (client, table, keys, page) = (self.client, self.table, &self.keys, self.page);
        let mut queries = Vec::new();
        for source in &mut self.sources {
            if source.read.is_empty() {
                queries.push(source.refill(client, table, keys, page));
            }
        }
        stream::iter(queries)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }
}

impl Source {
    async fn refill(&mut self, client: &Client, table: &str, keys: &Keys, page: i32) -> Result<()> {
        while self.read.is_empty() {
            let start = match std::mem::replace(&mut self.rest, Rest::Nothing) {
                Rest::All => None,
                Rest::From(start) => Some(start),
                Rest::Nothing => return Ok(()),
            };
            let output = keys
                .query(client, table, self.shard.clone())
                .limit(page)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| CallError::new("dynamodb:Query", error))?;
            for item in output.items.unwrap_or_default() {
                if let Some(AttributeValue::S(key)) = item.get(KEY) {
                    self.read.push_back(key.clone());
                }
            }
            self.rest = output.last_evaluated_key.map_or(Rest::Nothing, Rest::From);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_status_is_listed_or_a_tombstone() {
        for status in StatusKind::ALL {
            assert!(
                status == StatusKind::Deleted || SHOWN.contains(&status),
                "{status}"
            );
        }
    }

    fn matches(keys: Option<&Keys>, key: &str) -> bool {
        keys.is_some_and(|keys| match keys {
            Keys::All => true,
            Keys::With { prefix } => key.starts_with(prefix),
            Keys::After { after } => key > after.as_str(),
            Keys::Between { first, last } => first <= last && first.as_str() <= key && key <= last.as_str(),
        })
    }

    #[test]
    fn bounds_are_kept_at_the_limit_of_a_key() {
        let longest = "k".repeat(1024);
        for prefix in ["k", &longest, &"k".repeat(1022), &"\u{10FFFF}".repeat(256)] {
            assert!(last_key(prefix).len() <= 1024);
            assert!(last_key(prefix).as_str() >= prefix);
        }
        assert!(matches(Keys::new(&longest, None).as_ref(), &longest));
        assert_eq!(Keys::new(&format!("{longest}k"), None), None);
        let beyond = format!("{longest}k");
        assert_eq!(
            Keys::new(&longest, Some(&format!("{beyond}k"))).map(|_| ()),
            Some(())
        );
        assert_eq!(Keys::new("a", Some("b")), None);
        assert_eq!(Keys::new("", Some("")), Some(Keys::All));
    }

    proptest! {
        #[test]
        fn a_query_covers_what_is_asked_for(
            prefix in "[ab\u{7f}\u{ffff}\u{10ffff}]{0,3}",
            after in proptest::option::of("[ab\u{7f}\u{ffff}\u{10ffff}]{0,4}"),
            key in "[ab\u{7f}\u{ffff}\u{10ffff}]{1,5}",
        ) {
            let keys = Keys::new(&prefix, after.as_deref());
            let asked = key.starts_with(&prefix) && after.as_ref().is_none_or(|after| key > *after);
            let found = matches(keys.as_ref(), &key) && after.as_ref().is_none_or(|after| key > *after);
            prop_assert_eq!(found, asked);
        }
    }
}
