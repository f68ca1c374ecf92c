//! The worker function's real binary.

use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::lambda::{Function, in_time, signal, state};

const WORKER: &str = env!("CARGO_BIN_EXE_tintype-lambda-worker");

/// Time that is never used up.
const PLENTY: Duration = Duration::from_secs(600);

/// Times that are used up by what never ends. Two seconds of each are kept to finish; where a machine is too busy to
/// come to the point in what remains of the first, the next one is tried.
const SHORT: [Duration; 4] = [
    Duration::from_secs(4),
    Duration::from_secs(16),
    Duration::from_secs(64),
    Duration::from_secs(256),
];

/// One pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn picture() -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(PNG).unwrap()
}

fn etag() -> String {
    hex::encode(&Sha256::digest(picture())[..16])
}

fn batch(body: &str) -> Value {
    json!({ "Records": [{
        "messageId": "m-1",
        "receiptHandle": "receipt",
        "body": body,
        "attributes": { "ApproximateReceiveCount": "1" },
        "eventSource": "aws:sqs",
    }] })
}

fn uploaded(key: &str, sequencer: u32) -> Value {
    let record = json!({
        "eventVersion": "2.1",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": { "name": "raw" },
            "object": { "key": key, "eTag": etag(), "sequencer": format!("{sequencer:016X}") },
        },
    });
    batch(&json!({ "Records": [record] }).to_string())
}

fn answer(failed: &[&str]) -> (String, Value) {
    let failures: Vec<_> = failed.iter().map(|id| json!({ "itemIdentifier": id })).collect();
    ("response".to_owned(), json!({ "batchItemFailures": failures }))
}

async fn with_picture() -> Function {
    let function = Function::start(WORKER, &[]).await;
    function.aws.put("raw/a.png", picture());
    function
}

#[tokio::test]
async fn bad_configuration_fails_at_start_and_names_the_variable() {
    for (name, value, reason) in [
        ("TINTYPE_TABLE", "", "is not set"),
        ("TINTYPE_MAX_RECEIVES", "many", "not a whole number"),
        (
            "TINTYPE_FUNCTION",
            "bootstrap",
            "neither \"worker\" nor \"invalidator\"",
        ),
        ("TINTYPE_PROCESSED_BUCKET", "raw", "would trigger the pipeline"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256", "at least 544 MB"),
    ] {
        let mut function = Function::start(WORKER, &[(name, value)]).await;
        let (kind, error) = function.report().await;
        assert_eq!(kind, "init");
        let message = error["errorMessage"].as_str().unwrap();
        assert!(message.contains(name) && message.contains(reason), "{message}");
        let line = function.line(|line| line["level"] == "ERROR").await;
        assert_eq!(line["error"], message);
        let status = in_time(function.process.wait()).await.unwrap();
        assert_eq!(status.code(), Some(1));
    }
}

#[tokio::test]
async fn without_its_table_it_does_not_start() {
    let mut function = Function::start(WORKER, &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]).await;
    let (kind, error) = function.report().await;
    assert_eq!(kind, "init");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("TINTYPE_TABLE"), "{message}");
}

