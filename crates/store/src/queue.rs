use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use tintype_model::{Job, JobQueue, Record, UnixMillis};
use tokio::sync::futures::Notified;

use super::schema::{count, from_json, signed, to_json, unsigned};
use super::writer::Effects;
use super::{Error, Inner, Result};

/// The jobs of a [`super::Store`]: delivered at least once, in the order in which they are due.
///
/// A claim gives a job to one worker until its lease runs out; then the next claim gives it to another one, and the
/// first can no longer change it. Opening the store ends all leases.
#[derive(Clone, Debug)]
pub struct SqliteQueue {
    pub(super) inner: Arc<Inner>,
}

/// A job that was given to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its number in the queue.
    pub id: i64,
    /// The job.
    pub job: Job,
    /// The number of deliveries, this one included.
    pub attempt: u32,
    /// The number of times that the process ended while it had the job, to be checked before the work begins: a job
    /// that kills the process has to be given up.
    pub crashes: u32,
    /// The time since the job failed for the first time; zero when it did not fail yet.
    pub failing_for: Duration,
    /// Tells this claim from others of the same job; each is greater than all before it.
    pub token: i64,
}

/// The number of jobs by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting for a worker.
    pub ready: u64,
    /// Waiting for their time to be tried again.
    pub delayed: u64,
    /// Leased by a worker.
    pub leased: u64,
    /// Given up.
    pub dead: u64,
}

/// A job that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadJob {
    /// Its number in the queue.
    pub id: i64,
    /// The job; `None` when it cannot be read.
    pub job: Option<Job>,
    /// The number of times that it was delivered.
    pub attempts: u32,
    /// The error of the last try.
    pub error: String,
    /// The time at which it was queued.
    pub enqueued_at: UnixMillis,
    /// The time at which it was given up.
    pub died_at: UnixMillis,
}

/// Queues a job within a transaction.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn insert(
    connection: &Connection,
    effects: &mut Effects,
    job: &Job,
    now: UnixMillis,
) -> Result<()> {
    let (now, delay) = (signed(now.0), millis(job.work.delay()));
    connection
        .prepare_cached(
            "INSERT INTO jobs (key, job, state, due_at, delay, enqueued_at) VALUES (?1, ?2, 'ready', ?3, ?4, ?5)",
        )?
        .execute(params![
            job.key.as_str().as_bytes(),
            to_json(job),
            now.saturating_add(delay),
            delay,
            now
        ])?;
    if delay == 0 {
        effects.due += 1;
    } else {
        effects.rescheduled = true;
    }
    Ok(())
}

/// Removes the dead letters that a record overtakes: those of older work, and of the work whose final result it is.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn forget_dead(connection: &Connection, record: &Record) -> Result<()> {
    let mut dead = connection.prepare_cached("SELECT id, job FROM jobs WHERE key = ?1 AND state = 'dead'")?;
    let rows = dead.query_map(params![record.key.as_str().as_bytes()], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    let dead: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>()?;
    let newest = record.newest_order();
    for (id, json) in dead {
        // A job that cannot be read is not understood, so it stays.
        let Ok(job) = from_json::<Job>(&json) else {
            continue;
        };
        if job.order < *newest || (job.order == *newest && !record.is_provisional()) {
            connection
                .prepare_cached("DELETE FROM jobs WHERE id = ?1")?
                .execute(params![id])?;
        }
    }
    Ok(())
}

/// Makes the jobs of a process that has ended ready again, and shortens delays that a clock set back has made longer.
///
/// # Errors
/// Errors of SQLite.
pub(crate) fn recover(connection: &Connection, now: UnixMillis) -> Result<usize> {
    let now = signed(now.0);
    let recovered = connection.execute(
        "UPDATE jobs SET state = 'ready', due_at = ?1, delay = 0, crashes = crashes + 1 WHERE state = 'leased'",
        params![now],
    )?;
    connection.execute(
        "UPDATE jobs SET failing_since = ?1 WHERE failing_since > ?1",
        params![now],
    )?;
    connection.execute(
        "UPDATE jobs SET due_at = min(due_at, ?1 + delay) WHERE state = 'ready' AND due_at > ?1 + delay",
        params![now],
    )?;
    Ok(recovered)
}

