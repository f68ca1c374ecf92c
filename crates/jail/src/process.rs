use std::{
    collections::BTreeMap,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rustix::process::Signal;
use tintype_model::{ImageInfo, Rejection, Rendered, RenderedFile};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time,
};

use crate::{
    Config, Error, Level, RequiredLevel, WorkerStatus, check, procfs,
    spawner::Spawner,
    wire::{self, Body, FileHead, Greeting, Operation, Reply, Request, Setup},
};

/// The longest time that a worker may take to start and confine itself.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest wait for a worker that broke off its answer to end, and for the rest of its standard error to arrive.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// The number of bytes that are kept from the end of a worker's standard error.
const STDERR_TAIL_BYTES: usize = 4096;

/// The workers alive now, by process id.
pub(crate) type WorkerTable = Arc<Mutex<BTreeMap<u32, WorkerStatus>>>;

/// A worker process. Dropping it kills it.
///
/// It is owned by the request that it works on, and goes back to the pool only after a whole answer. A request that is
/// given up ends its worker too, so that nobody is sent the rest of the answer.
#[derive(Debug)]
pub(crate) struct Worker {
    pid: u32,
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// The end of its standard error.
    stderr_tail: Arc<Mutex<Vec<u8>>>,
    stderr_reader: tokio::task::JoinHandle<()>,
    jobs: u32,
    table: WorkerTable,
}

/// The whole answer of a worker to one request, after it was checked.
#[derive(Debug)]
pub(crate) enum Answer {
    Probed(ImageInfo),
    Rendered(Rendered),
    Rejected(Rejection),
    /// The engine reported a fault of its own.
    Failed(String),
}

/// The reason why a worker gave no answer. The worker has ended.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The source may be the reason. Tells how the worker ended.
    Died(String),
    /// Something else ended the worker.
    Ended(Error),
    /// The machine is the reason.
    Machine(Error),
}

/// The reason why there is no whole answer on the pipe.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The pipe ended or failed.
    Pipe(io::Error),
    /// The answer did not pass the checks.
    Invalid(String),
    /// The worker reported a panic.
    Panic(String),
    /// An encoder of the worker reported that memory ran out.
    Memory(String),
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Invalid(check::line(&error.to_string())),
            _ => Self::Pipe(error),
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under these locks leaves no half-made change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Worker {
    fn drop(&mut self) {
        lock(&self.table).remove(&self.pid);
        self.stderr_reader.abort();
    }
}

impl Worker {
    /// Starts a worker and waits until it has confined itself.
    pub(crate) async fn start(
        spawner: &Spawner,
        config: &Config,
        table: &WorkerTable,
    ) -> Result<(Self, Level), Error> {
        let failed = |source| Error::Spawn {
            program: config.program.clone(),
            source,
        };
        let program = std::path::absolute(&config.program).map_err(failed)?;
        let mut child = spawner.spawn(command(&program, config)).await.map_err(failed)?;
        let missing = || failed(io::Error::other("the new process has no pipes"));
        let pid = child.id().ok_or_else(missing)?;
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let stderr_tail = Arc::new(Mutex::new(Vec::new()));
        let stderr_reader = tokio::spawn(keep_tail(stderr, Arc::clone(&stderr_tail)));
        lock(table).insert(
            pid,
            WorkerStatus {
                pid,
                busy: true,
                jobs: 0,
            },
        );
        let mut worker = Self {
            pid,
            child,
            stdin,
            stdout,
            stderr_tail,
            stderr_reader,
            jobs: 0,
            table: Arc::clone(table),
        };
        let greeting = time::timeout(START_TIMEOUT, worker.greet(config)).await;
        let refusal = match greeting {
            Ok(Ok(Greeting::Ready { protocol, steps })) if protocol == wire::PROTOCOL => {
                let level = Level { steps };
                if config.level == RequiredLevel::Available || level.missing().is_empty() {
                    return Ok((worker, level));
                }
                not_full(&level)
            }
            Ok(Ok(Greeting::Ready { protocol, .. })) => {
                format!("its protocol is {protocol} instead of {}", wire::PROTOCOL)
            }
            Ok(Ok(Greeting::Refused { detail })) => check::line(&detail),
            Ok(Err(error)) => {
                let ended = match worker.status().await {
                    Some(status) => worker.tell(status).await,
                    None => "it did not end".to_owned(),
                };
                format!("no greeting ({error}): {ended}")
            }
            Err(_) => format!("no greeting within {} s", START_TIMEOUT.as_secs()),
        };
        Err(Error::Setup(refusal))
    }

