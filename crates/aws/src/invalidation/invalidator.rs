use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tintype_model::{ObjectKey, UnixMillis, error_chain};
use tokio::time::Instant;

use super::merge::{MOST_PATHS, paths, plain_paths, scopes};
use super::path::EVERYTHING;
use super::{Answer, Caches, Inbox, Kind, RemoteError, Waiting, Withdrawal};

/// The most messages of one run; more wait for the next one.
const MOST_MESSAGES: usize = 10_000;

/// Requests to the queue at once.
const AT_ONCE: usize = 8;

/// Receipts in one request to the queue.
const BATCH: usize = 10;

/// Asks the caches to forget what is no longer public.
#[derive(Clone, Debug)]
pub struct Invalidator {
    inbox: Arc<dyn Inbox>,
    caches: Arc<dyn Caches>,
    window: Duration,
}

/// The result of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Messages that were received.
    pub received: usize,
    /// The paths that the caches are forgetting now; none when they were not asked or had no time.
    pub paths: Vec<String>,
    /// Messages that are done.
    pub told: usize,
    /// Messages that come back later.
    pub kept: usize,
}

/// A message that is understood.
#[derive(Clone, Debug)]
struct News {
    message: Waiting,
    withdrawal: Withdrawal,
}

impl Invalidator {
    /// An invalidator that gathers replaced pictures for windows of this length, which begin at its multiples.
    #[must_use]
    pub fn new(inbox: Arc<dyn Inbox>, caches: Arc<dyn Caches>, window: Duration) -> Self {
        Self {
            inbox,
            caches,
            window,
        }
    }

    /// Takes everything that waits, and tells the caches in one request, as precisely as few paths allow.
    ///
    /// Removed pictures are told of at once. Replaced ones wait until the window in which they were sent is over, unless
    /// the paths of others cover them: each path costs money. What the caches have no time for comes back after a minute,
    /// then after two, then every five minutes, with whatever else waits then, and takes fewer paths each time, in the
    /// end one for everything. So it gets its turn however busy they are.
    ///
    /// Receiving ends at `collect_until`.
    ///
    /// # Errors
    /// When the queue does not answer, or the caches answer neither that they do it nor that they have no time. All
    /// messages come back then.
    pub async fn run(&self, now: UnixMillis, collect_until: Instant) -> Result<Run, RemoteError> {
        let messages = self.collect(collect_until).await?;
        let received = messages.len();
        let (due, early): (Vec<News>, Vec<News>) = messages
            .into_iter()
            .filter_map(understood)
            .partition(|news| self.hold(news, now).is_none());
        let due_scopes = scopes(due.iter().map(|news| &news.withdrawal.key));
        if due.is_empty() {
            let kept = early.len();
            self.hide_until_their_windows_end(early, now).await;
            return Ok(Run {
                received,
                kept,
                ..Run::default()
            });
        }
        let covered = |key: &ObjectKey| due_scopes.iter().any(|scope| scope.covers(key));
        let (along, early): (Vec<News>, Vec<News>) =
            early.into_iter().partition(|news| covered(&news.withdrawal.key));
        let told: Vec<News> = due.into_iter().chain(along).collect();
        let refusals = told.iter().map(refusals).max().unwrap_or_default();
        let budget = budget(refusals);
        let candidates = [
            paths(&due_scopes, budget),
            plain_paths(&due_scopes),
            vec![EVERYTHING.to_owned()],
        ];
        let asked = self.ask(&told, candidates).await;
        let kept = early.len();
        self.hide_until_their_windows_end(early, now).await;
        let (paths, done) = match asked? {
            Some(paths) => (paths, true),
            None => (Vec::new(), false),
        };
        let (told, again) = if done {
            (told, Vec::new())
        } else {
            (Vec::new(), told)
        };
        let run = Run {
            received,
            paths,
            told: told.len(),
            kept: kept + again.len(),
        };
        self.delete(receipts(told)).await;
        self.hide(receipts(again), busy_delay(refusals)).await;
        Ok(run)
    }

    /// Receives until nothing waits: one request when the queue is empty, several at once while it is not.
    async fn collect(&self, until: Instant) -> Result<Vec<Waiting>, RemoteError> {
        let mut all = self.inbox.take().await?;
        let mut more = !all.is_empty();
        while more && all.len() < MOST_MESSAGES && Instant::now() < until {
            let taken = join_all((0..AT_ONCE).map(|_| self.inbox.take())).await;
            more = false;
            for some in taken {
                match some {
                    Ok(some) => {
                        more |= !some.is_empty();
                        all.extend(some);
                    }
                    // What is here is worth telling; the rest waits.
                    Err(error) => tracing::warn!(error = error_chain(&*error), "receiving ended early"),
                }
            }
        }
        Ok(all)
    }

