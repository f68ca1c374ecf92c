use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use tintype_model::{
    MetadataStore, ObjectKey, Order, Page, PutRecord, Record, RecordFilter, Result, Status, StatusCounts,
    StoreError, Succession,
};

use super::count::Counted;
use super::digest::{self, Stale, digest};
use super::error::is_refusal;
use super::index::{self, KEY, Merge, SHARD};
use super::{CallError, ItemError};

/// Hash key of the table.
pub(super) const PK: &str = "pk";
/// [`Record::newest_order`] as text of a fixed width, so that comparing strings compares orders.
pub(super) const ORDER: &str = "order";
/// [`Record::is_provisional`].
const PROVISIONAL: &str = "provisional";
/// The record as `serde` writes it.
const RECORD: &str = "record";
/// The end of a tombstone, in seconds since 1970; the table's TTL attribute.
const EXPIRES_AT: &str = "expires_at";

const SECRET_PK: &str = "installation";
const SECRET: &str = "secret";
const SECRET_BYTES: usize = 32;

/// The most items in one answer of DynamoDB to a batch.
const BATCH: usize = 100;
/// The number of times that a record is written over one that is changed by others meanwhile.
const CONTENDED_WRITES: usize = 20;

/// The number of times that items are asked for again that DynamoDB left out of an answer.
const BATCH_RETRIES: u32 = 6;
/// The longest wait before the first of them; it doubles every time.
const BATCH_DELAY: Duration = Duration::from_millis(25);

type Item = HashMap<String, AttributeValue>;

/// Records in one DynamoDB table.
///
/// The table has the hash key `pk` (string) and the index `by_status` (hash `status_shard`, range `key`, both strings;
/// keys only). An image's item has `pk` = `image#{key}`, `key`, `status_shard` = `{status}#{0..7}`, `order`,
/// `provisional` and `record`, and `expires_at` if it is a tombstone that ends. A key whose source was read has an item
/// beside it as long as the source has that digest: `pk` = `sha256#{digest}#{key}`, `key`, `status_shard` =
/// `sha256#{digest}` and `order`. `pk` and `key` hold the longest object key.
///
/// - `get` and `put` are strongly consistent; the decision of a put is one conditional write of one item. A rejected or
///   failed record costs a second one where the key has a record already, which it may have to be noted in. The item
///   of a digest is written before, so that no record is without it; one that no record agrees with is ignored when
///   the record is read. Records of releases before have none until they are put again, and their items of earlier digests
///   stay.
/// - A tombstone ends by DynamoDB's TTL, which deletes within days ([`Self::with_tombstones_for`]); until then it is in force.
/// - `list` and `counts` read the index, which follows the table within moments: a record that was just written may be
///   missing, and one whose status changes meanwhile too. A listed record is read from the table and shown only if
///   it still has the status that was asked for.
/// - A page of `list` costs a query for each shard of each status that it shows (8 or 32; of a digest 1) and one batch
///   of reads.
///   `counts` reads the index but for tombstones, half a read unit for each 4 KB of it, up to a bound; above it the
///   counts are lower bounds ([`Self::with_counts_for`]).
#[derive(Clone, Debug)]
pub struct DynamoMetadataStore {
    client: Client,
    table: String,
    tombstones: Option<Duration>,
    counted: Counted,
}

