use std::time::Duration;

use aws_sdk_sqs::Client;
use serde_json::{Value, json};
use tintype_model::{DeadLetters, StoreError, UnixMillis, error_chain};

use super::super::SqsDeadLetters;
use super::scripted::{Script, Sent, Step, respond};

/// The answer to a receive: messages with these names, the body of each being that text.
fn messages(bodies: &[(&str, &str)]) -> Step {
    let messages: Vec<Value> = bodies
        .iter()
        .map(|(name, body)| {
            json!({
                "MessageId": name,
                "ReceiptHandle": format!("receipt of {name}"),
                "Body": body,
                "Attributes": { "ApproximateReceiveCount": "7", "SentTimestamp": "1700000000000" },
            })
        })
        .collect();
    respond(200, &[], &json!({ "Messages": messages }).to_string())
}

fn done() -> Step {
    respond(200, &[], "{}")
}

fn refused() -> Step {
    respond(
        400,
        &[],
        r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}"#,
    )
}

fn dead_letters(script: &Script) -> SqsDeadLetters {
    let (dead, queue) = ("http://sqs.test/dead", "http://sqs.test/jobs");
    SqsDeadLetters::new(Client::new(&script.config()), dead.to_owned(), queue.to_owned())
}

/// The bodies of the calls of this kind, in their order.
fn calls(sent: &[Sent], operation: &str) -> Vec<Value> {
    let target = format!("AmazonSQS.{operation}");
    let of_kind = sent
        .iter()
        .filter(|request| request.header("x-amz-target") == Some(&target));
    of_kind.map(Sent::json).collect()
}

/// The messages that were shown to others again, by their receipts.
fn shown_again(sent: &[Sent]) -> Vec<String> {
    let calls = calls(sent, "ChangeMessageVisibility");
    let receipts = calls.iter().map(|call| {
        assert_eq!(call["QueueUrl"], "http://sqs.test/dead");
        assert_eq!(call["VisibilityTimeout"], 0);
        call["ReceiptHandle"].as_str().unwrap().to_owned()
    });
    receipts.collect()
}

#[tokio::test]
async fn a_list_receives_no_more_than_it_returns_and_shows_all_of_it_again() {
    let script = Script::new([
        messages(&[("a", "not an event"), ("b", r#"{"Event":"s3:TestEvent"}"#)]),
        messages(&[("a", "not an event")]),
        done(),
        done(),
        done(),
    ]);
    let letters = dead_letters(&script).list(3).await.unwrap();
    assert_eq!(
        letters.len(),
        2,
        "a message that is delivered twice is one letter"
    );
    for letter in &letters {
        assert_eq!((letter.key.as_ref(), letter.attempts), (None, 7));
        assert_eq!(letter.died_at, UnixMillis(1_700_000_000_000));
        assert!((0..1 << 53).contains(&letter.id), "JSON keeps {}", letter.id);
    }
    let sent = script.finish();
    let receives = calls(&sent, "ReceiveMessage");
    let wanted: Vec<&Value> = receives.iter().map(|call| &call["MaxNumberOfMessages"]).collect();
    assert_eq!(wanted, [3, 1]);
    assert!(
        receives
            .iter()
            .all(|call| call["QueueUrl"] == "http://sqs.test/dead")
    );
    assert_eq!(
        shown_again(&sent),
        ["receipt of a", "receipt of b", "receipt of a"]
    );
}

#[tokio::test]
async fn a_list_that_takes_too_long_returns_what_it_has() {
    let script = Script::new([messages(&[("a", "x")]), done()]);
    let mut dead = dead_letters(&script);
    dead.time = Duration::ZERO;
    assert_eq!(dead.list(1000).await.unwrap().len(), 1);
    assert_eq!(shown_again(&script.finish()), ["receipt of a"]);
}

#[tokio::test]
async fn a_list_that_breaks_off_shows_again_what_it_received() {
    let script = Script::new([messages(&[("a", "x")]), refused(), done()]);
    let error = dead_letters(&script).list(1000).await.unwrap_err();
    assert!(error_chain(&error).contains("sqs:ReceiveMessage"), "{error:?}");
    assert_eq!(shown_again(&script.finish()), ["receipt of a"]);
}

#[tokio::test]
async fn a_letter_that_cannot_be_shown_again_is_listed_all_the_same() {
    let script = Script::new([messages(&[("a", "x")]), messages(&[]), refused()]);
    assert_eq!(dead_letters(&script).list(1000).await.unwrap().len(), 1);
    script.finish();
}

#[tokio::test]
async fn one_letter_is_sent_back_as_it_is_and_the_others_stay() {
    let listing = Script::new([messages(&[("wanted", "x")]), done()]);
    let id = dead_letters(&listing).list(1).await.unwrap()[0].id;
    let script = Script::new([
        messages(&[("other", "y")]),
        messages(&[("another", "z"), ("wanted", "x")]),
        done(),
        done(),
        respond(200, &[], r#"{"MessageId":"m"}"#),
        done(),
    ]);
    assert_eq!(dead_letters(&script).redrive(Some(id)).await.unwrap(), 1);
    let sent = script.finish();
    let messages = calls(&sent, "SendMessage");
    assert_eq!(
        (&messages[0]["QueueUrl"], &messages[0]["MessageBody"]),
        (&json!("http://sqs.test/jobs"), &json!("x"))
    );
    let deletions = calls(&sent, "DeleteMessage");
    assert_eq!(deletions[0]["ReceiptHandle"], "receipt of wanted");
    assert_eq!(shown_again(&sent), ["receipt of other", "receipt of another"]);
}

#[tokio::test]
async fn a_letter_that_was_not_seen_among_the_first_is_not_said_to_be_none() {
    let script = Script::new([messages(&[("a", "x"), ("b", "y")]), done(), done()]);
    let mut dead = dead_letters(&script);
    dead.time = Duration::ZERO;
    let error = dead.redrive(Some(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(
        error_chain(&error).contains("not among the 2 that were looked at"),
        "{error:?}"
    );
    assert_eq!(shown_again(&script.finish()), ["receipt of a", "receipt of b"]);

    let empty = Script::new([messages(&[])]);
    assert_eq!(dead_letters(&empty).redrive(Some(1)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_redrive_of_all_that_takes_too_long_leaves_the_rest() {
    let sent = respond(200, &[], r#"{"MessageId":"m"}"#);
    let script = Script::new([messages(&[("a", "x")]), sent, done()]);
    let mut dead = dead_letters(&script);
    dead.time = Duration::ZERO;
    assert_eq!(dead.redrive(None).await.unwrap(), 1);
    assert_eq!(calls(&script.finish(), "DeleteMessage").len(), 1);
}

#[tokio::test]
async fn a_letter_that_could_not_be_sent_is_kept_and_shown_again() {
    let script = Script::new([
        messages(&[("a", "x"), ("b", "y")]),
        refused(),
        respond(200, &[], r#"{"MessageId":"m"}"#),
        done(),
        done(),
    ]);
    let error = dead_letters(&script).redrive(None).await.unwrap_err();
    assert!(error_chain(&error).contains("sqs:SendMessage"), "{error:?}");
    let sent = script.finish();
    let deletions = calls(&sent, "DeleteMessage");
    assert_eq!(deletions.len(), 1, "only what was sent leaves the dead letters");
    assert_eq!(deletions[0]["ReceiptHandle"], "receipt of b");
    assert_eq!(shown_again(&sent), ["receipt of a"]);
}
