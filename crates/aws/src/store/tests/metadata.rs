use aws_sdk_dynamodb::Client;
use serde_json::{Value, json};
use tintype_model::testing::conformance::{order, ready, record, rejected};
use tintype_model::{
    MetadataStore, PutRecord, Record, RecordFilter, Status, StatusCounts, StatusKind, StoreError,
};

use super::super::DynamoMetadataStore;
use super::scripted::{Script, Step, lose_the_answer, respond};

fn store(script: &Script) -> DynamoMetadataStore {
    DynamoMetadataStore::new(Client::new(&script.config()), "table".to_owned())
}

fn answer(body: &Value) -> Step {
    respond(200, &[], &body.to_string())
}

fn item(record: &Record) -> Value {
    json!({"record": {"S": serde_json::to_string(record).unwrap()}})
}

/// A record of a source whose digest is not known.
fn unread(key: &str, status: Status) -> Record {
    let mut record = record(key, order(1, 0), status);
    record.source.as_mut().unwrap().sha256 = None;
    record
}

fn refused(item: &Value) -> Step {
    let refusal = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
        "Item": item,
    });
    respond(400, &[], &refusal.to_string())
}

#[tokio::test]
async fn a_digest_is_noted_before_the_record_and_the_one_before_is_taken_back() {
    let old = record("a", order(1, 0), ready("v", "k"));
    let mut new = record("a", order(2, 0), ready("w", "k"));
    let (before, after) = ("ab".repeat(32), "cd".repeat(32));
    new.source.as_mut().unwrap().sha256 = Some(after.clone());
    let replaced = json!({"Attributes": item(&old)});
    // That something newer is noted is no failure.
    let script = Script::new([refused(&json!({})), answer(&replaced), answer(&json!({}))]);
    let result = store(&script).put(&new).await.unwrap();
    assert_eq!(result, PutRecord::Written(Some(Box::new(old))));
    let sent: Vec<Value> = script
        .finish()
        .iter()
        .map(|sent| {
            let sent = sent.json();
            sent.get("Item").cloned().unwrap_or(sent)
        })
        .collect();
    assert_eq!(sent[0]["pk"]["S"], format!("sha256#{after}#a"));
    assert_eq!(sent[0]["status_shard"]["S"], format!("sha256#{after}"));
    assert_eq!(sent[0]["key"]["S"], "a");
    assert_eq!(sent[1]["pk"]["S"], "image#a");
    assert_eq!(sent[0]["order"], sent[1]["order"]);
    let taken_back = &sent[2];
    assert_eq!(taken_back["Key"]["pk"]["S"], format!("sha256#{before}#a"));
    assert_eq!(taken_back["ConditionExpression"], "#order < :order");
    assert_eq!(
        taken_back["ExpressionAttributeValues"][":order"],
        sent[1]["order"]
    );
}

#[tokio::test]
async fn the_note_of_a_record_that_is_refused_is_taken_back() {
    let newer = record("a", order(2, 0), ready("v", "k"));
    let mut late = record("a", order(1, 0), ready("w", "k"));
    late.source.as_mut().unwrap().sha256 = Some("cd".repeat(32));
    let script = Script::new([answer(&json!({})), refused(&item(&newer)), answer(&json!({}))]);
    let result = store(&script).put(&late).await.unwrap();
    assert_eq!(result, PutRecord::Refused(Box::new(newer.clone())));
    let sent = script.finish();
    let taken_back = sent[2].json();
    assert_eq!(
        taken_back["Key"]["pk"]["S"],
        format!("sha256#{}#a", "cd".repeat(32))
    );
    assert_eq!(
        taken_back["ConditionExpression"], "#order = :order",
        "another one's note stays"
    );
    assert_eq!(
        taken_back["ExpressionAttributeValues"][":order"]["S"],
        late.order.to_string()
    );
    // A duplicate has the digest that the record has: its note is the record's.
    let mut again = newer.clone();
    again.status = ready("w", "k");
    let script = Script::new([refused(&json!({})), refused(&item(&newer))]);
    store(&script).put(&again).await.unwrap();
    assert_eq!(script.finish().len(), 2);
}