    /// Asks with the first of these lists of paths that the caches take for valid; the one that they accepted, or `None`
    /// when they are busy.
    async fn ask(
        &self,
        told: &[News],
        candidates: impl IntoIterator<Item = Vec<String>>,
    ) -> Result<Option<Vec<String>>, RemoteError> {
        for paths in candidates {
            match self.caches.forget(&reference(told, &paths), &paths).await? {
                Answer::Accepted => return Ok(Some(paths)),
                Answer::Busy => return Ok(None),
                Answer::Invalid => {
                    tracing::error!(
                        ?paths,
                        "the caches refuse a path as invalid: they are asked for wider ones"
                    );
                }
            }
        }
        Err("the caches refuse even the path of everything".into())
    }

    /// How long the message has to wait for its window to end; `None` when it is to be told of now.
    fn hold(&self, news: &News, now: UnixMillis) -> Option<Duration> {
        let window = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
        if news.withdrawal.kind == Kind::Removed || window == 0 {
            return None;
        }
        let end = (news.message.sent_at.0 / window + 1).saturating_mul(window);
        let left = end.saturating_sub(now.0);
        // Whole seconds are SQS's unit; rounded up, so that it is not back a moment too early.
        (left > 0).then(|| Duration::from_secs(left.div_ceil(1000)))
    }

    /// Those that were sent in one window come back together.
    async fn hide_until_their_windows_end(&self, early: Vec<News>, now: UnixMillis) {
        let mut by_delay: BTreeMap<Duration, Vec<News>> = BTreeMap::new();
        for news in early {
            let delay = self.hold(&news, now).unwrap_or_default();
            by_delay.entry(delay).or_default().push(news);
        }
        for (delay, news) in by_delay {
            self.hide(receipts(news), delay).await;
        }
    }

    /// A message that is not deleted is told of again, which is only money.
    async fn delete(&self, receipts: Vec<String>) {
        self.in_batches(receipts, |batch| async move { self.inbox.done(&batch).await })
            .await;
    }

    /// A message that is not hidden comes back when the queue's own visibility timeout is over.
    async fn hide(&self, receipts: Vec<String>, delay: Duration) {
        self.in_batches(
            receipts,
            |batch| async move { self.inbox.hide(&batch, delay).await },
        )
        .await;
    }

    async fn in_batches<F>(&self, receipts: Vec<String>, request: impl Fn(Vec<String>) -> F)
    where
        F: Future<Output = Result<(), RemoteError>>,
    {
        let batches: Vec<Vec<String>> = receipts.chunks(BATCH).map(<[String]>::to_vec).collect();
        let answers = stream::iter(batches).map(request).buffer_unordered(AT_ONCE);
        let mut answers = std::pin::pin!(answers);
        while let Some(answer) = answers.next().await {
            if let Err(error) = answer {
                tracing::warn!(
                    error = error_chain(&*error),
                    "messages come back by the queue's own time"
                );
            }
        }
    }
}

/// A message that is not understood is left alone, so that it ends in the dead-letter queue.
fn understood(message: Waiting) -> Option<News> {
    match Withdrawal::parse(&message.body) {
        Ok(withdrawal) => Some(News { message, withdrawal }),
        Err(error) => {
            tracing::error!(
                error = error_chain(&error),
                receive_count = message.receives,
                body = message.body,
                "a message that is not understood stays in the queue"
            );
            None
        }
    }
}

fn receipts(news: Vec<News>) -> Vec<String> {
    news.into_iter().map(|news| news.message.receipt).collect()
}

/// How often the caches may have had no time for it: its receives without this one and, where it was held until the end
/// of its window, without that one.
fn refusals(news: &News) -> u32 {
    let others = match news.withdrawal.kind {
        Kind::Removed => 1,
        Kind::Replaced => 2,
    };
    news.message.receives.saturating_sub(others)
}

/// The number of paths that are asked for after that many refusals: fewer find a place sooner.
const fn budget(refusals: u32) -> usize {
    match refusals {
        0..=2 => MOST_PATHS,
        3..=4 => 6,
        5..=6 => 3,
        _ => 1,
    }
}

/// How long what was refused stays hidden.
const fn busy_delay(refusals: u32) -> Duration {
    Duration::from_secs(match refusals {
        0 => 60,
        1 => 120,
        _ => 300,
    })
}

/// Names the request for these messages and paths. When the same messages come again, because they could not be deleted,
/// it is the same request and costs nothing; a message that was sent later is another one.
fn reference(told: &[News], paths: &[String]) -> String {
    let mut withdrawals: Vec<(&ObjectKey, UnixMillis)> = told
        .iter()
        .map(|news| (&news.withdrawal.key, news.message.sent_at))
        .collect();
    withdrawals.sort_unstable();
    withdrawals.dedup();
    let mut digest = Sha256::new();
    for (key, sent_at) in withdrawals {
        // A key may have line ends in it, so its length goes before it.
        let key = key.as_str();
        digest.update(format!("{} {key} {}\n", key.len(), sent_at.0));
    }
    for path in paths {
        digest.update(format!("{path}\n"));
    }
    format!("tintype-{}", hex::encode(&digest.finalize()[..16]))
}
