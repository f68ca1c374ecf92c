//! Counts of the records by status, out of the index. DynamoDB counts by reading, so the reading is bounded, and its
//! result is used for a while.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::Select;
use futures::{StreamExt, TryStreamExt, stream};
use tintype_model::{Result, StatusCounts, StatusKind};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::CallError;
use super::index::{self, CONCURRENCY, Keys};

/// The most answers of 1 MB that are read of one shard of one status: some 4,000 records each, so that a status is
/// counted exactly up to some 100,000 records. All statuses together are 128 answers at most, 0.002 USD.
const MAX_PAGES: usize = 4;

/// The last counts, and the time that they are used for.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    fresh: Duration,
    last: Arc<Mutex<Option<(Instant, StatusCounts)>>>,
}

impl Counted {
    /// Counts that are used again for that time.
    pub(super) fn fresh_for(fresh: Duration) -> Self {
        Self {
            fresh,
            last: Arc::default(),
        }
    }

    /// The counts: the last ones, if they are fresh. Callers at the same time share one answer.
    pub(super) async fn counts(&self, client: &Client, table: &str) -> Result<StatusCounts> {
        let mut last = self.last.lock().await;
        if let Some((at, counts)) = &*last
            && at.elapsed() < self.fresh
        {
            return Ok(*counts);
        }
        let counts = count_all(client, table).await?;
        let counted_at = Some(SystemTime::now().into());
        *last = (!self.fresh.is_zero()).then(|| (Instant::now(), StatusCounts { counted_at, ..counts }));
        Ok(counts)
    }
}

async fn count_all(client: &Client, table: &str) -> Result<StatusCounts> {
    let [pending, ready, rejected, failed] = index::SHOWN.map(|status| count(client, table, status));
    let (pending, ready, rejected, failed) = futures::try_join!(pending, ready, rejected, failed)?;
    Ok(StatusCounts {
        pending: pending.number,
        ready: ready.number,
        rejected: rejected.number,
        failed: failed.number,
        at_least: [pending, ready, rejected, failed]
            .iter()
            .any(|count| count.at_least),
        counted_at: None,
    })
}

/// An exact number of records, or a lower bound.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    number: u64,
    at_least: bool,
}

impl Count {
    const fn plus(self, other: Self) -> Self {
        Self {
            number: self.number + other.number,
            at_least: self.at_least || other.at_least,
        }
    }
}

async fn count(client: &Client, table: &str, status: StatusKind) -> Result<Count> {
    stream::iter(index::shards(status))
        .map(|shard| count_shard(client, table, shard))
        .buffer_unordered(CONCURRENCY)
        .try_fold(
            Count::default(),
            |total, part| async move { Ok(total.plus(part)) },
        )
        .await
}

async fn count_shard(client: &Client, table: &str, shard: String) -> Result<Count> {
    let mut total = Count::default();
    let mut start = None;
    for _ in 0..MAX_PAGES {
        let output = Keys::All
            .query(client, table, shard.clone())
            .select(Select::Count)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| CallError::new("dynamodb:Query", error))?;
        total.number += u64::try_from(output.count).unwrap_or_default();
        start = output.last_evaluated_key;
        if start.is_none() {
            return Ok(total);
        }
    }
    total.at_least = true;
    Ok(total)
}
