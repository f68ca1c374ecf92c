//! Configuration, workers and sources, the same for every command.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
};

use anyhow::Context;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tintype_jail::{Jail, Priority};
use tintype_model::Limits;
use tokio::task::spawn_blocking;

use super::{
    input::{self, Source},
    outcome::{Outcome, Report},
};
use crate::{config::Config, usage::UsageError};

/// Reads the configuration; an error in it is bad usage.
pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    Config::load(file).map_err(|error| UsageError(format!("{error:#}")).into())
}

/// Starts as many workers as there is work for, at most `jobs`.
pub(crate) async fn start(
    config: &Config,
    jobs: Option<NonZero<usize>>,
    inputs: usize,
) -> anyhow::Result<Jail> {
    let mut jail = config.jail(jobs.map(NonZero::get));
    jail.workers = jail.workers.min(inputs).max(1);
    // The user waits for this work alone.
    jail.priority = Priority::Normal;
    let jail = Jail::new(jail);
    jail.warm().await.context("cannot start rendering processes")?;
    Ok(jail)
}

/// Reads one input and reports the outcome of `work`.
pub(crate) async fn report_on(
    path: &Path,
    limits: Limits,
    work: impl AsyncFnOnce(Bytes) -> Outcome,
) -> Report {
    let file: PathBuf = path.to_path_buf();
    let read = spawn_blocking(move || {
        let source = input::read(&file, &limits)?;
        let digest = match &source {
            Source::Read(bytes) => Some(hex::encode(Sha256::digest(bytes))),
            Source::TooLarge { .. } => None,
        };
        Ok::<_, input::InputError>((source, digest))
    });
    let (bytes, sha256, outcome) = match read.await {
        Ok(Ok((Source::Read(bytes), sha256))) => (Some(bytes.len() as u64), sha256, work(bytes).await),
        Ok(Ok((
            Source::TooLarge {
                size_bytes,
                rejection,
            },
            sha256,
        ))) => (Some(size_bytes), sha256, Outcome::Rejected { rejection }),
        Ok(Err(error)) => (None, None, Outcome::failed(&error)),
        Err(error) => (None, None, Outcome::failed(&error)),
    };
    Report {
        input: path.display().to_string(),
        bytes,
        sha256,
        outcome,
    }
}
