//! The start of the invalidator function.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use serde_json::{Value, json};
use tintype_model::error_chain;
use tokio::time::Instant;

use super::{Distribution, Invalidator, SqsInbox};
use crate::environment::{InvalidatorEnvironment, Variables};
use crate::{Clients, RemoteError};

/// The part of an invocation's time that messages are received in; the rest is for invalidating and deleting.
const COLLECT_SHARE: u32 = 2;

/// Serves invocations, each of which is one run whatever its event says.
///
/// # Errors
/// When an environment variable is missing or wrong, or the Runtime API fails.
pub(crate) async fn run(variables: &Variables) -> anyhow::Result<()> {
    let environment = InvalidatorEnvironment::read(variables)?;
    let clients = Clients::load().await;
    let invalidator = Invalidator::new(
        Arc::new(SqsInbox::new(clients.sqs, environment.queue_url)),
        Arc::new(Distribution::new(clients.cloudfront, environment.distribution_id)),
        Duration::from_secs(u64::from(environment.replacement_minutes) * 60),
    );
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let invalidator = invalidator.clone();
        async move { invoke(&invalidator, &event.context).await }
    });
    let served = Runtime::new(handler).run().await;
    served.map_err(|error| anyhow!("the Runtime API failed: {}", error_chain(&*error)))
}

async fn invoke(invalidator: &Invalidator, context: &lambda_runtime::Context) -> Result<Value, RemoteError> {
    let now = SystemTime::now();
    let remaining = context.deadline().duration_since(now).unwrap_or_default();
    let done = invalidator
        .run(now.into(), Instant::now() + remaining / COLLECT_SHARE)
        .await;
    match done {
        Ok(run) => {
            if run.received > 0 {
                tracing::info!(
                    request_id = context.request_id,
                    received = run.received,
                    told = run.told,
                    kept = run.kept,
                    paths = ?run.paths,
                    "withdrawals"
                );
            }
            Ok(json!({ "received": run.received, "told": run.told, "kept": run.kept, "paths": run.paths }))
        }
        Err(error) => {
            tracing::error!(
                request_id = context.request_id,
                error = error_chain(&*error),
                "the caches were not told: all of it comes back"
            );
            Err(error)
        }
    }
}
