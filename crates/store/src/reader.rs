use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Error, Result, schema};

type Read = Box<dyn FnOnce(&mut Connection) + Send>;

/// A few threads with a connection each. A read waits for a free one, never for a write.
///
/// Threads of our own answer a point read sooner and more evenly than the shared blocking pool, which file
/// operations keep busy.
#[derive(Debug)]
pub(crate) struct Readers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    reads: VecDeque<Read>,
    closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("Queue")
            .field("waiting", &state.reads.len())
            .field("closed", &state.closed)
            .finish()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Read> {
        let mut state = self.lock();
        loop {
            if let Some(read) = state.reads.pop_front() {
                return Some(read);
            }
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Readers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// When a connection or a thread cannot be made.
    pub(crate) fn start(path: &Path, count: usize) -> Result<Self> {
        let mut readers = Self {
            queue: Arc::default(),
            threads: Vec::with_capacity(count),
        };
        for number in 0..count {
            let mut connection = schema::open_reader(path)?;
            let queue = readers.queue.clone();
            let thread = std::thread::Builder::new()
                .name(format!("sqlite-read-{number}"))
                .spawn(move || {
                    while let Some(read) = queue.next() {
                        read(&mut connection);
                    }
                })
                .map_err(Error::io("start a thread"))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs `read` on one of the threads. It sees every write that was acknowledged before this call.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            // Without a caller that waits, the work is not done.
            if !reply.is_closed() {
                let _ = reply.send(read(connection));
            }
        });
        self.queue.lock().reads.push_back(read);
        self.queue.arrived.notify_one();
        answer
    }

    /// Runs `read` on one of the threads, and waits for its result.
    ///
    /// # Errors
    /// Errors of `read`.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(read).await.unwrap_or(Err(Error::Closed))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.arrived.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
