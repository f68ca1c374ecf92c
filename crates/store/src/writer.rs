use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use rusqlite::{Connection, params};
use tokio::sync::{Notify, OwnedMutexGuard, oneshot};

use super::cache::RecordCache;
use super::file::{FileGuard, Files};
use super::name::{FileName, Kind};
use super::{Error, Result, damage};

/// The most writes that share a transaction, so that the first of them does not wait too long.
const MAX_BATCH: usize = 256;

/// The thread that writes to the database.
///
/// Writes that wait while a transaction is being committed share the next one: a hundred uploads at once pay a few
/// syncs, not a hundred. Each has a savepoint of its own, so that a failed one does not undo the others, and each is
/// answered only after the commit.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` while closing.
    queue: Option<mpsc::Sender<Box<dyn Write>>>,
    thread: Option<JoinHandle<()>>,
}

/// The effects of a committed write outside of the database, in files, records and queue.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Files that rows name from now on.
    pub(crate) kept: Vec<FileGuard>,
    /// Files that no row names any more.
    pub(crate) removed: Vec<FileName>,
    /// The sequencer that was given out, or 0.
    pub(crate) sequencer: u64,
    /// Keys whose records may have changed.
    pub(crate) records: Vec<String>,
    /// The number of jobs that are due now.
    pub(crate) due: usize,
    /// `true` when a job is due earlier than workers know.
    pub(crate) rescheduled: bool,
    /// A turn that is released after the write, even when its caller has stopped waiting.
    pub(crate) turn: Option<OwnedMutexGuard<()>>,
}

/// The receivers of the effects of committed writes.
#[derive(Debug)]
pub(crate) struct After {
    pub(crate) files: Arc<Files>,
    pub(crate) records: Arc<RecordCache>,
    pub(crate) due: Arc<Notify>,
}

/// A write whose result type is not known to the thread.
trait Write: Send {
    /// Runs it; `false` asks to roll it back.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Answers its caller. `failure` is the reason why nothing was committed.
    fn finish(self: Box<Self>, after: &After, failure: Option<&Failure>);
}

struct Call<T, F> {
    call: Option<F>,
    result: Option<Result<T>>,
    effects: Effects,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Write for Call<T, F>
where
    T: Send,
    F: FnOnce(&Connection, &mut Effects) -> Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let Some(call) = self.call.take() else {
            return false;
        };
        let result = call(connection, &mut self.effects);
        let succeeded = result.is_ok();
        self.result = Some(result);
        succeeded
    }

    fn finish(self: Box<Self>, after: &After, failure: Option<&Failure>) {
        // After a failure too: the content of the database is not known then.
        after.records.forget(&self.effects.records);
        let answer = match (failure, self.result) {
            (None, Some(Ok(value))) => {
                self.effects.apply(after);
                Ok(value)
            }
            // Its own failure is answered after the commit too: it may depend on other writes of the batch.
            (_, Some(Err(error))) => Err(error),
            (Some(failure), Some(Ok(_))) => {
                self.effects.kept.into_iter().for_each(FileGuard::abandon);
                Err(failure.to_error())
            }
            (Some(failure), None) => Err(failure.to_error()),
            (None, None) => Err(Error::Closed),
        };
        let _ = self.reply.send(answer);
    }
}

impl Effects {
    /// Queues the removal of a file that no row names from now on. Where the file's name alone does not allow its
    /// collection, the database notes it, so that it is collected if the process ends before.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub(crate) fn drop_file(&mut self, connection: &Connection, file: FileName) -> Result<()> {
        match file.kind() {
            Kind::Source | Kind::Legacy => {
                connection
                    .prepare_cached("INSERT OR IGNORE INTO trash (file) VALUES (?1)")?
                    .execute(params![file.as_str()])?;
            }
            Kind::Rendition | Kind::Part => {}
        }
        damage::clear(connection, &file)?;
        self.removed.push(file);
        Ok(())
    }

    fn apply(self, after: &After) {
        // Noted before the answer, so that later uploads get a higher order.
        after.files.note_order(self.sequencer);
        for guard in self.kept {
            guard.keep();
        }
        for name in self.removed {
            after.files.remove(name);
        }
        for _ in 0..self.due {
            after.due.notify_one();
        }
        if self.rescheduled {
            after.due.notify_waiters();
        }
    }
}

/// The reason why a transaction was not committed, for each of its writes.
struct Failure {
    full: bool,
    message: String,
}

impl Failure {
    fn new(error: &rusqlite::Error) -> Self {
        Self {
            full: error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            message: error.to_string(),
        }
    }

    fn to_error(&self) -> Error {
        if self.full {
            Error::Full(self.message.clone().into())
        } else {
            Error::NotCommitted(self.message.clone())
        }
    }
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(connection: Connection, after: After) -> Result<Self> {
        let (queue, writes) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sqlite-write".to_owned())
            .spawn(move || write(&connection, &writes, &after))
            .map_err(Error::io("start a thread"))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Runs `call` in a transaction. It happens even when the caller has stopped waiting.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection, &mut Effects) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (reply, answer) = oneshot::channel();
        let write = Box::new(Call {
            call: Some(call),
            result: None,
            effects: Effects::default(),
            reply,
        });
        if let Some(queue) = &self.queue {
            // A thread that is gone drops the write, which the caller sees as closed.
            let _ = queue.send(write);
        }
        answer
    }

    /// Runs `call` in a transaction, and waits for the commit.
    ///
    /// # Errors
    /// The error of `call`, or the reason why its transaction was not committed.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection, &mut Effects) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(call).await.unwrap_or(Err(Error::Closed))
    }
}

impl Drop for Writer {
    /// Waits until every write that was submitted is committed.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(connection: &Connection, writes: &mpsc::Receiver<Box<dyn Write>>, after: &After) {
    while let Ok(first) = writes.recv() {
        let mut waiting = vec![first];
        waiting.extend(writes.try_iter().take(MAX_BATCH - 1));
        let mut waiting = waiting.into_iter();
        while waiting.len() > 0 {
            let mut done = Vec::with_capacity(waiting.len());
            let failure = match commit(connection, &mut waiting, &mut done) {
                Ok(()) => None,
                Err(error) => {
                    roll_back(connection);
                    // A transaction that cannot begin fails for all of them alike.
                    if done.is_empty() {
                        done.extend(&mut waiting);
                    }
                    Some(Failure::new(&error))
                }
            };
            for write in done {
                write.finish(after, failure.as_ref());
            }
        }
    }
}

/// One transaction. Stops early when SQLite gave the transaction up by itself; the rest then goes into the next one.
fn commit(
    connection: &Connection,
    waiting: &mut std::vec::IntoIter<Box<dyn Write>>,
    done: &mut Vec<Box<dyn Write>>,
) -> rusqlite::Result<()> {
    let execute = |sql: &str| connection.prepare_cached(sql)?.execute([]);
    execute("BEGIN IMMEDIATE")?;
    for write in waiting {
        done.push(write);
        execute("SAVEPOINT one")?;
        let succeeded = done.last_mut().is_some_and(|write| write.run(connection));
        // A full disk or a failed read makes SQLite roll everything back: releasing then fails.
        if !succeeded && !connection.is_autocommit() {
            execute("ROLLBACK TO one")?;
        }
        execute("RELEASE one")?;
    }
    execute("COMMIT")?;
    Ok(())
}

fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "could not roll back");
    }
}