impl DynamoMetadataStore {
    /// The table of that name.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            tombstones: None,
            counted: Counted::default(),
        }
    }

    /// The same, whose tombstones end after that time; without this they stay for ever. It has to be longer than any
    /// event can be delayed: work that read a source before it was deleted could otherwise bring the picture back.
    #[must_use]
    pub fn with_tombstones_for(self, life: Duration) -> Self {
        Self {
            tombstones: Some(life),
            ..self
        }
    }

    /// The same, whose counts are used again for that time.
    #[must_use]
    pub fn with_counts_for(self, fresh: Duration) -> Self {
        Self {
            counted: Counted::fresh_for(fresh),
            ..self
        }
    }

    /// 32 random bytes that stay the same for the life of the table: the first call makes them.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn installation_secret(&self) -> Result<Vec<u8>> {
        let pk = || AttributeValue::S(SECRET_PK.to_owned());
        if let Some(item) = self.read(pk()).await? {
            return secret(item);
        }
        let made: [u8; SECRET_BYTES] = rand::random();
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(PK, pk())
            .item(SECRET, AttributeValue::B(Blob::new(made)))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", PK)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(made.to_vec()),
            Err(error) if is_refusal(&error) => {
                let item = self.read(pk()).await?.ok_or_else(|| ItemError::Missing {
                    pk: SECRET_PK.to_owned(),
                })?;
                secret(item)
            }
            Err(error) => Err(CallError::new("dynamodb:PutItem", error).into()),
        }
    }

    async fn read(&self, pk: AttributeValue) -> Result<Option<Item>> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(PK, pk)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| CallError::new("dynamodb:GetItem", error))?;
        Ok(output.item.filter(|item| !item.is_empty()))
    }

    /// Writes a record on a condition. Returns the record that it replaced, or the one that was in its way.
    async fn write(
        &self,
        record: &Record,
        condition: Condition<'_>,
    ) -> Result<Result<Option<Record>, Box<Stored>>> {
        let call = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item_of(record, self.tombstones)?))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match condition.on(call, record).send().await {
            Ok(output) => {
                let replaced = output.attributes.filter(|item| !item.is_empty());
                Ok(Ok(replaced.as_ref().map(record_of).transpose()?))
            }
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                    let item = refusal.item().ok_or_else(|| ItemError::Missing {
                        pk: format!("image#{}", record.key),
                    })?;
                    let json = json_of(item)?.to_owned();
                    let record = record_of(item)?;
                    Ok(Err(Box::new(Stored { record, json })))
                }
                _ => Err(CallError::new("dynamodb:PutItem", error).into()),
            },
        }
    }

    /// The answer to a put that succeeded; removes the item of a digest that the key's source no longer has.
    async fn written(&self, record: &Record, replaced: Option<Record>) -> Result<PutRecord> {
        if let Some(before) = replaced.as_ref().and_then(digest)
            && digest(record) != Some(before)
        {
            digest::take_back(&self.client, &self.table, before, record, Stale::Older).await?;
        }
        Ok(PutRecord::Written(replaced.map(Box::new)))
    }

    /// The answer to a put that was refused; removes the item of its digest.
    async fn refused(&self, record: &Record, current: Record) -> Result<PutRecord> {
        if let Some(sha256) = digest(record)
            && digest(&current) != Some(sha256)
        {
            digest::take_back(&self.client, &self.table, sha256, record, Stale::Own).await?;
        }
        Ok(PutRecord::Refused(Box::new(current)))
    }

    /// The records of at most [`BATCH`] keys, as they are now.
    async fn read_batch(&self, keys: &[String]) -> Result<HashMap<String, Record>> {
        let mut builder = KeysAndAttributes::builder()
            .consistent_read(true)
            .projection_expression("#record")
            .expression_attribute_names("#record", RECORD);
        for key in keys {
            builder = builder.keys(HashMap::from([(PK.to_owned(), image_pk(key))]));
        }
        let wanted = builder.build().map_err(StoreError::unavailable)?;
        let mut wanted = Some(HashMap::from([(self.table.clone(), wanted)]));
        let mut records = HashMap::new();
        for retry in 0..=BATCH_RETRIES {
            let output = self
                .client
                .batch_get_item()
                .set_request_items(wanted)
                .send()
                .await
                .map_err(|error| CallError::new("dynamodb:BatchGetItem", error))?;
            for item in output.responses.unwrap_or_default().into_values().flatten() {
                let record = record_of(&item)?;
                records.insert(record.key.as_str().to_owned(), record);
            }
            wanted = output.unprocessed_keys.filter(|left| !left.is_empty());
            if wanted.is_none() {
                return Ok(records);
            }
            let longest = BATCH_DELAY * 2_u32.pow(retry);
            tokio::time::sleep(longest.mul_f64(rand::random::<f64>())).await;
        }
        Err(StoreError::unavailable(
            "dynamodb:BatchGetItem leaves items out again and again",
        ))
    }
}

/// The condition of a write of a record: [`Record::succeeds`], as far as DynamoDB can evaluate it.
enum Condition<'a> {
    /// There is no record.
    New,
    /// There is no record, an older one, or one of the same order that yields to this one if `yields` is set.
    Newer { yields: bool },
    /// The stored record is still this one.
    Same(&'a Stored),
}

/// A record and its JSON, which another release may have written.
struct Stored {
    record: Record,
    json: String,
}

impl Condition<'_> {
    /// The condition of the first try: a rejected or failed record may have to be noted in the present one.
    fn of(record: &Record) -> Self {
        match record.status {
            Status::Rejected { .. } | Status::Failed { .. } => Self::New,
            Status::Pending => Self::Newer { yields: false },
            Status::Ready { .. } | Status::Deleted => Self::Newer { yields: true },
        }
    }

    fn on(&self, call: PutItemFluentBuilder, record: &Record) -> PutItemFluentBuilder {
        let order = || AttributeValue::S(record.newest_order().to_string());
        match self {
            Self::New => call
                .condition_expression("attribute_not_exists(#pk)")
                .expression_attribute_names("#pk", PK),
            Self::Newer { yields: false } => call
                .condition_expression("attribute_not_exists(#pk) OR #order < :order")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_names("#order", ORDER)
                .expression_attribute_values(":order", order()),
            Self::Newer { yields: true } => call
                .condition_expression(
                    "attribute_not_exists(#pk) OR #order < :order OR (#order = :order AND #yields = :true)",
                )
                .expression_attribute_names("#pk", PK)
                .expression_attribute_names("#order", ORDER)
                .expression_attribute_names("#yields", PROVISIONAL)
                .expression_attribute_values(":order", order())
                .expression_attribute_values(":true", AttributeValue::Bool(true)),
            Self::Same(stored) => call
                .condition_expression("#record = :seen")
                .expression_attribute_names("#record", RECORD)
                .expression_attribute_values(":seen", AttributeValue::S(stored.json.clone())),
        }
    }
}

