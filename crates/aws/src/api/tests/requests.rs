use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::json;
use tintype_model::{Job, ObjectKey, ObjectStore, Order, Sequencer, StoreError, Work};

use super::{Answer, Panics, World, assert_problem, event, iam_event, parsed, with_json};
use crate::environment::Authorizer;

/// A query as clients write it, and the key that it names.
const KEYS: [(&str, &str); 14] = [
    ("key=plain.jpg", "plain.jpg"),
    ("key=a/b/c.jpg", "a/b/c.jpg"),
    ("key=a%2Fb.jpg", "a/b.jpg"),
    ("key=a+b", "a b"),
    ("key=a%20b", "a b"),
    ("key=a%2Bb", "a+b"),
    ("key=a%252Bb", "a%2Bb"),
    ("key=100%25.jpg", "100%.jpg"),
    ("key=caf%C3%A9", "café"),
    ("key=caf\u{e9}", "café"),
    ("key=%F0%9F%90%8C", "🐌"),
    ("key=a%26b%3Dc%3Fd%23e", "a&b=c?d#e"),
    ("key=a b\"<c>#", "a b\"<c>#"),
    ("key=a,b;c=d", "a,b;c=d"),
];

#[tokio::test]
async fn keys_arrive_as_they_were_sent() {
    let world = World::new(Authorizer::Iam);
    for (query, key) in KEYS {
        world.rejected(key).await;
        let answer = world.send(event("GET", "/api/v1/image", query)).await;
        assert_eq!(answer.status_code, 200, "{query}: {}", answer.body);
        assert_eq!(parsed(&answer)["image"]["key"], key, "{query}");
    }
}

#[tokio::test]
async fn parameters_that_repeat_or_cannot_be_read_are_refused() {
    let world = World::new(Authorizer::Iam);
    for (query, code) in [
        ("key=a&key=b", "bad_request"),
        ("key=a&Key=b", "bad_request"),
        ("", "bad_request"),
        ("key=%FF", "bad_encoding"),
        ("key=%", "bad_encoding"),
    ] {
        let answer = world.send(event("GET", "/api/v1/image", query)).await;
        assert_problem(&answer, 400, code);
    }
}

/// Tests that the decoded parameters, joined by commas, that API Gateway adds for convenience are not looked at.
#[tokio::test]
async fn only_the_raw_query_counts() {
    let world = World::new(Authorizer::Iam);
    world.rejected("a+b").await;
    let mut event = event("GET", "/api/v1/image", "key=a%2Bb");
    event["queryStringParameters"] = json!({ "key": "another" });
    event["pathParameters"] = json!({ "proxy": "another" });
    assert_eq!(parsed(&world.send(event).await)["image"]["key"], "a+b");
}

#[tokio::test]
async fn bodies_come_as_text_or_base64() {
    let world = World::new(Authorizer::Iam);
    let order = json!({ "key": "café.jpg", "content_type": "image/jpeg" });
    let text = with_json(event("POST", "/api/v1/uploads", ""), &order);
    let mut encoded = text.clone();
    encoded["body"] = STANDARD.encode(order.to_string()).into();
    encoded["isBase64Encoded"] = true.into();
    for event in [text, encoded] {
        let upload = parsed(&world.send(event).await);
        assert_eq!(upload["fields"]["key"], "café.jpg", "{upload}");
        assert_eq!(upload["max_bytes"], 1000);
    }
    let mut large = event("POST", "/api/v1/uploads", "");
    large["headers"]["content-type"] = "application/json".into();
    large["body"] = "x".repeat(20_000).into();
    assert_problem(&world.send(large).await, 413, "body_too_large");
    assert_problem(
        &world.send(event("POST", "/api/v1/uploads", "")).await,
        415,
        "unsupported_media_type",
    );
}

#[tokio::test]
async fn deleting_and_reprocessing_reach_the_stores() {
    let world = World::new(Authorizer::Iam);
    world.rejected("a b.jpg").await;
    let again = world
        .send(event("POST", "/api/v1/image/reprocess", "key=a%20b.jpg"))
        .await;
    assert_eq!(again.status_code, 202, "{}", again.body);
    let jobs = world.queue.jobs();
    let etag = world.sources.head("a b.jpg").await.unwrap().etag;
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].work, Work::Render { etag });
    let delete = world
        .send(event("DELETE", "/api/v1/image", "key=a%20b.jpg"))
        .await;
    assert_eq!(delete.status_code, 202);
    assert!(matches!(
        world.sources.head("a b.jpg").await,
        Err(StoreError::NotFound)
    ));
}

