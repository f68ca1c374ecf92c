//! The server under the tests, and throw-away places on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::retry::RetryConfig;
use tintype_aws::Clients;
use tintype_aws::store::S3ObjectStore;
use tintype_model::{ObjectStore, Precondition};

/// The server that answers, for tests in which it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emulator {
    /// AWS, or what does the same.
    None,
    /// moto 5.2: see [`crate::moto`].
    Moto,
}

impl Emulator {
    /// The server that the environment variable `TINTYPE_EMULATOR` names.
    #[expect(clippy::disallowed_methods, reason = "says how to test, configures nothing")]
    pub(crate) fn current() -> Self {
        match std::env::var("TINTYPE_EMULATOR").as_deref() {
            Err(_) | Ok("" | "ministack") => Self::None,
            Ok("moto") => Self::Moto,
            Ok(other) => panic!("TINTYPE_EMULATOR={other} is not known"),
        }
    }
}

/// Clients of the environment. Refuses to run without `AWS_ENDPOINT_URL`, so that no test ever costs money.
pub(crate) async fn clients() -> Clients {
    let clients = Clients::load().await;
    assert!(
        clients.config.endpoint_url().is_some(),
        "AWS_ENDPOINT_URL is not set: make test starts an emulator"
    );
    clients
}

/// Clients that carry out the first `count` requests but lose their answers, and try again.
pub(crate) async fn clients_that_lose_answers(count: u32) -> Clients {
    let config = clients().await.config;
    let inner = config.http_client().unwrap();
    let left = Arc::new(AtomicU32::new(count));
    let forgetful = http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Forgetful {
            inner: inner.http_connector(settings, components),
            left: Arc::clone(&left),
        })
    });
    let retries = RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(Duration::from_millis(1));
    Clients::new(
        config
            .into_builder()
            .http_client(forgetful)
            .retry_config(retries)
            .build(),
    )
}

#[derive(Debug)]
struct Forgetful {
    inner: SharedHttpConnector,
    left: Arc<AtomicU32>,
}

impl HttpConnector for Forgetful {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.inner.call(request);
        let left = Arc::clone(&self.left);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let lose = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            match lose {
                Ok(_) => Err(ConnectorError::io("the answer is lost".into())),
                Err(_) => Ok(answer),
            }
        })
    }
}

/// A name that nobody else uses.
fn name() -> String {
    format!("tintype-test-{:016x}", rand::random::<u64>())
}

/// Runs the test with a new bucket.
pub(crate) async fn with_bucket(clients: &Clients, test: impl AsyncFnOnce(String)) {
    let bucket = name();
    clients.s3.create_bucket().bucket(&bucket).send().await.unwrap();
    test(bucket.clone()).await;
    let store = S3ObjectStore::new(clients.s3.clone(), bucket.clone());
    for entry in store.list("", None, usize::MAX).await.unwrap().items {
        store.delete(&entry.key, Precondition::None).await.unwrap();
    }
    clients.s3.delete_bucket().bucket(&bucket).send().await.unwrap();
}

fn attribute(name: &str) -> AttributeDefinition {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .unwrap()
}

fn schema(name: &str, key_type: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(key_type)
        .build()
        .unwrap()
}

/// Runs the test with a new table of the shape that `deploy/template.yaml` gives it.
pub(crate) async fn with_table(clients: &Clients, test: impl AsyncFnOnce(String)) {
    let table = name();
    let index = GlobalSecondaryIndex::builder()
        .index_name("by_status")
        .key_schema(schema("status_shard", KeyType::Hash))
        .key_schema(schema("key", KeyType::Range))
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build(),
        )
        .build()
        .unwrap();
    clients
        .dynamodb
        .create_table()
        .table_name(&table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk"))
        .attribute_definitions(attribute("status_shard"))
        .attribute_definitions(attribute("key"))
        .key_schema(schema("pk", KeyType::Hash))
        .global_secondary_indexes(index)
        .send()
        .await
        .unwrap();
    clients
        .dynamodb
        .wait_until_table_exists()
        .table_name(&table)
        .wait(Duration::from_secs(600))
        .await
        .unwrap();
    test(table.clone()).await;
    clients
        .dynamodb
        .delete_table()
        .table_name(&table)
        .send()
        .await
        .unwrap();
}

/// Runs the test with a new queue.
pub(crate) async fn with_queue(clients: &Clients, test: impl AsyncFnOnce(String)) {
    let queue = clients
        .sqs
        .create_queue()
        .queue_name(name())
        .send()
        .await
        .unwrap();
    let url = queue.queue_url.unwrap();
    test(url.clone()).await;
    clients.sqs.delete_queue().queue_url(url).send().await.unwrap();
}
