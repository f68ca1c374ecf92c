use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use serde_json::json;
use tintype_jail::{EscapeAttempt, Jail, Level, self_test};

use super::engine;
use crate::{JAIL_ATTEMPT, config::Config};

/// Arguments of `tintype jail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Levels: \"full\", a rendering process that a picture had made to run code of its choice could reach no file, no network and \
no other process; \"filtered\", system calls are filtered and another step of that is missing; \"limited\", there are \
limits on memory, time and files alone.

Exit codes: 0 done, 1 something got out or no rendering process can be started, 2 bad usage.")]
pub(crate) struct JailArgs {
    /// Try all known ways out from inside rendering processes; each has to be refused
    #[arg(long)]
    self_test: bool,
    /// Configuration with the settings of rendering processes [default: the built-in ones]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the level that this machine allows, and tests it.
///
/// # Errors
/// When no rendering process can be started.
#[expect(clippy::print_stdout, reason = "this is the data that was asked for")]
pub(crate) async fn jail(args: JailArgs) -> anyhow::Result<ExitCode> {
    let config = engine::load(args.config.as_deref())?;
    let (level, attempts) = if args.self_test {
        let told = |attempt: &EscapeAttempt| {
            if !args.json {
                println!("{}", line(attempt));
            }
        };
        self_test(&config.jail(Some(1)), JAIL_ATTEMPT, told)
            .await
            .context("the self-test cannot be made")?
    } else {
        (level(&config).await?, Vec::new())
    };
    let escapes = attempts.iter().filter(|attempt| !attempt.is_refused).count();
    if args.json {
        println!(
            "{}",
            json!({ "level": level.name(), "steps": level, "missing": level.missing(), "attempts": attempts })
        );
    } else {
        println!("level: {level}");
        for step in level.missing() {
            println!("missing: {}", step.name());
        }
        if args.self_test {
            println!("{} attempts, {escapes} got out", attempts.len());
        }
    }
    Ok(if escapes == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The level of a rendering process with the settings of the server: other commands use another priority.
async fn level(config: &Config) -> anyhow::Result<Level> {
    let jail = Jail::new(config.jail(Some(1)));
    jail.warm().await.context("cannot start rendering processes")?;
    let level = jail.level();
    jail.shutdown().await;
    Ok(level)
}

fn line(attempt: &EscapeAttempt) -> String {
    let outcome = if attempt.is_refused { "refused" } else { "GOT OUT" };
    format!("{outcome}  {}: {}", attempt.name, attempt.detail)
}