/// Prefers keys without a leased job: of two workers on one key, one would work for nothing.
const FIND_OTHER_KEY: &str =
    "SELECT id, job, attempts, crashes, failing_since FROM jobs AS waiting INDEXED BY jobs_due
     WHERE state <> 'dead' AND due_at <= ?1 AND NOT EXISTS (
         SELECT 1 FROM jobs AS busy
         WHERE busy.key = waiting.key AND busy.state = 'leased' AND busy.due_at > ?1)
     ORDER BY due_at, id LIMIT 1";
const FIND_ANY: &str = "SELECT id, job, attempts, crashes, failing_since FROM jobs INDEXED BY jobs_due
     WHERE state <> 'dead' AND due_at <= ?1 ORDER BY due_at, id LIMIT 1";

fn claim(connection: &Connection, now: UnixMillis, lease: Duration) -> Result<Option<Claimed>> {
    let now = signed(now.0);
    let find = |sql: &str| {
        connection
            .prepare_cached(sql)?
            .query_row(params![now], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, u32>(2)?,
                    row.get::<_, u32>(3)?,
                    row.get::<_, Option<i64>>(4)?,
                ))
            })
            .optional()
    };
    loop {
        let found = match find(FIND_OTHER_KEY)? {
            Some(found) => Some(found),
            None => find(FIND_ANY)?,
        };
        let Some((id, json, attempts, crashes, failing_since)) = found else {
            return Ok(None);
        };
        let job = match from_json(&json) {
            Ok(job) => job,
            Err(error) => {
                // It can never be done, and would block all others.
                connection
                    .prepare_cached("UPDATE jobs SET state = 'dead', due_at = ?2, error = ?3 WHERE id = ?1")?
                    .execute(params![id, now, error.to_string()])?;
                continue;
            }
        };
        let (attempt, token) = (attempts.saturating_add(1), count(connection, "lease")?);
        connection
            .prepare_cached(
                "UPDATE jobs SET state = 'leased', due_at = ?2, delay = 0, attempts = ?3, lease = ?4 WHERE id = ?1",
            )?
            .execute(params![id, now.saturating_add(millis(lease)), attempt, token])?;
        let failing_for = failing_since.map_or(0, |since| unsigned(now.saturating_sub(since)));
        return Ok(Some(Claimed {
            id,
            job,
            attempt,
            crashes,
            failing_for: Duration::from_millis(failing_for),
            token,
        }));
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl SqliteQueue {
    /// Gives the next job that is due, if any, to the caller for `lease`. Jobs of keys without a leased job come
    /// first.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Sqlite`], [`Error::NotCommitted`].
    pub async fn claim(&self, lease: Duration) -> Result<Option<Claimed>> {
        let now = self.inner.clock.steady();
        let answer = self
            .inner
            .writer
            .submit(move |connection, _| claim(connection, now, lease));
        // A caller that stops waiting must not keep a job leased. When the store closes, all leases end anyway.
        let store = Arc::downgrade(&self.inner);
        let (hand_over, taken) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let claimed = answer.await.unwrap_or(Err(Error::Closed));
            if let Err(Ok(Some(claimed))) = hand_over.send(claimed)
                && let Some(inner) = store.upgrade()
                && let Err(error) = (Self { inner }).return_now(&claimed).await
            {
                tracing::warn!(job.id = claimed.id, %error, "a claimed job stays leased");
            }
        });
        taken.await.unwrap_or(Err(Error::Closed))
    }

    /// Waits for a job to be due and claims it. May be dropped at any time.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub async fn next(&self, lease: Duration) -> Result<Claimed> {
        loop {
            let notified = self.notified();
            tokio::pin!(notified);
            // Enabled before the check, so that a job that arrives between the check and the wait is noticed.
            notified.as_mut().enable();
            if let Some(claimed) = self.claim(lease).await? {
                return Ok(claimed);
            }
            match self.next_due().await? {
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, notified).await;
                }
                None => notified.await,
            }
        }
    }

    /// Ready when a job was queued, or put back earlier than known, after this was polled or enabled first.
    pub fn notified(&self) -> Notified<'_> {
        self.inner.due.notified()
    }

    /// The time until the next job is due or the next lease runs out; zero when one is due, `None` when there is
    /// nothing to wait for.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub async fn next_due(&self) -> Result<Option<Duration>> {
        let due_at: Option<i64> = self
            .inner
            .readers
            .run(|connection| {
                let sql = "SELECT due_at FROM jobs INDEXED BY jobs_due WHERE state <> 'dead' ORDER BY due_at LIMIT 1";
                Ok(connection
                    .prepare_cached(sql)?
                    .query_row([], |row| row.get(0))
                    .optional()?)
            })
            .await?;
        let now = self.inner.clock.steady().0;
        Ok(due_at.map(|due_at| Duration::from_millis(unsigned(due_at).saturating_sub(now))))
    }

    /// Keeps the job for `lease` from now.
    ///
    /// # Errors
    /// [`Error::StaleLease`] when another worker has the job; stop working on it. Otherwise as [`Self::claim`].
    pub async fn extend(&self, claimed: &Claimed, lease: Duration) -> Result<()> {
        let until = signed(self.inner.clock.steady().0).saturating_add(millis(lease));
        self.settle(claimed, move |connection, id, _| {
            connection
                .prepare_cached("UPDATE jobs SET due_at = ?2 WHERE id = ?1")?
                .execute(params![id, until])?;
            Ok(())
        })
        .await
    }

    /// Removes a job that is done.
    ///
    /// # Errors
    /// [`Error::StaleLease`] when it may be delivered again. Otherwise as [`Self::claim`].
    pub async fn ack(&self, claimed: &Claimed) -> Result<()> {
        self.settle(claimed, |connection, id, _| {
            connection
                .prepare_cached("DELETE FROM jobs WHERE id = ?1")?
                .execute(params![id])?;
            Ok(())
        })
        .await
    }

    /// Makes a failed job due again after `delay`.
    ///
    /// # Errors
    /// [`Error::StaleLease`], otherwise as [`Self::claim`].
    pub async fn retry_later(&self, claimed: &Claimed, delay: Duration, error: String) -> Result<()> {
        let (now, delay) = (signed(self.inner.clock.steady().0), millis(delay));
        self.settle(claimed, move |connection, id, effects| {
            effects.rescheduled = true;
            connection
                .prepare_cached(
                    "UPDATE jobs SET state = 'ready', due_at = ?2, delay = ?3, error = ?4,
                        failing_since = coalesce(failing_since, ?5) WHERE id = ?1",
                )?
                .execute(params![id, now.saturating_add(delay), delay, error, now])?;
            Ok(())
        })
        .await
    }

    /// Gives a job up: it stays as a dead letter until [`Self::redrive`].
    ///
    /// # Errors
    /// [`Error::StaleLease`], otherwise as [`Self::claim`].
    pub async fn bury(&self, claimed: &Claimed, error: String) -> Result<()> {
        let now = signed(self.inner.clock.steady().0);
        self.settle(claimed, move |connection, id, _| {
            connection
                .prepare_cached("UPDATE jobs SET state = 'dead', due_at = ?2, error = ?3 WHERE id = ?1")?
                .execute(params![id, now, error])?;
            Ok(())
        })
        .await
    }

    /// Makes an unfinished job due at once, without counting this delivery: the worker stops.
    ///
    /// # Errors
    /// [`Error::StaleLease`], otherwise as [`Self::claim`].
    pub async fn return_now(&self, claimed: &Claimed) -> Result<()> {
        let now = signed(self.inner.clock.steady().0);
        self.settle(claimed, move |connection, id, effects| {
            effects.due += 1;
            connection
                .prepare_cached(
                    "UPDATE jobs SET state = 'ready', due_at = ?2, attempts = max(attempts - 1, 0) WHERE id = ?1",
                )?
                .execute(params![id, now])?;
            Ok(())
        })
        .await
    }

    /// Makes a dead letter ready again, as if it had never been tried; `false` when there is no such dead letter.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub async fn redrive(&self, id: i64) -> Result<bool> {
        Ok(self.revive(Some(id)).await? == 1)
    }

    /// Does so with all dead letters; returns their number.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub async fn redrive_all(&self) -> Result<usize> {
        self.revive(None).await
    }

    /// The number of jobs by state.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub async fn depth(&self) -> Result<Depth> {
        let now = signed(self.inner.clock.steady().0);
        self.inner
            .readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT count(*) FILTER (WHERE state = 'ready' AND due_at <= ?1),
                            count(*) FILTER (WHERE state = 'ready' AND due_at > ?1),
                            count(*) FILTER (WHERE state = 'leased'),
                            count(*) FILTER (WHERE state = 'dead')
                     FROM jobs",
                )?;
                Ok(statement.query_row(params![now], |row| {
                    Ok(Depth {
                        ready: unsigned(row.get(0)?),
                        delayed: unsigned(row.get(1)?),
                        leased: unsigned(row.get(2)?),
                        dead: unsigned(row.get(3)?),
                    })
                })?)
            })
            .await
    }

    /// At most `limit` dead letters, oldest first.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub async fn dead(&self, limit: usize) -> Result<Vec<DeadJob>> {
        self.inner
            .readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT id, job, attempts, error, enqueued_at, due_at FROM jobs INDEXED BY jobs_dead
                     WHERE state = 'dead' ORDER BY id LIMIT ?1",
                )?;
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let dead = statement.query_map(params![limit], |row| {
                    Ok(DeadJob {
                        id: row.get(0)?,
                        job: from_json(row.get_ref(1)?.as_str()?).ok(),
                        attempts: row.get(2)?,
                        error: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
                        enqueued_at: UnixMillis(unsigned(row.get(4)?)),
                        died_at: UnixMillis(unsigned(row.get(5)?)),
                    })
                })?;
                Ok(dead.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn revive(&self, id: Option<i64>) -> Result<usize> {
        let now = signed(self.inner.clock.steady().0);
        self.inner
            .writer
            .run(move |connection, effects| {
                let revived = connection
                    .prepare_cached(
                        "UPDATE jobs SET state = 'ready', due_at = ?1, delay = 0, attempts = 0, crashes = 0,
                            failing_since = NULL
                         WHERE state = 'dead' AND (?2 IS NULL OR id = ?2)",
                    )?
                    .execute(params![now, id])?;
                effects.due += revived;
                Ok(revived)
            })
            .await
    }

    /// Changes a leased job, if the lease is still the caller's.
    async fn settle(
        &self,
        claimed: &Claimed,
        change: impl FnOnce(&Connection, i64, &mut Effects) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (id, token) = (claimed.id, claimed.token);
        self.inner
            .writer
            .run(move |connection, effects| {
                // A lease that ran out still holds while no other worker has the job.
                let held = connection
                    .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1 AND state = 'leased' AND lease = ?2")?
                    .exists(params![id, token])?;
                if !held {
                    return Err(Error::StaleLease { id });
                }
                change(connection, id, effects)
            })
            .await
    }
}

#[async_trait]
impl JobQueue for SqliteQueue {
    async fn enqueue(&self, job: &Job) -> tintype_model::Result<()> {
        let (job, now) = (job.clone(), self.inner.clock.steady());
        Ok(self
            .inner
            .writer
            .run(move |connection, effects| insert(connection, effects, &job, now))
            .await?)
    }
}
