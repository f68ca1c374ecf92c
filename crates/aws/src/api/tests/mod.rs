//! Invocations in, answers out, over memory ports, real signatures and an SQS that answers over HTTP.

mod access;
mod requests;
mod signing;
mod sqs;

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::{Value, json};
use tintype_catalog::Catalog;
use tintype_edge::{Access, Edge, Health, HealthReport};
use tintype_model::testing::{MemoryDeadLetters, MemoryMetadataStore, MemoryObjectStore, MemoryQueue};
use tintype_model::{
    MetadataStore, ObjectKey, ObjectStore, Order, PutOptions, Recipe, Record, Sequencer, Status, UnixMillis,
};

use super::{Answer, Api, S3Uploads};
use crate::environment::Authorizer;

const PUBLIC_URL: &str = "https://d111111abcdef8.cloudfront.net";
const BUCKET: &str = "tintype-dev-raw-123456789012";

fn iam_event() -> Value {
    serde_json::from_str(include_str!("../fixtures/iam.json")).unwrap()
}

fn jwt_event() -> Value {
    serde_json::from_str(include_str!("../fixtures/jwt.json")).unwrap()
}

/// An event of somebody whom IAM let in.
fn event(method: &str, path: &str, query: &str) -> Value {
    let mut event = iam_event();
    event["rawPath"] = path.into();
    event["rawQueryString"] = query.into();
    event["requestContext"]["http"]["method"] = method.into();
    event["requestContext"]["http"]["path"] = path.into();
    event
}

fn with_json(mut event: Value, body: &Value) -> Value {
    event["body"] = body.to_string().into();
    event["headers"]["content-type"] = "application/json".into();
    event
}

fn credentials(session_token: Option<&str>) -> Credentials {
    Credentials::new(
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        session_token.map(str::to_owned),
        None,
        "tests",
    )
}

fn sdk_config(credentials: Credentials, endpoint: Option<&str>) -> SdkConfig {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    match endpoint {
        Some(url) => config.endpoint_url(url).build(),
        None => config.build(),
    }
}

fn uploads(credentials: Credentials, endpoint: Option<&str>) -> S3Uploads {
    let config = sdk_config(credentials, endpoint);
    let s3 = aws_sdk_s3::config::Builder::from(&config)
        .force_path_style(endpoint.is_some())
        .build();
    S3Uploads::new(aws_sdk_s3::Client::from_conf(s3), &config, BUCKET.to_owned()).unwrap()
}

#[derive(Debug)]
struct Well;

#[async_trait::async_trait]
impl Health for Well {
    async fn report(&self) -> HealthReport {
        HealthReport {
            ready: true,
            ..HealthReport::default()
        }
    }
}

#[derive(Debug)]
struct Panics;

#[async_trait::async_trait]
impl Health for Panics {
    async fn report(&self) -> HealthReport {
        panic!("secret panic message")
    }
}

/// The function over memory ports.
struct World {
    api: Api,
    sources: Arc<MemoryObjectStore>,
    metadata: Arc<MemoryMetadataStore>,
    queue: Arc<MemoryQueue>,
    dead: Arc<MemoryDeadLetters>,
}

impl World {
    fn new(authorizer: Authorizer) -> Self {
        Self::with(authorizer, Arc::new(Well))
    }

    fn with(authorizer: Authorizer, health: Arc<dyn Health>) -> Self {
        let sources = Arc::new(MemoryObjectStore::new());
        let metadata = Arc::new(MemoryMetadataStore::new());
        let queue = Arc::new(MemoryQueue::new());
        let dead = Arc::new(MemoryDeadLetters::new(queue.clone()));
        let edge = Edge {
            catalog: Catalog {
                sources: sources.clone(),
                metadata: metadata.clone(),
                queue: queue.clone(),
                dead: dead.clone(),
            },
            uploads: Arc::new(uploads(credentials(Some("token")), None)),
            health,
            recipe: Arc::new(Recipe::default()),
            max_upload_bytes: 1000,
            access: Access::Gateway {
                public_url: PUBLIC_URL.to_owned(),
            },
            pictures: None,
        };
        Self {
            api: Api::new(edge, authorizer),
            sources,
            metadata,
            queue,
            dead,
        }
    }

    async fn send(&self, event: Value) -> Answer {
        let answer = self.api.answer(event).await.unwrap();
        // What goes back to Lambda has to be what API Gateway reads.
        let written = serde_json::to_value(&answer).unwrap();
        let names: Vec<&String> = written.as_object().unwrap().keys().collect();
        assert_eq!(names, ["body", "headers", "isBase64Encoded", "statusCode"]);
        answer
    }

    /// A source and a record of it.
    async fn rejected(&self, key: &str) {
        let body = bytes::Bytes::from_static(b"not a picture");
        self.sources.put(key, body, PutOptions::default()).await.unwrap();
        let record = Record {
            key: ObjectKey::new(key).unwrap(),
            order: Order::of_event(Sequencer::from_counter(1)),
            status: Status::Rejected {
                rejection: tintype_model::Rejection::new(
                    tintype_model::RejectionCode::UnsupportedFormat,
                    "no picture",
                ),
            },
            updated_at: UnixMillis(1_700_000_000_000),
            source: None,
            attempt: None,
        };
        self.metadata.put(&record).await.unwrap();
    }
}

fn parsed(answer: &Answer) -> Value {
    assert!(!answer.is_base64_encoded);
    serde_json::from_str(&answer.body).unwrap()
}

fn assert_problem(answer: &Answer, status: u16, code: &str) {
    let problem = parsed(answer);
    assert_eq!(answer.status_code, status, "{problem}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&json!(status), &json!(code))
    );
}