    async fn greet(&mut self, config: &Config) -> io::Result<Greeting> {
        let setup = Setup {
            protocol: wire::PROTOCOL,
            parent: std::process::id(),
            threads: config.threads.max(1),
            memory_bytes: config.memory_bytes,
            cpu_seconds: config.cpu_seconds(),
            jobs: config.jobs_per_worker,
            limits: config.limits,
            metadata: config.metadata,
            priority: config.priority,
        };
        wire::send_head(&mut self.stdin, &setup).await?;
        wire::receive_head(&mut self.stdout).await
    }

    /// Tells whether the worker can be given another source.
    pub(crate) fn is_fit(&mut self, config: &Config) -> bool {
        let is_small = procfs::resident_bytes(self.pid).is_none_or(|bytes| bytes <= config.idle_memory_bytes);
        is_small && self.jobs < config.jobs_per_worker && matches!(self.child.try_wait(), Ok(None))
    }

    /// Notes in the table of workers whether this one has a source.
    pub(crate) fn mark(&self, busy: bool) {
        let status = WorkerStatus {
            pid: self.pid,
            busy,
            jobs: self.jobs,
        };
        lock(&self.table).insert(self.pid, status);
    }

    /// Sends one source to the worker and waits for the answer. Gives the worker back when it can be used again.
    pub(crate) async fn work(
        mut self,
        operation: &Operation,
        source: &Bytes,
        deadline: Duration,
        config: &Config,
    ) -> Result<(Answer, Self), Fault> {
        self.jobs += 1;
        self.mark(true);
        lock(&self.stderr_tail).clear();
        let cpu_before = procfs::cpu_time(self.pid);
        let fault = match time::timeout(deadline, self.exchange(operation, source, config)).await {
            Ok(Ok(answer)) => return Ok((answer, self)),
            Ok(Err(reason)) => self.explain(reason, config).await,
            Err(_) => {
                let cpu = procfs::cpu_time(self.pid)
                    .zip(cpu_before)
                    .map(|(after, before)| after.saturating_sub(before));
                late(cpu, procfs::wants_to_run(self.pid), deadline)
            }
        };
        // Not an error when the process has ended by itself.
        drop(self.child.kill().await);
        let stderr = self.stderr_text().await;
        tracing::debug!(
            worker.pid = self.pid,
            worker.stderr = stderr,
            "render worker is gone"
        );
        Err(fault)
    }

    async fn exchange(
        &mut self,
        operation: &Operation,
        source: &Bytes,
        config: &Config,
    ) -> Result<Answer, NoAnswer> {
        let id = u64::from(self.jobs);
        let request = Request {
            id,
            operation: operation.clone(),
            source_bytes: source.len() as u64,
        };
        wire::send_head(&mut self.stdin, &request).await?;
        self.stdin.write_all(source).await?;
        receive_answer(&mut self.stdout, id, operation, config).await
    }

    /// Tells from the end of the worker, and from what it reported, who is at fault that there is no answer.
    async fn explain(&mut self, reason: NoAnswer, config: &Config) -> Fault {
        let limits = format!(
            "limits: {} MiB of memory, {} s of CPU time",
            config.memory_bytes >> 20,
            config.cpu_seconds()
        );
        Fault::Died(match reason {
            NoAnswer::Invalid(detail) => format!("the worker's answer was refused: {detail}"),
            NoAnswer::Panic(message) => format!("the worker panicked: {message}"),
            NoAnswer::Memory(detail) => format!("memory ran out: {detail} ({limits})"),
            NoAnswer::Pipe(error) => match self.status().await {
                Some(status) => match foreign_signal(status) {
                    Some(signal) => return Fault::Ended(Error::Ended { signal }),
                    None => format!("{} ({limits})", self.tell(status).await),
                },
                None => format!("the worker broke off its answer: {error}"),
            },
        })
    }

