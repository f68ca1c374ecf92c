//! An SQS queue and a CloudFront distribution whose clock is a number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tintype_model::{ObjectKey, UnixMillis};
use tokio::time::Instant;

use super::cached_uris;
use crate::RemoteError;
use crate::invalidation::{Answer, Caches, Inbox, Invalidator, Kind, Run, Waiting, Withdrawal};
use crate::visibility::Visibility;

/// The template's: how often a message is received before it is dead.
pub(super) const MOST_RECEIVES: u32 = 300;

/// The template's: how long a received message stays hidden by itself.
const VISIBILITY: Duration = Duration::from_secs(180);

/// CloudFront's: paths with a wildcard, and single files, that may be in progress.
const MOST_WILDCARDS: usize = 15;
const MOST_FILES: usize = 3000;

#[derive(Debug)]
struct Message {
    body: String,
    sent_at: u64,
    visible_at: u64,
    receives: u32,
}

#[derive(Debug)]
struct Invalidation {
    paths: Vec<String>,
    done_at: u64,
}

#[derive(Debug, Default)]
struct State {
    now: u64,
    messages: BTreeMap<u64, Message>,
    next: u64,
    dead: usize,
    cached: BTreeSet<String>,
    in_progress: Vec<Invalidation>,
    requests: BTreeMap<String, Vec<String>>,
    calls: Vec<u64>,
    refusals: usize,
    refuses_invalid: Option<char>,
    fails: bool,
}

