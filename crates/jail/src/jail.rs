use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use tintype_model::{ImageInfo, Recipe, Rejection, RejectionCode, RenderError, Rendered, Renderer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    Config, Error, Level,
    process::{Answer, Fault, Worker, WorkerTable, lock},
    spawner::Spawner,
    wire::Operation,
};

/// A pool of worker processes that render.
///
/// Every call ends within the time that it waits for a free worker, plus twice [`Config::deadline`], plus the start of
/// a process, whatever the source is. Dropping the future of a call kills its worker. Clones share the pool; dropping
/// the last one kills all workers, and so does the end of this process, however it ends.
#[derive(Clone, Debug)]
pub struct Jail {
    inner: Arc<Inner>,
    deadline: Duration,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    spawner: Spawner,
    permits: Arc<Semaphore>,
    all_permits: u32,
    idle: Mutex<Vec<Worker>>,
    table: WorkerTable,
    level: Mutex<Level>,
    avif_tiles_refused: AtomicU64,
}

/// One worker, for diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerStatus {
    /// Its process id.
    pub pid: u32,
    /// True while it starts or has a source.
    pub busy: bool,
    /// The number of sources that it was given.
    pub jobs: u32,
}

impl Jail {
    /// An empty pool. Workers are started when they are needed, or by [`Self::warm`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        let all_permits = u32::try_from(config.workers.max(1)).unwrap_or(u32::MAX);
        Self {
            deadline: config.deadline,
            inner: Arc::new(Inner {
                permits: Arc::new(Semaphore::new(config.workers.max(1))),
                all_permits,
                config,
                spawner: Spawner::default(),
                idle: Mutex::default(),
                table: WorkerTable::default(),
                level: Mutex::default(),
                avif_tiles_refused: AtomicU64::new(0),
            }),
        }
    }

    /// The same pool, for a caller that has less time than [`Config::deadline`]; a longer one changes nothing.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            deadline: deadline.min(self.inner.config.deadline),
        }
    }

    /// Reads the properties of a source from its header.
    ///
    /// # Errors
    /// As [`Renderer::render`].
    pub async fn probe(&self, source: Bytes) -> Result<ImageInfo, RenderError> {
        match self.run(&Operation::Probe, &source).await? {
            Answer::Probed(image) => Ok(image),
            Answer::Rejected(rejection) => Err(RenderError::Rejected(rejection)),
            Answer::Failed(detail) => Err(Error::Engine(detail).into()),
            Answer::Rendered(_) => unreachable!("answers are checked against their operation"),
        }
    }

    /// Starts all workers, so that a machine on which they cannot be confined is reported at the start.
    ///
    /// # Errors
    /// [`RenderError::Failed`] when a worker cannot be started or refuses to work.
    pub async fn warm(&self) -> Result<(), RenderError> {
        let _all = self.enter(self.inner.all_permits).await?;
        while lock(&self.inner.idle).len() < self.inner.config.workers.max(1) {
            let worker = self.inner.start().await?;
            self.inner.keep(worker);
        }
        Ok(())
    }

    /// The confinement of the workers, as the last one that started reported it.
    #[must_use]
    pub fn level(&self) -> Level {
        lock(&self.inner.level).clone()
    }

    /// The number of AVIF renditions that this pool has made whose tiles did not fit together
    /// ([`tintype_model::Tiles::Refused`]).
    #[must_use]
    pub fn avif_tiles_refused(&self) -> u64 {
        self.inner.avif_tiles_refused.load(Ordering::Relaxed)
    }

    /// The workers alive now.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerStatus> {
        lock(&self.inner.table).values().copied().collect()
    }

    /// Waits for the sources that workers have, then ends all workers. Later calls fail with [`Error::Closed`].
    pub async fn shutdown(&self) {
        let all = self.enter(self.inner.all_permits).await;
        self.inner.permits.close();
        drop(all);
        let idle = std::mem::take(&mut *lock(&self.inner.idle));
        for worker in idle {
            worker.kill().await;
        }
    }

    async fn enter(&self, permits: u32) -> Result<OwnedSemaphorePermit, Error> {
        let semaphore = Arc::clone(&self.inner.permits);
        semaphore
            .acquire_many_owned(permits)
            .await
            .map_err(|_| Error::Closed)
    }

    /// Tries at most twice. A worker can die because of other workers (when the machine runs out of memory), so nothing
    /// else is rendered during the second try. A source is rejected only when its worker crashes or passes a limit that
    /// second time; a worker that was ended from outside is an error, and the caller tries again later.
    async fn run(&self, operation: &Operation, source: &Bytes) -> Result<Answer, RenderError> {
        let limit = self.inner.config.limits.max_bytes;
        if source.len() as u64 > limit {
            let detail = format!("source has {} bytes, the limit is {limit}", source.len());
            return Err(RenderError::Rejected(Rejection::new(
                RejectionCode::TooManyBytes,
                detail,
            )));
        }
        let one = self.enter(1).await?;
        let first = self.inner.take_idle();
        let first = match first {
            Some(worker) => worker,
            None => self.inner.start().await?,
        };
        match self.inner.work(first, operation, source, self.deadline).await {
            Ok(answer) => return Ok(answer),
            Err(Fault::Machine(error)) => return Err(error.into()),
            // The kernel may have chosen this worker among many: the source gets its second try at once.
            Err(Fault::Ended(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "trying the source once more, alone"
                );
            }
            Err(Fault::Died(how)) => {
                tracing::warn!(
                    jail.died = how,
                    "render worker died, trying the source once more, alone"
                );
            }
        }
        drop(one);
        let _all = self.enter(self.inner.all_permits).await?;
        let second = self.inner.start().await?;
        match self.inner.work(second, operation, source, self.deadline).await {
            Ok(answer) => Ok(answer),
            // Ended from outside although it was alone: nothing is known about the source.
            Err(Fault::Machine(error) | Fault::Ended(error)) => Err(error.into()),
            Err(Fault::Died(how)) => Err(RenderError::Rejected(Rejection::new(
                RejectionCode::DecoderKilled,
                how,
            ))),
        }
    }
}