#[tokio::test]
async fn a_picture_is_published_and_the_log_and_metrics_say_so() {
    let mut function = with_picture().await;
    let ready = function.line(|line| line["message"] == "ready").await;
    let level = ready["jail.level"].as_str().unwrap();
    assert!(
        level.contains("empty_environment") && level.contains("memory_limit"),
        "{level}"
    );
    let child = function
        .child()
        .expect("the jail is warm before the first invocation");
    match std::fs::read(format!("/proc/{child}/environ")) {
        Ok(variables) => assert_eq!(variables, b"", "no credentials for the rendering process"),
        // The process is not dumpable, so its files belong to root.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
    assert_eq!(function.invoke(uploaded("a.png", 1), PLENTY).await, answer(&[]));
    let objects: Vec<String> = function.aws.objects.lock().unwrap().keys().cloned().collect();
    let made = objects
        .iter()
        .filter(|name| name.starts_with("processed/a.png/"))
        .count();
    assert_eq!(made, 9, "{objects:?}");

    let line = function.line(|line| line["outcome"] == "processed").await;
    assert_eq!(line["image.key"], "a.png");
    assert_eq!(line["level"], "INFO");
    assert!(line["duration_ms"].is_u64(), "{line}");
    assert_eq!(line["span"]["request_id"], "request-1");
    assert_eq!(line["span"]["receive_count"], 1);
    assert!(
        line["span"]["trace_id"].as_str().unwrap().starts_with("Root=1-"),
        "{line}"
    );
    let metrics = function.line(|line| line["_aws"].is_object()).await;
    assert_eq!(metrics["Environment"], "contract");
    assert_eq!(metrics["Processed"], 1);
    assert!(
        metrics["RenderMilliseconds"].is_u64() && metrics["RenditionBytes"].is_u64(),
        "{metrics}"
    );
}

#[tokio::test]
async fn test_events_are_done_and_garbage_is_not() {
    let mut function = with_picture().await;
    let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"raw"}"#;
    assert_eq!(function.invoke(batch(test), PLENTY).await, answer(&[]));
    assert_eq!(function.invoke(batch("garbage"), PLENTY).await, answer(&["m-1"]));
    let line = function.line(|line| line["outcome"] == "failed").await;
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("the message is not JSON"), "{error}");
    // 15 s, and up to a quarter more.
    let hidden = function.aws.hidden.lock().unwrap().clone();
    assert!(matches!(hidden[..], [15..=18]), "{hidden:?}");
    // Invoked by hand with what is no event of a queue.
    let (kind, _) = function.invoke(json!({ "hello": 1 }), PLENTY).await;
    assert_eq!(kind, "error");
    assert_eq!(
        function.invoke(uploaded("a.png", 1), PLENTY).await,
        answer(&[]),
        "it goes on"
    );
}

#[tokio::test]
async fn a_deadline_is_kept() {
    let mut function = with_picture().await;
    function.aws.put("raw/stalls.png", Vec::new());
    let mut error = Value::Null;
    for time in SHORT {
        // S3 never answers for this key: the function answers because it keeps to its own deadline, before Lambda's.
        assert_eq!(
            function.invoke(uploaded("stalls.png", 1), time).await,
            answer(&["m-1"])
        );
        let hidden = function.aws.hidden.lock().unwrap().pop();
        assert!(matches!(hidden, Some(15..=18)), "{hidden:?}");
        error = function.line(|line| line["outcome"] == "failed").await["error"].take();
        if error != "there was not enough time left to start" {
            break;
        }
    }
    assert_eq!(error, "the invocation's time was over");
    assert_eq!(function.invoke(uploaded("a.png", 1), PLENTY).await, answer(&[]));
}

#[tokio::test]
async fn a_render_that_outlasts_the_invocation_is_killed_with_its_process() {
    let mut function = with_picture().await;
    function.line(|line| line["message"] == "ready").await;
    let child = function.child().unwrap();
    signal("-STOP", child).await;
    state(child, 'T').await;
    let mut answers = Vec::new();
    for time in SHORT {
        answers.push(function.invoke(uploaded("a.png", 1), time).await);
        if answers.last() == Some(&answer(&[])) {
            break;
        }
    }
    assert_eq!(
        answers[0],
        answer(&["m-1"]),
        "a process that is stopped makes nothing"
    );
    assert_eq!(answers.last(), Some(&answer(&[])));
    assert_ne!(function.child(), Some(child), "another process did it");
}

#[tokio::test]
async fn a_rendering_process_that_died_is_replaced() {
    let mut function = with_picture().await;
    function.line(|line| line["message"] == "ready").await;
    let child = function.child().unwrap();
    signal("-KILL", child).await;
    assert_eq!(function.invoke(uploaded("a.png", 1), PLENTY).await, answer(&[]));
    assert_ne!(function.child(), Some(child));
}

#[tokio::test]
async fn an_execution_environment_that_was_frozen_goes_on() {
    let mut function = with_picture().await;
    assert_eq!(function.invoke(uploaded("a.png", 1), PLENTY).await, answer(&[]));
    let (parent, child) = (function.process.id().unwrap(), function.child().unwrap());
    for process in [parent, child] {
        signal("-STOP", process).await;
        state(process, 'T').await;
    }
    for process in [child, parent] {
        signal("-CONT", process).await;
    }
    assert_eq!(function.invoke(uploaded("a.png", 2), PLENTY).await, answer(&[]));
    assert_eq!(function.child(), Some(child), "the warm process did it");
}
