//! The command line.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::usage::UsageError;
use crate::{JAIL_ATTEMPT, RENDER_WORKER, cli, serve, version};

/// Put an image in a bucket; moments later every size and format a web page needs is there.
#[derive(Debug, Parser)]
#[command(name = "tintype", version, long_version = version::long(), propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system in one process: S3 endpoint, queue, rendering, delivery and admin pages
    Serve(serve::ServeArgs),
    /// Run the engine alone: files or folders in, renditions out
    Transcode(cli::TranscodeArgs),
    /// Show what the pipeline would record of files
    Inspect(cli::InspectArgs),
    /// Compare the files of a data folder with its database, and make the database again from them
    Verify(cli::VerifyArgs),
    /// Copy a data folder, also while its server runs
    Backup(cli::BackupArgs),
    /// Show how far rendering processes are confined on this machine, and try to get out of them
    Jail(cli::JailArgs),
    /// Render what the parent process sends (started by tintype itself)
    #[command(name = RENDER_WORKER, hide = true)]
    RenderWorker,
    /// Try one way out of a rendering process (started by `tintype jail --self-test`)
    #[command(name = JAIL_ATTEMPT, hide = true)]
    JailAttempt { name: String },
}

/// Runs the program. Exit codes: 0 done, 1 some inputs failed or the command could not be carried out, 2 bad
/// usage.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::RenderWorker => tintype_jail::worker_main(),
        Command::JailAttempt { name } => tintype_jail::attempt_main(&name),
        // A server logs the end of each worker as a warning; here it is expected.
        Command::Jail(args) => in_runtime_with_log("error", cli::jail(args)),
        Command::Serve(args) => in_runtime(serve::serve(args)),
        Command::Transcode(args) => in_runtime(cli::transcode(args)),
        Command::Inspect(args) => in_runtime(cli::inspect(args)),
        Command::Verify(args) => in_runtime(cli::verify(args)),
        Command::Backup(args) => in_runtime(cli::backup(args)),
    }
}

fn in_runtime(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    // s3s logs each refused signature as an error, which would let any client flood the log.
    in_runtime_with_log("info,s3s=off", command)
}

fn in_runtime_with_log(filter: &str, command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    start_log(filter);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let result = runtime.block_on(command);
    // Blocking reads of standard input or slow disks must not keep a finished command alive.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| fail(&error))
}

#[expect(clippy::print_stderr, reason = "the command line's own error message")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(if error.is::<UsageError>() { 2 } else { 1 })
}

fn start_log(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