#[tokio::test]
async fn a_tombstone_ends_and_nothing_else_does() {
    let life = std::time::Duration::from_secs(90 * 24 * 60 * 60);
    let mut removed = unread("a", Status::Deleted);
    removed.updated_at = tintype_model::UnixMillis(1_700_000_000_999);
    let published = unread("a", ready("v", "k"));
    for (record, life, expected) in [
        (&removed, Some(life), Some("1707776000")),
        (&removed, None, None),
        (&published, Some(life), None),
    ] {
        let script = Script::new([answer(&json!({}))]);
        let store = match life {
            Some(life) => store(&script).with_tombstones_for(life),
            None => store(&script),
        };
        store.put(record).await.unwrap();
        let sent = script.finish()[0].json();
        assert_eq!(sent["Item"]["expires_at"]["N"].as_str(), expected);
    }
}

fn counted(number: u64, more: bool) -> Step {
    let mut output = json!({"Count": number});
    if more {
        output["LastEvaluatedKey"] = json!({"pk": {"S": "image#k"}});
    }
    answer(&output)
}

#[tokio::test]
async fn counting_reads_so_much_and_no_more_and_says_so() {
    // 4 statuses of 8 shards, each of which has more to tell at the end of its 4 answers.
    let script = Script::new((0..128).map(|_| counted(3, true)));
    let counts = store(&script).counts().await.unwrap();
    assert!(counts.at_least);
    assert_eq!(
        [counts.pending, counts.ready, counts.rejected, counts.failed],
        [96; 4]
    );
    assert_eq!(script.finish().len(), 128);
    let script = Script::new((0..32).map(|_| counted(3, false)));
    let counts = store(&script).counts().await.unwrap();
    assert_eq!(
        (counts.ready, counts.at_least, counts.counted_at),
        (24, false, None)
    );
    script.finish();
}

#[tokio::test]
async fn counts_are_used_again_and_tell_when_they_were_made() {
    let script = Script::new((0..32).map(|_| counted(1, false)));
    let store = store(&script).with_counts_for(std::time::Duration::from_secs(3600));
    let first = store.counts().await.unwrap();
    let again = store.counts().await.unwrap();
    assert_eq!(first.counted_at, None);
    assert!(again.counted_at.is_some());
    assert_eq!(
        StatusCounts {
            counted_at: None,
            ..again
        },
        first
    );
    assert_eq!(script.finish().len(), 32);
}

#[tokio::test]
async fn a_note_that_says_too_much_is_seen_through() {
    let [mut a, b] = ["a", "b"].map(|key| record(key, order(1, 0), rejected()));
    a.source.as_mut().unwrap().sha256 = Some("cd".repeat(32));
    let keys = json!({"Items": [{"key": {"S": "a"}}, {"key": {"S": "b"}}], "Count": 2});
    let records = json!({"Responses": {"table": [item(&a), item(&b)]}});
    let script = Script::new([answer(&keys), answer(&records)]);
    let filter = RecordFilter {
        sha256: Some("ab".repeat(32)),
        ..RecordFilter::default()
    };
    let page = store(&script).list(&filter, None, 10).await.unwrap();
    assert_eq!((page.items, page.next), (vec![b], None));
    let sent = script.finish();
    assert_eq!(
        sent[0].json()["ExpressionAttributeValues"][":shard"]["S"],
        format!("sha256#{}", "ab".repeat(32))
    );
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_refused_with_that_very_record() {
    let mine = unread("a", ready("v", "k"));
    let refusal = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
        "Item": item(&mine),
    });
    let script = Script::new([lose_the_answer(), respond(400, &[], &refusal.to_string())]);
    let result = store(&script).put(&mine).await.unwrap();
    assert_eq!(result, PutRecord::Refused(Box::new(mine)));
    script.finish();
}