    /// Waits up to [`END_TIMEOUT`] for the worker to end by itself; `None` when it does not.
    async fn status(&mut self) -> Option<ExitStatus> {
        time::timeout(END_TIMEOUT, self.child.wait()).await.ok()?.ok()
    }

    /// Describes how the worker ended, with what it wrote on standard error.
    async fn tell(&mut self, status: ExitStatus) -> String {
        let stderr = self.stderr_text().await;
        let how = describe(status);
        if stderr.is_empty() {
            how
        } else {
            format!("{how}: {stderr}")
        }
    }

    /// The text that an ended worker wrote on standard error, in one line.
    async fn stderr_text(&mut self) -> String {
        // The pipe closes with the process, unless a descendant holds it.
        if !self.stderr_reader.is_finished() {
            drop(time::timeout(END_TIMEOUT, &mut self.stderr_reader).await);
        }
        let tail = lock(&self.stderr_tail).clone();
        let tail = String::from_utf8_lossy(&tail);
        // Rust's advice to set `RUST_BACKTRACE` is left out: the worker has no environment.
        let is_told = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
        check::line(&tail.lines().filter(is_told).collect::<Vec<_>>().join("; "))
    }

    /// Kills the worker and waits until the kernel has taken it away.
    pub(crate) async fn kill(mut self) {
        drop(self.child.kill().await);
    }
}

/// Reads the answer to request `id`, which asked for `operation`. Everything in it is checked before it is used.
pub(crate) async fn receive_answer(
    from: &mut (impl AsyncRead + Unpin),
    id: u64,
    operation: &Operation,
    config: &Config,
) -> Result<Answer, NoAnswer> {
    let reply: Reply = wire::receive_head(from).await?;
    if reply.id != id {
        return Err(NoAnswer::Invalid(format!(
            "it answered request {} instead of {id}",
            reply.id
        )));
    }
    match (reply.body, operation) {
        (Body::Probed(image), Operation::Probe) => Ok(Answer::Probed(
            check::image(image, &config.limits, config.metadata).map_err(NoAnswer::Invalid)?,
        )),
        (Body::Rendered { image, engine, files }, Operation::Render(recipe)) => {
            let image = check::image(image, &config.limits, config.metadata).map_err(NoAnswer::Invalid)?;
            check::engine(&engine).map_err(NoAnswer::Invalid)?;
            check::files(&files, recipe, image.dimensions, config.max_output_bytes)
                .map_err(NoAnswer::Invalid)?;
            let files = receive_files(from, files).await?;
            Ok(Answer::Rendered(Rendered { image, engine, files }))
        }
        (Body::Rejected(rejection), _) => Ok(Answer::Rejected(
            check::rejection(&rejection).map_err(NoAnswer::Invalid)?,
        )),
        (Body::Failed { detail }, _) => Ok(Answer::Failed(check::line(&detail))),
        (Body::OutOfMemory { detail }, _) => Err(NoAnswer::Memory(check::line(&detail))),
        (Body::Panicked { detail }, _) => Err(NoAnswer::Panic(check::line(&detail))),
        (Body::Probed(_), Operation::Render(_)) | (Body::Rendered { .. }, Operation::Probe) => Err(
            NoAnswer::Invalid("it answered another request than it was sent".to_owned()),
        ),
    }
}

/// Sizes were checked; memory is still taken only for what arrives.
async fn receive_files(
    from: &mut (impl AsyncRead + Unpin),
    heads: Vec<FileHead>,
) -> Result<Vec<RenderedFile>, NoAnswer> {
    let mut files = Vec::with_capacity(heads.len());
    for head in heads {
        let mut bytes = Vec::new();
        (&mut *from).take(head.size_bytes).read_to_end(&mut bytes).await?;
        if bytes.len() as u64 != head.size_bytes {
            return Err(NoAnswer::Pipe(io::ErrorKind::UnexpectedEof.into()));
        }
        check::signature(head.format, &bytes).map_err(NoAnswer::Invalid)?;
        files.push(RenderedFile {
            variant: head.variant,
            format: head.format,
            dimensions: head.dimensions,
            bytes: bytes.into(),
            encoding: check::encoding(head.encoding),
            cpu: head.cpu,
        });
    }
    Ok(files)
}

