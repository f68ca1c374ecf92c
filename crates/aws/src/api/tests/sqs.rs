use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};
use tintype_edge::{Health, HealthReport, QueueDepth};
use tokio::net::TcpListener;

use super::{credentials, sdk_config};
use crate::api::QueueHealth;

/// Calls that were answered, and how many more there are answers for.
#[derive(Debug, Default)]
struct Calls {
    seen: AtomicU64,
    failing: AtomicU64,
}

/// SQS's JSON protocol, as far as one call goes.
async fn attributes(State(calls): State<Arc<Calls>>, body: Bytes) -> Response {
    calls.seen.fetch_add(1, Ordering::SeqCst);
    if calls.failing.load(Ordering::SeqCst) > 0 {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let request: Value = serde_json::from_slice(&body).unwrap();
    let dead = request["QueueUrl"].as_str().unwrap().ends_with("/dead");
    let counts = if dead { ["1", "2", "4"] } else { ["10", "20", "40"] };
    let names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
    ];
    assert_eq!(request["AttributeNames"], json!(names), "nothing else is needed");
    let attributes: serde_json::Map<String, Value> = names
        .into_iter()
        .zip(counts)
        .map(|(name, count)| (name.to_owned(), json!(count)))
        .collect();
    let answer = json!({ "Attributes": attributes }).to_string();
    ([("content-type", "application/x-amz-json-1.0")], answer).into_response()
}

async fn start() -> (SocketAddr, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    let app = Router::new().fallback(attributes).with_state(calls.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, calls)
}

fn health(address: SocketAddr) -> QueueHealth {
    let endpoint = format!("http://{address}");
    let config = sdk_config(credentials(None), Some(&endpoint))
        .into_builder()
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let queue = |name: &str| format!("{endpoint}/123456789012/{name}");
    let client = aws_sdk_sqs::Client::new(&config);
    QueueHealth::new(client, queue("jobs"), queue("dead"), 4)
}

#[tokio::test]
async fn both_queues_are_counted_once_for_all_who_ask() {
    let (address, calls) = start().await;
    let health = health(address);
    let expected = HealthReport {
        ready: true,
        problems: Vec::new(),
        jail: None,
        jail_steps: Vec::new(),
        workers: 4,
        queue: Some(QueueDepth {
            ready: 30,
            leased: 40,
            dead: 7,
        }),
        files: None,
        avif_tiles_refused: None,
        connections: None,
    };
    let (first, second) = tokio::join!(health.report(), health.report());
    assert_eq!([&first, &second], [&expected, &expected]);
    assert_eq!(health.report().await, expected);
    assert_eq!(calls.seen.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_report_is_renewed_after_a_while() {
    let (address, calls) = start().await;
    let mut health = health(address);
    health.fresh = Duration::ZERO;
    assert!(health.report().await.ready);
    assert!(health.report().await.ready);
    assert_eq!(calls.seen.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_queue_that_does_not_answer_is_not_ready() {
    let (address, calls) = start().await;
    calls.failing.store(1, Ordering::SeqCst);
    let report = health(address).report().await;
    assert_eq!((report.ready, report.queue, report.workers), (false, None, 4));
}