#[tokio::test]
async fn only_records_that_know_more_replace_those_of_the_same_order() {
    for (status, yields) in [
        (Status::Pending, None),
        (ready("v", "k"), Some("provisional")),
        (Status::Deleted, Some("provisional")),
    ] {
        let script = Script::new([answer(&json!({}))]);
        store(&script).put(&unread("a", status)).await.unwrap();
        let sent = script.finish()[0].json();
        let condition = sent["ConditionExpression"].as_str().unwrap();
        assert_eq!(
            condition.contains("#order = :order AND #yields = :true"),
            yields.is_some()
        );
        assert_eq!(sent["ExpressionAttributeNames"]["#yields"].as_str(), yields);
        // DynamoDB refuses names and values that the condition does not use.
        for kind in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
            for name in sent[kind].as_object().unwrap().keys() {
                assert!(condition.contains(name), "{name} in {condition}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_rejection_is_noted_in_must_not_have_changed_meanwhile() {
    let published = unread("a", ready("v", "k"));
    let mut moved = unread("a", ready("w", "l"));
    moved.order = order(1, 1);
    let mut refusal = unread("a", rejected());
    refusal.order = order(1, 2);
    let script = Script::new([
        refused(&item(&published)),
        refused(&item(&moved)),
        answer(&json!({"Attributes": item(&moved)})),
    ]);
    let result = store(&script).put(&refusal).await.unwrap();
    let PutRecord::Noted(noted) = result else {
        panic!("{result:?}")
    };
    assert_eq!(noted.status, moved.status, "never the set that was replaced");
    let sent = script.finish();
    for (sent, seen) in sent[1..].iter().zip([&published, &moved]) {
        let sent = sent.json();
        assert_eq!(sent["ConditionExpression"], "#record = :seen");
        assert_eq!(
            sent["ExpressionAttributeValues"][":seen"],
            item(seen)["record"],
            "the record as it is stored"
        );
        assert!(
            sent["Item"]["status_shard"]["S"]
                .as_str()
                .unwrap()
                .starts_with("ready#")
        );
        assert_eq!(sent["Item"]["order"]["S"], refusal.order.to_string());
    }
}

/// Answers to the queries of a listing by status, of which the first shard holds `keys`.
fn shards(keys: &[&str]) -> Vec<Step> {
    let items: Vec<Value> = keys.iter().map(|key| json!({"key": {"S": key}})).collect();
    let mut steps = vec![answer(&json!({"Items": items, "Count": items.len()}))];
    steps.extend((1..8).map(|_| answer(&json!({"Items": [], "Count": 0}))));
    steps
}

fn rejected_ones() -> RecordFilter {
    RecordFilter {
        status: Some(StatusKind::Rejected),
        ..RecordFilter::default()
    }
}

#[tokio::test]
async fn items_that_were_left_out_are_asked_for_again() {
    let [a, b] = ["a", "b"].map(|key| record(key, order(1, 0), rejected()));
    let left = json!({"table": {"Keys": [{"pk": {"S": "image#a"}}]}});
    let mut steps = shards(&["a", "b"]);
    steps.push(answer(
        &json!({"Responses": {"table": [item(&b)]}, "UnprocessedKeys": left}),
    ));
    steps.push(answer(
        &json!({"Responses": {"table": [item(&a)]}, "UnprocessedKeys": {}}),
    ));
    let script = Script::new(steps);
    let page = store(&script).list(&rejected_ones(), None, 2).await.unwrap();
    assert_eq!((page.items, page.next), (vec![a, b], None));
    let sent = script.finish();
    assert_eq!(sent.last().unwrap().json()["RequestItems"], left);
}

#[tokio::test]
async fn items_that_are_always_left_out_make_the_store_unavailable() {
    let left = json!({"table": {"Keys": [{"pk": {"S": "image#a"}}]}});
    let mut steps = shards(&["a"]);
    steps.extend((0..7).map(|_| answer(&json!({"Responses": {}, "UnprocessedKeys": left}))));
    let script = Script::new(steps);
    let result = store(&script).list(&rejected_ones(), None, 2).await;
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    script.finish();
}

#[tokio::test]
async fn a_record_whose_status_has_moved_is_not_listed_and_takes_no_place() {
    let moved = record("a", order(2, 0), ready("v", "k"));
    let [b, c] = ["b", "c"].map(|key| record(key, order(1, 0), rejected()));
    let mut steps = shards(&["a", "b", "c"]);
    steps.push(answer(&json!({"Responses": {"table": [item(&b), item(&moved)]}})));
    steps.push(answer(&json!({"Responses": {"table": [item(&c)]}})));
    let script = Script::new(steps);
    let page = store(&script).list(&rejected_ones(), None, 1).await.unwrap();
    assert_eq!((page.items, page.next.as_deref()), (vec![b], Some("b")));
    script.finish();
}

#[tokio::test]
async fn a_throttled_call_names_the_code() {
    let body =
        json!({"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "slow down"});
    let script = Script::new((0..3).map(|_| respond(400, &[("x-amzn-requestid", "R1")], &body.to_string())));
    let error = store(&script)
        .get(&record("a", order(1, 0), rejected()).key)
        .await
        .unwrap_err();
    let text = tintype_model::error_chain(&error);
    assert!(
        text.contains("dynamodb:GetItem was answered 400 ThrottlingException (slow down), request R1"),
        "{text}"
    );
    script.finish();
}
