//! The start of the process, up to its first invocation.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use tintype_jail::{Jail, Priority};
use tintype_model::error_chain;
use tintype_pipeline::{Layout, Secret, Settings};

use super::budget::retries;
use super::{Parts, Worker, WorkerSettings};
use crate::config::Config;
use crate::environment::{Function, Variables, WorkerEnvironment};
use crate::event::SqsEvent;
use crate::invalidation::{self, SqsWithdrawals, Withdrawals};
use crate::store::{DynamoMetadataStore, S3ObjectStore};
use crate::visibility::SqsVisibility;
use crate::{Clients, init_error, telemetry};

/// The hidden argument that a rendering process is started with.
const RENDER_WORKER: &str = "render-worker";

/// The part of the function's memory, in bytes, that is neither for the source, nor for its renditions, nor for the
/// rendering process's own data: this process with its runtime, clients and TLS connections, the code of both, page
/// tables and pipe buffers.
const RESERVE_BYTES: u64 = 96 << 20;

/// The least memory that rendering is worth trying with.
const LEAST_RENDER_BYTES: u64 = 128 << 20;

/// The whole `main` of the worker function, of the invalidator function, which is the same program, and, as
/// `render-worker`, of the worker's rendering process.
#[must_use]
pub fn main() -> ExitCode {
    // Before there is a second thread or an open file.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == RENDER_WORKER)
    {
        return tintype_jail::worker_main();
    }
    let variables = Variables::of_process();
    telemetry::start_log(&variables);
    if let Err(error) = tintype_jail::forbid_inspection() {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "rendering processes could read this one"
        );
    }
    let runtime = tokio::runtime::Runtime::new().context("cannot start the async runtime");
    let done = runtime.and_then(|runtime| runtime.block_on(serve(&variables)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let runtime_api = variables.optional("AWS_LAMBDA_RUNTIME_API").ok().flatten();
            init_error::report(runtime_api, &error);
            ExitCode::FAILURE
        }
    }
}

async fn serve(variables: &Variables) -> anyhow::Result<()> {
    match Function::read(variables)? {
        Function::Worker => run(variables).await,
        Function::Invalidator => invalidation::run(variables).await,
    }
}

async fn run(variables: &Variables) -> anyhow::Result<()> {
    let environment = WorkerEnvironment::read(variables)?;
    let config = Config::load(environment.lambda.task_root.as_deref())?;
    let jail = Jail::new(jail_config(&environment, &config)?);
    let clients = Clients::load().await;
    let tombstones = Duration::from_secs(u64::from(environment.tombstone_days) * 24 * 60 * 60);
    let metadata =
        DynamoMetadataStore::new(clients.dynamodb, environment.table).with_tombstones_for(tombstones);
    // Both wait for others; an execution environment has ten seconds for all of this.
    let (confined, secret) = tokio::join!(jail.warm(), metadata.installation_secret());
    confined.map_err(|error| anyhow!("cannot start the rendering process: {}", error_chain(&error)))?;
    let secret = secret.map_err(|error| anyhow!("cannot read TINTYPE_TABLE: {}", error_chain(&error)))?;
    tracing::info!(
        jail.level = %jail.level(),
        memory_bytes = environment.lambda.memory_bytes,
        "ready"
    );
    let withdrawals = environment
        .invalidation_queue_url
        .map(|url| Arc::new(SqsWithdrawals::new(clients.sqs.clone(), url)) as Arc<dyn Withdrawals>);
    let bucket = |client: &aws_sdk_s3::Client, name: &str| {
        S3ObjectStore::new(client.clone(), name.to_owned()).owned_by(environment.account.clone())
    };
    let parts = Parts {
        sources: Arc::new(bucket(&clients.s3, &environment.raw_bucket)),
        renditions: Arc::new(bucket(&clients.s3, &environment.processed_bucket)),
        metadata: Arc::new(metadata),
        rendering: Arc::new(jail),
        queue: Arc::new(SqsVisibility::new(clients.sqs, environment.queue_url)),
        withdrawals,
    };
    let settings = WorkerSettings {
        pipeline: Settings {
            recipe: Arc::new(config.recipe()),
            limits: config.limits(),
            secret: Secret::new(secret),
            layout: Layout::InPlace,
        },
        raw_bucket: environment.raw_bucket,
        processed_bucket: environment.processed_bucket,
        retries: retries(environment.max_receives),
        render_deadline: config.render_deadline(),
        tells_replaced: environment.replacement_minutes > 0,
        environment: environment.environment,
    };
    let worker = Worker::new(parts, settings);
    let handler = service_fn(move |event: LambdaEvent<SqsEvent>| {
        let worker = worker.clone();
        async move { Ok::<_, Infallible>(worker.handle(event).await) }
    });
    // Not `lambda_runtime::run`: the worker's own spans say what that one's would.
    let served = Runtime::new(handler).run().await;
    served.map_err(|error| anyhow!("the Runtime API failed: {}", error_chain(&*error)))
}

/// One rendering process that may use what this process does not need.
///
/// While a picture is rendered this process holds its source, and then, with the rendering process still there, its
/// renditions. So of the function's memory both are set aside, with [`RESERVE_BYTES`], and a picture that needs more
/// than the rest is rejected (`decoder_killed`) instead of taking the whole execution environment with it.
fn jail_config(environment: &WorkerEnvironment, config: &Config) -> anyhow::Result<tintype_jail::Config> {
    let mut jail = tintype_jail::Config::new("/proc/self/exe", vec![RENDER_WORKER.into()]);
    jail.limits = config.limits();
    jail.metadata = config.metadata();
    jail.deadline = config.render_deadline();
    // Nobody waits for this process while a picture is made.
    jail.priority = Priority::Normal;
    let all = environment.lambda.memory_bytes;
    let needed = jail.limits.max_bytes + jail.max_output_bytes + RESERVE_BYTES;
    jail.memory_bytes = all.saturating_sub(needed);
    ensure!(
        jail.memory_bytes >= LEAST_RENDER_BYTES,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE is {} MB; with limits.max_bytes = {} at least {} MB are needed",
        all >> 20,
        jail.limits.max_bytes,
        (needed + LEAST_RENDER_BYTES).div_ceil(1 << 20)
    );
    Ok(jail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::LambdaEnvironment;

    fn environment(megabytes: u64) -> WorkerEnvironment {
        WorkerEnvironment {
            lambda: LambdaEnvironment {
                runtime_api: "127.0.0.1:1".to_owned(),
                memory_bytes: megabytes << 20,
                task_root: None,
            },
            raw_bucket: "raw".to_owned(),
            processed_bucket: "processed".to_owned(),
            table: "table".to_owned(),
            account: "111122223333".to_owned(),
            tombstone_days: 90,
            queue_url: "https://queue".to_owned(),
            max_receives: 5,
            invalidation_queue_url: None,
            replacement_minutes: 0,
            environment: "test".to_owned(),
        }
    }

    #[test]
    fn the_rendering_process_gets_what_the_function_does_not_need() {
        let jail = jail_config(&environment(3008), &Config::default()).unwrap();
        assert_eq!(jail.memory_bytes >> 20, 3008 - 64 - 256 - 96);
        assert_eq!(jail.workers, 1);
        assert_eq!(jail.priority, Priority::Normal);
        assert_eq!(jail.deadline.as_secs(), 40);
        jail_config(&environment(544), &Config::default()).unwrap();
        let error = jail_config(&environment(543), &Config::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("AWS_LAMBDA_FUNCTION_MEMORY_SIZE is 543 MB"),
            "{error}"
        );
        assert!(error.contains("at least 544 MB"), "{error}");
    }
}