/// The queue, the distribution, and the invalidator between them.
#[derive(Clone, Debug)]
pub(super) struct Model {
    state: Arc<Mutex<State>>,
    /// The time that an invalidation is in progress.
    duration: Duration,
    window: Duration,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

impl Model {
    pub(super) fn new(duration: Duration, window: Duration) -> Self {
        Self {
            state: Arc::default(),
            duration,
            window,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The seconds that have passed.
    pub(super) fn now(&self) -> u64 {
        self.state().now / 1000
    }

    pub(super) fn wait(&self, duration: Duration) {
        let mut state = self.state();
        state.now += millis(duration);
        let now = state.now;
        let (done, open) = std::mem::take(&mut state.in_progress)
            .into_iter()
            .partition(|invalidation| invalidation.done_at <= now);
        state.in_progress = open;
        for Invalidation { paths, .. } in done {
            state
                .cached
                .retain(|uri| !paths.iter().any(|path| is_under(uri, path)));
        }
    }

    /// The picture is in the cache, under every URI.
    pub(super) fn show(&self, key: &str) {
        let uris = cached_uris(&ObjectKey::new(key).unwrap());
        self.state().cached.extend(uris);
    }

    pub(super) fn is_cached(&self, key: &str) -> bool {
        let uris = cached_uris(&ObjectKey::new(key).unwrap());
        let state = self.state();
        uris.iter().any(|uri| state.cached.contains(uri))
    }

    pub(super) fn cached(&self) -> usize {
        self.state().cached.len()
    }

    pub(super) fn tell(&self, key: &str, kind: Kind) {
        let key = ObjectKey::new(key).unwrap();
        self.send(Withdrawal { key, kind }.to_body().unwrap());
    }

    pub(super) fn send(&self, body: String) {
        let mut state = self.state();
        let (now, id) = (state.now, state.next);
        state.next += 1;
        state.messages.insert(
            id,
            Message {
                body,
                sent_at: now,
                visible_at: now,
                receives: 0,
            },
        );
    }

    /// Somebody else's invalidation.
    pub(super) fn occupy(&self, wildcards: usize) {
        let mut state = self.state();
        let done_at = state.now + millis(self.duration);
        state.in_progress.push(Invalidation {
            paths: vec!["/elsewhere/*".to_owned(); wildcards],
            done_at,
        });
    }

    pub(super) fn refuse_paths_with(&self, character: char) {
        self.state().refuses_invalid = Some(character);
    }

    pub(super) fn fail(&self, fails: bool) {
        self.state().fails = fails;
    }

    pub(super) fn waiting(&self) -> usize {
        self.state().messages.len()
    }

    pub(super) fn dead(&self) -> usize {
        self.state().dead
    }

    pub(super) fn refusals(&self) -> usize {
        self.state().refusals
    }

    /// The paths of every request that was accepted; a repeated one counts once, as on the bill.
    pub(super) fn charged(&self) -> usize {
        self.state().requests.values().map(Vec::len).sum()
    }

    pub(super) async fn run(&self) -> Result<Run, RemoteError> {
        let parts = Arc::new(self.clone());
        let invalidator = Invalidator::new(parts.clone(), parts, self.window);
        let now = UnixMillis(self.state().now);
        invalidator
            .run(now, Instant::now() + Duration::from_secs(3600))
            .await
    }

    /// Runs once a minute until nothing waits and nothing is in progress; the minutes that it took.
    pub(super) async fn run_until_quiet(&self) -> u64 {
        let start = self.now();
        for _ in 0..2 * 24 * 60 {
            if self.waiting() == 0 && self.state().in_progress.is_empty() {
                return (self.now() - start) / 60;
            }
            self.wait(Duration::from_secs(60));
            // A failed run is one that Lambda counts; the next minute brings another.
            let _ = self.run().await;
        }
        panic!("{} messages still wait after two days", self.waiting());
    }
}

fn is_under(uri: &str, path: &str) -> bool {
    match path.strip_suffix('*') {
        Some(prefix) => uri.starts_with(prefix),
        None => uri == path,
    }
}

#[async_trait]
impl Inbox for Model {
    async fn take(&self) -> Result<Vec<Waiting>, RemoteError> {
        let mut state = self.state();
        let now = state.now;
        let exhausted = |message: &Message| message.visible_at <= now && message.receives >= MOST_RECEIVES;
        let before = state.messages.len();
        state.messages.retain(|_, message| !exhausted(message));
        state.dead += before - state.messages.len();
        let visible = state
            .messages
            .iter_mut()
            .filter(|(_, message)| message.visible_at <= now);
        let taken = visible.take(10).map(|(id, message)| {
            message.receives += 1;
            message.visible_at = now + millis(VISIBILITY);
            Waiting {
                receipt: id.to_string(),
                receives: message.receives,
                sent_at: UnixMillis(message.sent_at),
                body: message.body.clone(),
            }
        });
        Ok(taken.collect())
    }

    async fn done(&self, receipt: &str) -> Result<(), RemoteError> {
        self.state().messages.remove(&receipt.parse().unwrap());
        Ok(())
    }
}

#[async_trait]
impl Visibility for Model {
    async fn hide(&self, receipt: &str, delay: Duration) -> Result<(), RemoteError> {
        assert!(
            delay <= Duration::from_secs(12 * 3600),
            "SQS takes twelve hours at most"
        );
        let mut state = self.state();
        let visible_at = state.now + millis(delay);
        if let Some(message) = state.messages.get_mut(&receipt.parse().unwrap()) {
            message.visible_at = visible_at;
        }
        Ok(())
    }
}

#[async_trait]
impl Caches for Model {
    async fn forget(&self, reference: &str, paths: &[String]) -> Result<Answer, RemoteError> {
        let mut state = self.state();
        if state.fails {
            return Err("no answer".into());
        }
        // Nobody publishes the rate of this call; people are throttled from the sixth or so in a moment on.
        let now = state.now;
        state.calls.retain(|at| at + 1000 > now);
        state.calls.push(now);
        let refuses = state.refuses_invalid;
        if paths
            .iter()
            .any(|path| refuses.is_some_and(|character| path.contains(character)))
        {
            return Ok(Answer::Invalid);
        }
        if let Some(known) = state.requests.get(reference) {
            assert_eq!(
                known, paths,
                "CloudFront refuses other paths under a known reference"
            );
            return Ok(Answer::Accepted);
        }
        let is_wildcard = |path: &&String| path.ends_with('*');
        let open = || {
            state
                .in_progress
                .iter()
                .flat_map(|invalidation| &invalidation.paths)
        };
        let wildcards = open().chain(paths).filter(is_wildcard).count();
        let files = open().chain(paths).count() - wildcards;
        if wildcards > MOST_WILDCARDS || files > MOST_FILES || state.calls.len() > 5 {
            state.refusals += 1;
            return Ok(Answer::Busy);
        }
        let done_at = now + millis(self.duration);
        state.requests.insert(reference.to_owned(), paths.to_vec());
        state.in_progress.push(Invalidation {
            paths: paths.to_vec(),
            done_at,
        });
        Ok(Answer::Accepted)
    }
}
