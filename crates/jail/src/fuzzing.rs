//! The two ends of the pipes with bytes in place of processes, for the targets in `fuzz/`. Not a stable interface.

use std::io;

use tintype_model::{Limits, Recipe};

use crate::process::{Answer, receive_answer};
use crate::wire::{self, Greeting, Operation, Setup};
use crate::{Config, worker};

/// Reads what a worker reads on standard input: its setup, then requests with their sources, up to the end. Returns the
/// number of requests.
///
/// # Errors
/// The errors that end a worker.
pub fn requests(mut bytes: &[u8]) -> io::Result<usize> {
    let from = &mut bytes;
    if wire::read_head::<Setup>(from)?.is_none() {
        return Ok(0);
    }
    let mut count = 0;
    while worker::receive(from, &Limits::default())?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Reads what a jail reads of a worker that was asked to probe, or to render `recipe`: its greeting, then the answer to
/// request 1. Returns the number of renditions that were believed.
///
/// # Errors
/// The reason why an answer is not believed.
pub async fn answer(mut bytes: &[u8], recipe: Option<&Recipe>) -> Result<usize, String> {
    let from = &mut bytes;
    let _: Greeting = wire::receive_head(from)
        .await
        .map_err(|error| error.to_string())?;
    let operation = recipe.map_or(Operation::Probe, |recipe| Operation::Render(recipe.clone()));
    let config = Config::new("/nowhere", Vec::new());
    match receive_answer(from, 1, &operation, &config).await {
        Ok(Answer::Rendered(rendered)) => Ok(rendered.files.len()),
        Ok(_) => Ok(0),
        Err(reason) => Err(format!("{reason:?}")),
    }
}
