//! The start of the process, up to its first invocation.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tintype_catalog::Catalog;
use tintype_edge::{Access, Edge};

use super::{Api, QueueHealth, S3Uploads};
use crate::config::Config;
use crate::environment::{ApiEnvironment, Variables};
use crate::store::{DynamoMetadataStore, S3ObjectStore, SqsDeadLetters, SqsQueue};
use crate::telemetry::start_log;
use crate::{Clients, init_error};

/// The time that counts of records are used for: counting reads the index, which is charged.
const COUNTS_FRESH: Duration = Duration::from_mins(1);

/// The whole `main` of the API function. A configuration that cannot work ends the process at once, with a message
/// that names what is wrong.
#[must_use]
pub fn main() -> ExitCode {
    let variables = Variables::of_process();
    start_log(&variables);
    match run(&variables) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let runtime_api = variables.optional("AWS_LAMBDA_RUNTIME_API").ok().flatten();
            init_error::report(runtime_api, &error);
            ExitCode::FAILURE
        }
    }
}

fn run(variables: &Variables) -> anyhow::Result<()> {
    let environment = ApiEnvironment::read(variables)?;
    let config = Config::load(environment.lambda.task_root.as_deref())?;
    // Lambda gives a process one request at a time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let clients = Clients::load().await;
        let api = Api::new(edge(&environment, &config, &clients)?, environment.authorizer);
        let serve = service_fn(|invocation: LambdaEvent<Value>| api.answer(invocation.payload));
        let served = lambda_runtime::run(serve).await;
        served.map_err(|error| anyhow!(error).context("the Runtime API cannot be used"))
    })
}

fn edge(environment: &ApiEnvironment, config: &Config, clients: &Clients) -> anyhow::Result<Edge> {
    let bucket = environment.raw_bucket.clone();
    let queue_url = environment.queue_url.clone();
    let dead_letter_queue_url = environment.dead_letter_queue_url.clone();
    let health = QueueHealth::new(
        clients.sqs.clone(),
        queue_url.clone(),
        dead_letter_queue_url.clone(),
        environment.max_concurrency,
    );
    let uploads = S3Uploads::new(clients.s3.clone(), &clients.config, bucket.clone())?;
    let table = environment.table.clone();
    Ok(Edge {
        catalog: Catalog {
            sources: Arc::new(
                S3ObjectStore::new(clients.s3.clone(), bucket).owned_by(environment.account.clone()),
            ),
            metadata: Arc::new(
                DynamoMetadataStore::new(clients.dynamodb.clone(), table).with_counts_for(COUNTS_FRESH),
            ),
            queue: Arc::new(SqsQueue::new(clients.sqs.clone(), queue_url.clone())),
            dead: Arc::new(SqsDeadLetters::new(
                clients.sqs.clone(),
                dead_letter_queue_url,
                queue_url,
            )),
        },
        uploads: Arc::new(uploads),
        health: Arc::new(health),
        recipe: Arc::new(config.recipe()),
        max_upload_bytes: config.limits().max_bytes,
        access: Access::Gateway {
            public_url: environment.public_url.clone(),
        },
        pictures: None,
    })
}