#[async_trait]
impl MetadataStore for DynamoMetadataStore {
    async fn get(&self, key: &ObjectKey) -> Result<Option<Record>> {
        let item = self.read(image_pk(key.as_str())).await?;
        item.as_ref().map(record_of).transpose()
    }

    async fn put(&self, record: &Record) -> Result<PutRecord> {
        if let Some(sha256) = digest(record) {
            digest::note(&self.client, &self.table, sha256, record).await?;
        }
        let mut stored = match self.write(record, Condition::of(record)).await? {
            Ok(replaced) => return self.written(record, replaced).await,
            Err(stored) => stored,
        };
        for _ in 0..CONTENDED_WRITES {
            let answer = match record.succeeds(&stored.record) {
                Succession::Refused => return self.refused(record, stored.record).await,
                Succession::Replaces => match self.write(record, Condition::Same(&stored)).await? {
                    Ok(replaced) => return self.written(record, replaced).await,
                    Err(other) => other,
                },
                Succession::Noted(noted) => match self.write(&noted, Condition::Same(&stored)).await? {
                    Ok(_) => return Ok(PutRecord::Noted(noted)),
                    Err(other) => other,
                },
            };
            stored = answer;
        }
        Err(StoreError::unavailable(format!(
            "the record of {:?} is written by others all the time",
            record.key.as_str()
        )))
    }

    async fn list(&self, filter: &RecordFilter, after: Option<&str>, limit: usize) -> Result<Page<Record>> {
        let status = filter.status;
        let mut items = Vec::new();
        let merge = Merge::new(&self.client, &self.table, filter, after, limit.min(BATCH));
        // One more shows whether a page is the last.
        let wanted = if limit == 0 { 0 } else { limit.saturating_add(1) };
        if let Some(mut merge) = merge {
            while items.len() < wanted {
                let keys = merge.next((wanted - items.len()).min(BATCH)).await?;
                if keys.is_empty() {
                    break;
                }
                let mut records = self.read_batch(&keys).await?;
                let current = keys.iter().filter_map(|key| records.remove(key));
                let of_digest =
                    |record: &Record| filter.sha256.is_none() || digest(record) == filter.sha256.as_deref();
                items.extend(current.filter(of_digest).filter(|record| match status {
                    Some(status) => record.status.kind() == status,
                    None => record.status != Status::Deleted,
                }));
            }
        }
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Page {
            next: items
                .last()
                .filter(|_| more)
                .map(|record| record.key.as_str().to_owned()),
            items,
        })
    }

    async fn forget(&self, key: &ObjectKey, order: &Order) -> Result<bool> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(PK, image_pk(key.as_str()))
            .condition_expression("#order = :order AND #shard = :deleted")
            .expression_attribute_names("#order", ORDER)
            .expression_attribute_names("#shard", SHARD)
            .expression_attribute_values(":order", text(&order.to_string()))
            .expression_attribute_values(":deleted", text(&index::shard_of(&Status::Deleted, key)))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if is_refusal(&error) => Ok(false),
            Err(error) => Err(CallError::new("dynamodb:DeleteItem", error).into()),
        }
    }

    async fn counts(&self) -> Result<StatusCounts> {
        self.counted.counts(&self.client, &self.table).await
    }
}

fn image_pk(key: &str) -> AttributeValue {
    AttributeValue::S(format!("image#{key}"))
}

/// The item of a record; a tombstone's ends after `tombstones`, if that is set.
pub(super) fn item_of(record: &Record, tombstones: Option<Duration>) -> Result<Item> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let json = serde_json::to_string(record).map_err(StoreError::unavailable)?;
    let mut item = HashMap::from([
        (PK.to_owned(), image_pk(record.key.as_str())),
        (KEY.to_owned(), text(record.key.as_str())),
        (
            SHARD.to_owned(),
            AttributeValue::S(index::shard_of(&record.status, &record.key)),
        ),
        (ORDER.to_owned(), text(&record.newest_order().to_string())),
        (
            PROVISIONAL.to_owned(),
            AttributeValue::Bool(record.is_provisional()),
        ),
        (RECORD.to_owned(), AttributeValue::S(json)),
    ]);
    if let (Status::Deleted, Some(life)) = (&record.status, tombstones) {
        let expires_at = record.updated_at.0 / 1000 + life.as_secs();
        item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string()));
    }
    Ok(item)
}

fn json_of(item: &Item) -> Result<&str> {
    match item.get(RECORD) {
        Some(AttributeValue::S(json)) => Ok(json),
        Some(_) | None => Err(ItemError::NoAttribute { name: RECORD }.into()),
    }
}

fn record_of(item: &Item) -> Result<Record> {
    Ok(serde_json::from_str(json_of(item)?).map_err(ItemError::Json)?)
}

fn secret(mut item: Item) -> Result<Vec<u8>> {
    match item.remove(SECRET) {
        Some(AttributeValue::B(secret)) if secret.as_ref().len() == SECRET_BYTES => Ok(secret.into_inner()),
        _ => Err(ItemError::NoAttribute { name: SECRET }.into()),
    }
}