/// The refusal of a worker that reached less than the full level.
fn not_full(level: &Level) -> String {
    format!(
        "the jail's level is \"{}\" and \"full\" is required; this system does not grant: {}",
        level.name(),
        level.missing_names()
    )
}

fn command(program: &Path, config: &Config) -> Command {
    let mut command = Command::new(program);
    command
        .args(&config.args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // A process group of its own keeps Ctrl-C on a terminal away. Not a session of its own: kernels that schedule
        // by session (CONFIG_SCHED_AUTOGROUP) would give it as much CPU time as the parent, whatever its priority.
        .process_group(0);
    command
}

/// Keeps the last [`STDERR_TAIL_BYTES`] of what a worker writes on standard error.
async fn keep_tail(mut stderr: ChildStderr, tail: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
        let mut tail = lock(&tail);
        tail.extend_from_slice(&chunk[..length]);
        let surplus = tail.len().saturating_sub(STDERR_TAIL_BYTES);
        tail.drain(..surplus);
    }
}

/// The fault of a worker that passed its deadline: of the source when the worker had CPU time or nothing kept it from
/// running, of the machine when it still waited for a CPU, was stopped, or waited for a disk.
fn late(cpu: Option<Duration>, wants_to_run: Option<bool>, deadline: Duration) -> Fault {
    match (cpu, wants_to_run) {
        (Some(cpu), Some(true)) if cpu < deadline / 2 => Fault::Machine(Error::Starved { cpu, deadline }),
        _ => Fault::Died(format!(
            "rendering passed its deadline of {} s",
            deadline.as_secs_f64()
        )),
    }
}

/// The signal that ended a worker from outside; `None` for the signals of a crash of its own and of the limits that this
/// crate has set. `SIGKILL` comes from the kernel when memory is short, or from a person; a worker that is killed at
/// its deadline is not asked how it ended.
fn foreign_signal(status: ExitStatus) -> Option<i32> {
    status.signal().filter(|signal| {
        let own = [
            Signal::ILL,
            Signal::TRAP,
            Signal::ABORT,
            Signal::BUS,
            Signal::FPE,
            Signal::SEGV,
            Signal::PIPE,
            Signal::XCPU,
            Signal::XFSZ,
            Signal::SYS,
        ];
        !own.iter().any(|own| own.as_raw() == *signal)
    })
}

fn describe(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        let code = status.code().unwrap_or_default();
        return format!("the worker ended with exit code {code}");
    };
    let name = match signal {
        4 => " (illegal instruction)",
        6 => " (aborted)",
        7 => " (bus error)",
        8 => " (arithmetic error)",
        9 => " (killed)",
        11 => " (segmentation fault)",
        24 => " (CPU time used up)",
        31 => " (forbidden system call)",
        _ => "",
    };
    format!("the worker was ended by signal {signal}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_crashes_and_limits_are_the_workers_own() {
        let foreign = |raw| foreign_signal(ExitStatus::from_raw(raw));
        // Hang-up, interrupt, kill, alarm, terminate, and the two that programs may use as they like.
        for signal in [1, 2, 9, 14, 15, 10, 12] {
            assert_eq!(foreign(signal), Some(signal));
        }
        for signal in [4, 5, 6, 7, 8, 11, 24, 25, 31] {
            assert_eq!(foreign(signal), None, "{signal}");
            assert_eq!(foreign(signal | 0x80), None, "{signal} with a core dump");
        }
        assert_eq!(foreign(3 << 8), None, "exit code 3");
    }

    #[test]
    fn only_a_worker_that_could_have_run_blames_the_source() {
        let deadline = Duration::from_secs(10);
        let blames_source = |cpu: Option<u64>, wants_to_run| {
            matches!(
                late(cpu.map(Duration::from_secs), wants_to_run, deadline),
                Fault::Died(_)
            )
        };
        assert!(blames_source(Some(9), Some(true)));
        assert!(blames_source(Some(0), Some(false)));
        assert!(blames_source(None, None));
        assert!(!blames_source(Some(1), Some(true)));
    }
}