#[tokio::test]
async fn jobs_that_were_given_up_are_listed_and_redriven() {
    let world = World::new(Authorizer::Iam);
    let empty = world.send(event("GET", "/api/v1/dead", "")).await;
    assert_eq!(parsed(&empty), json!({ "items": [] }));
    let [first, second] = ["a b.jpg", "c.jpg"].map(|key| Job {
        key: ObjectKey::new(key).unwrap(),
        order: Order::of_event(Sequencer::from_counter(1)),
        work: Work::Remove,
    });
    for job in [&first, &second] {
        world.dead.bury(job.clone(), "the bucket was away".to_owned());
    }
    let listed = parsed(&world.send(event("GET", "/api/v1/dead", "")).await);
    assert_eq!(listed["items"][0]["key"], "a b.jpg");
    assert_eq!(listed["items"][0]["error"], "the bucket was away");
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);

    let one = format!("id={}", listed["items"][0]["id"]);
    let answer = world.send(event("POST", "/api/v1/dead/redrive", &one)).await;
    assert_eq!(
        (answer.status_code, parsed(&answer)),
        (202, json!({ "redriven": 1 }))
    );
    assert_eq!(world.queue.take(), [first]);
    let again = world.send(event("POST", "/api/v1/dead/redrive", &one)).await;
    assert_problem(&again, 404, "not_found");
    let all = world.send(event("POST", "/api/v1/dead/redrive", "")).await;
    assert_eq!((all.status_code, parsed(&all)), (202, json!({ "redriven": 1 })));
    assert_eq!(world.queue.take(), [second]);
}

#[tokio::test]
async fn panics_are_problem_documents() {
    let world = World::with(Authorizer::Iam, Arc::new(Panics));
    let answer = world.send(event("GET", "/api/v1/stats", "")).await;
    assert_problem(&answer, 500, "internal");
    assert!(!answer.body.contains("secret"));
}

#[tokio::test]
async fn headers_that_are_none_do_no_harm() {
    let world = World::new(Authorizer::Iam);
    let mut event = iam_event();
    event["headers"]["not a name"] = "x".into();
    event["headers"]["x-line"] = "a\r\nb".into();
    event["headers"]["host"] = "not a host".into();
    event["headers"]["x-forwarded-proto"] = "not a scheme".into();
    assert_eq!(world.send(event).await.status_code, 200);
}

#[tokio::test]
async fn answers_leave_cross_origin_rules_to_the_gateway() {
    let world = World::new(Authorizer::Iam);
    let mut event = iam_event();
    event["headers"]["origin"] = "https://app.example".into();
    let answer = world.send(event).await;
    assert_eq!(answer.status_code, 200);
    let names: Vec<&String> = answer.headers.keys().collect();
    assert!(
        !names.iter().any(|name| name.starts_with("access-control-")),
        "{names:?}"
    );
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn bytes_and_repeated_headers_can_be_written() {
    let response = Response::builder()
        .status(StatusCode::OK)
        .header(CONTENT_TYPE, "image/avif")
        .header(CONTENT_LENGTH, "3")
        .header(VARY, "Accept")
        .header(VARY, "Origin")
        .body(axum::body::Body::from(vec![0xff, 0, 1]))
        .unwrap();
    let answer = Answer::of(response).await.unwrap();
    assert!(answer.is_base64_encoded);
    assert_eq!(STANDARD.decode(&answer.body).unwrap(), [0xff, 0, 1]);
    assert_eq!(answer.headers["vary"], "Accept, Origin");
    assert!(!answer.headers.contains_key("content-length"));
}

proptest! {
    /// However a client escapes a key, more or less than it has to.
    #[test]
    fn any_key_arrives(key in "\\PC{1,40}|[ -~]{1,40}", everything: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let escaped = if everything {
            utf8_percent_encode(&key, NON_ALPHANUMERIC).to_string()
        } else {
            key.replace('%', "%25").replace('+', "%2B").replace('&', "%26")
        };
        runtime.block_on(async {
            let world = World::new(Authorizer::Iam);
            world.rejected(&key).await;
            let answer = world.send(event("GET", "/api/v1/image", &format!("key={escaped}"))).await;
            assert_eq!(parsed(&answer)["image"]["key"], key);
        });
    }
}