impl Inner {
    async fn start(&self) -> Result<Worker, Error> {
        let (worker, level) = Worker::start(&self.spawner, &self.config, &self.table).await?;
        *lock(&self.level) = level;
        Ok(worker)
    }

    async fn work(
        &self,
        worker: Worker,
        operation: &Operation,
        source: &Bytes,
        deadline: Duration,
    ) -> Result<Answer, Fault> {
        let (answer, worker) = worker.work(operation, source, deadline, &self.config).await?;
        self.keep(worker);
        Ok(answer)
    }

    fn take_idle(&self) -> Option<Worker> {
        loop {
            let mut worker = lock(&self.idle).pop()?;
            if worker.is_fit(&self.config) {
                return Some(worker);
            }
        }
    }

    fn keep(&self, mut worker: Worker) {
        if worker.is_fit(&self.config) {
            worker.mark(false);
            lock(&self.idle).push(worker);
        }
    }
}

#[async_trait]
impl Renderer for Jail {
    async fn render(&self, source: Bytes, recipe: &Recipe) -> Result<Rendered, RenderError> {
        match self.run(&Operation::Render(recipe.clone()), &source).await? {
            Answer::Rendered(rendered) => {
                let refused = rendered.tiles_refused();
                self.inner
                    .avif_tiles_refused
                    .fetch_add(refused, Ordering::Relaxed);
                Ok(rendered)
            }
            Answer::Rejected(rejection) => Err(RenderError::Rejected(rejection)),
            Answer::Failed(detail) => Err(Error::Engine(detail).into()),
            Answer::Probed(_) => unreachable!("answers are checked against their operation"),
        }
    }
}
