use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tintype_model::{ObjectKey, UnixMillis, error_chain};
use tokio::time::Instant;

use super::merge::{MOST_PATHS, merge, paths, plain_paths, scopes};
use super::path::{EVERYTHING, Scope};
use super::{Answer, Caches, Inbox, Kind, Waiting, Withdrawal};
use crate::RemoteError;

/// The most messages of one run; more wait for the next one.
const MOST_MESSAGES: usize = 10_000;

/// Requests to the queue at once.
const AT_ONCE: usize = 16;

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
    /// Removed pictures are told of at once. Replaced ones wait until the window in which they were sent is over,
    /// unless the paths of others cover them: each path costs money. What the caches have no time for comes back after
    /// a minute, then after two, then every five minutes, with whatever else waits then, and takes fewer paths each
    /// time, in the end one for everything. So it gets its turn however busy they are.
    ///
    /// Receiving ends at `collect_until`.
    ///
    /// # Errors
    /// When the queue does not answer, or the caches answer with any other error than that they are busy. All messages
    /// come back then.
    pub async fn run(&self, now: UnixMillis, collect_until: Instant) -> Result<Run, RemoteError> {
        let messages = self.collect(collect_until).await?;
        let received = messages.len();
        let news = messages.into_iter().filter_map(understood).collect();
        let (scopes, due, early) = self.divide(news, now);
        let refusals = due.iter().map(refusals).max().unwrap_or_default();
        let kept = early.len();
        self.hide(early).await;
        let told = due.len();
        let paths = if due.is_empty() {
            None
        } else {
            self.ask(&due, &scopes, budget(refusals)).await?
        };
        let Some(paths) = paths else {
            let delay = busy_delay(refusals);
            self.hide(due.into_iter().map(|news| (news, delay)).collect())
                .await;
            return Ok(Run {
                received,
                kept: kept + told,
                ..Run::default()
            });
        };
        self.delete(due).await;
        Ok(Run {
            received,
            paths,
            told,
            kept,
        })
    }

    /// The scopes that are due, the news that they cover, and the news that wait, each with the time until its window
    /// ends: those that were sent in one window come back together.
    fn divide(&self, news: Vec<News>, now: UnixMillis) -> (Vec<Scope>, Vec<News>, Vec<(News, Duration)>) {
        let (mut due, mut early) = (Vec::new(), Vec::new());
        for news in news {
            match self.hold(&news, now) {
                None => due.push(news),
                Some(left) => early.push((news, left)),
            }
        }
        let scopes = scopes(due.iter().map(|news| &news.withdrawal.key));
        let covered =
            |(news, _): &(News, Duration)| scopes.iter().any(|scope| scope.covers(&news.withdrawal.key));
        due.extend(early.extract_if(.., |early| covered(early)).map(|(news, _)| news));
        (scopes, due, early)
    }

    /// Receives until the queue is empty: one request when the queue is empty, several at once while it is not.
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
                    // The messages that were received are invalidated; the others wait.
                    Err(error) => tracing::warn!(error = error_chain(&*error), "receiving ended early"),
                }
            }
        }
        Ok(all)
    }

    /// Asks the caches to forget the scopes in at most `budget` paths; those that they accepted, or `None` when they
    /// are busy. Where they refuse a path as invalid, they are asked with plain paths, then with everything.
    async fn ask(
        &self,
        told: &[News],
        scopes: &[Scope],
        budget: usize,
    ) -> Result<Option<Vec<String>>, RemoteError> {
        let candidates = [
            paths(scopes, budget),
            plain_paths(&merge(scopes, (budget / 3).max(1))),
            vec![EVERYTHING.to_owned()],
        ];
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

    /// The time until the message's window ends; `None` when it is due.
    fn hold(&self, news: &News, now: UnixMillis) -> Option<Duration> {
        let window = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
        if news.withdrawal.kind == Kind::Removed || window == 0 {
            return None;
        }
        let end = (news.message.sent_at.0 / window + 1).saturating_mul(window);
        let left = end.saturating_sub(now.0);
        // Whole seconds are SQS's unit; rounded up, so that the message is not back too early.
        (left > 0).then(|| Duration::from_secs(left.div_ceil(1000)))
    }

    /// Deletes messages. One that stays is invalidated again, which only costs money.
    async fn delete(&self, told: Vec<News>) {
        settle(told, |news| async move {
            self.inbox.done(&news.message.receipt).await
        })
        .await;
    }

    /// Hides messages until their time. One that is not hidden comes back after the queue's own visibility timeout.
    async fn hide(&self, again: Vec<(News, Duration)>) {
        settle(again, |(news, delay)| async move {
            self.inbox.hide(&news.message.receipt, delay).await
        })
        .await;
    }
}

/// Makes a request for each of them, a few at a time.
async fn settle<T, F>(all: Vec<T>, request: impl Fn(T) -> F)
where
    F: Future<Output = Result<(), RemoteError>>,
{
    let answers = stream::iter(all).map(request).buffer_unordered(AT_ONCE);
    let failed = answers.filter_map(|answer| std::future::ready(answer.err()));
    let failed: Vec<RemoteError> = failed.collect().await;
    if let Some(first) = failed.first() {
        tracing::warn!(
            error = error_chain(&**first),
            messages = failed.len(),
            "messages come back by the queue's own time"
        );
    }
}

/// The withdrawal in a message; `None` when it is not understood and stays, to end in the dead-letter queue.
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

/// The number of times that the caches may have been busy: its receives without this one and, where it was held
/// until the end of its window, without that one.
fn refusals(news: &News) -> u32 {
    let others = match news.withdrawal.kind {
        Kind::Removed => 1,
        Kind::Replaced => 2,
    };
    news.message.receives.saturating_sub(others)
}

/// The number of paths that are asked for after that many refusals: a smaller request is accepted sooner.
const fn budget(refusals: u32) -> usize {
    match refusals {
        0..=2 => MOST_PATHS,
        3..=4 => 6,
        5..=6 => 3,
        _ => 1,
    }
}

/// The time that messages stay hidden after a refusal.
const fn busy_delay(refusals: u32) -> Duration {
    Duration::from_secs(match refusals {
        0 => 60,
        1 => 120,
        _ => 300,
    })
}

/// Names the request for these messages and paths. When the same messages come again, because they could not be
/// deleted, it is the same request and costs nothing; a message that was sent later is another one.
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
