//! The thread that reads every file from time to time, and has damaged renditions made again.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::damage::{self, Damages};
use super::digest::{self, Damage, examine};
use super::facts::{Facts, encode};
use super::file::{FileGuard, Files};
use super::lock::Lock;
use super::name::Kind;
use super::progress::{Next, Progress, next};
use super::reader::Readers;
use super::row::{self, Bucket, Row};
use super::writer::Writer;
use super::{Clock, Error, Result, upgrade};

/// The shortest time between two writes of the position.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// The wait after an error, before the pass goes on.
const PAUSE: Duration = Duration::from_secs(60);

const DAY_MILLIS: u64 = 24 * 3600 * 1000;

/// The shortest time from the beginning of a pass to that of the next, for small stores.
const LEAST_PERIOD_MILLIS: u64 = 1000;

/// The rate at which files are read, and the period in which every file is read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes that are read in a second.
    pub bytes_per_second: u64,
    /// Days from the beginning of one pass to that of the next.
    pub days: u64,
}

/// The work of the scrub since the store was opened, and what is known to be damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Files that were read.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Passes over every file that were finished.
    pub passes: u64,
    /// Sources that are damaged now.
    pub damaged_sources: u64,
    /// Renditions that are damaged now.
    pub damaged_renditions: u64,
}

/// A message to the thread.
#[derive(Debug)]
pub(crate) enum Message {
    /// A file is damaged that was not known to be.
    Damage(Damage),
    /// Read every file at this pace; `None` stops that.
    Pace(Option<Pace>),
    /// Read every file once, at once, and answer when that is done.
    Pass(oneshot::Sender<Result<()>>),
    /// The store closes.
    Stop,
}

/// Counts since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    files: AtomicU64,
    bytes: AtomicU64,
    passes: AtomicU64,
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Scrub {
    pub(crate) messages: mpsc::Sender<Message>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

/// The parts of a store that the thread works with.
pub(crate) struct Scrubber {
    pub(crate) files: Arc<Files>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) clock: Clock,
    /// The lock of the folder, which is kept while this runs.
    pub(crate) _lock: Arc<Lock>,
}

impl Scrub {
    /// Starts the thread. It checks the files that are known to be damaged again, and waits for a pace.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(
        scrubber: Scrubber,
        messages: mpsc::Sender<Message>,
        arriving: mpsc::Receiver<Message>,
        known: Vec<Damage>,
        progress: Progress,
    ) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let mut state = State {
            scrubber,
            arriving,
            counts: counts.clone(),
            pace: None,
            progress,
            saved_at: Instant::now(),
            waiting: VecDeque::new(),
            passes: Vec::new(),
            not_before: None,
        };
        let thread = std::thread::Builder::new()
            .name("store-scrub".to_owned())
            .spawn(move || {
                let ended = state.recheck(known).and_then(|()| state.run());
                if let Err(error) = ended
                    && !matches!(error, Error::Closed)
                {
                    tracing::error!(%error, "files are not read any more to look for damage");
                }
            })
            .map_err(Error::io("start a thread"))?;
        Ok(Self {
            messages,
            counts,
            thread: Some(thread),
        })
    }

    pub(crate) fn scrubbed(&self, damages: &Damages) -> Scrubbed {
        let (damaged_sources, damaged_renditions) = damages.count();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Scrubbed {
            files: count(&self.counts.files),
            bytes: count(&self.counts.bytes),
            passes: count(&self.counts.passes),
            damaged_sources,
            damaged_renditions,
        }
    }
}

impl Drop for Scrub {
    /// Waits until all reported damage is recorded.
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The state of the thread. [`Error::Closed`] ends it.
struct State {
    scrubber: Scrubber,
    arriving: mpsc::Receiver<Message>,
    counts: Arc<Counts>,
    pace: Option<Pace>,
    progress: Progress,
    saved_at: Instant,
    waiting: VecDeque<Next>,
    /// The callers that wait for a pass.
    passes: Vec<oneshot::Sender<Result<()>>>,
    /// No file is read before this, after an error.
    not_before: Option<Instant>,
}

impl State {
    fn run(&mut self) -> Result<()> {
        loop {
            match self.wait() {
                // Asked for while something else was done.
                _ if !self.passes.is_empty() => {}
                Some(Duration::ZERO) => self.take_all()?,
                wait => self.pause(wait)?,
            }
            while let Some(pass) = self.passes.pop() {
                let passed = self.pass_at_once();
                let is_closing = matches!(passed, Err(Error::Closed));
                let _ = pass.send(passed);
                if is_closing {
                    return Err(Error::Closed);
                }
            }
            if self.wait() == Some(Duration::ZERO)
                && let Err(error) = self.step(true)
            {
                if matches!(error, Error::Closed) {
                    return Err(error);
                }
                tracing::warn!(%error, "could not look for damage: this is tried again");
                self.not_before = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// The time until the next file is to be read; `None` when none is.
    fn wait(&self) -> Option<Duration> {
        let pace = self.pace?;
        let rest = self.not_before.map_or(Duration::ZERO, |time| {
            time.saturating_duration_since(Instant::now())
        });
        if !self.progress.is_done {
            return Some(rest);
        }
        let now = self.scrubber.clock.wall().0;
        let period = pace.days.saturating_mul(DAY_MILLIS).max(LEAST_PERIOD_MILLIS);
        let left = match now.checked_sub(self.progress.began_at) {
            Some(since) => period.saturating_sub(since),
            // The clock was set back.
            None => 0,
        };
        // It may be set forward meanwhile.
        Some(rest.max(Duration::from_millis(left)).min(Duration::from_hours(1)))
    }

    /// Waits for so long, and handles the messages that arrive meanwhile.
    fn pause(&mut self, wait: Option<Duration>) -> Result<()> {
        let end = wait.map(|wait| Instant::now() + wait);
        loop {
            let message = match end {
                None => self.arriving.recv().map_err(|_| Error::Closed)?,
                Some(end) => match self
                    .arriving
                    .recv_timeout(end.saturating_duration_since(Instant::now()))
                {
                    Ok(message) => message,
                    Err(mpsc::RecvTimeoutError::Timeout) => return Ok(()),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Error::Closed),
                },
            };
            let is_only_damage = matches!(message, Message::Damage(_));
            self.take(message)?;
            if !is_only_damage {
                return Ok(());
            }
        }
    }

    /// Handles the messages that have arrived.
    fn take_all(&mut self) -> Result<()> {
        loop {
            match self.arriving.try_recv() {
                Ok(message) => self.take(message)?,
                Err(mpsc::TryRecvError::Empty) => return Ok(()),
                Err(mpsc::TryRecvError::Disconnected) => return Err(Error::Closed),
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Damage(damage) => self.note(damage),
            Message::Pace(pace) => self.pace = pace,
            Message::Pass(done) => self.passes.push(done),
            Message::Stop => {
                // Damage that was reported before is recorded.
                while let Ok(message) = self.arriving.try_recv() {
                    if let Message::Damage(damage) = message {
                        self.note(damage);
                    }
                }
                if let Err(error) = self.save() {
                    tracing::debug!(%error, "the next run reads some files again");
                }
                return Err(Error::Closed);
            }
        }
        Ok(())
    }

    /// Records damage and queues its repair. When that fails the damage is forgotten, to be found again.
    fn note(&self, damage: Damage) {
        let file = damage.file.clone();
        let (found_at, due_at) = (self.scrubber.clock.wall(), self.scrubber.clock.steady());
        let noted = self
            .scrubber
            .writer
            .submit(move |connection, effects| damage::note(connection, effects, &damage, found_at, due_at));
        match noted.blocking_recv().unwrap_or(Err(Error::Closed)) {
            Ok(true) => {}
            Ok(false) => {
                self.damages().forget(&file);
            }
            Err(error) => {
                self.damages().forget(&file);
                tracing::warn!(file = file.as_str(), %error, "damage is not written down: it will be found again");
            }
        }
    }

    fn damages(&self) -> &Damages {
        self.scrubber.files.damages()
    }

    /// Checks the files again that an earlier run found damaged: an operator may have put them back.
    fn recheck(&mut self, known: Vec<Damage>) -> Result<()> {
        for damage in known {
            match self.recheck_one(&damage) {
                Ok(()) => {}
                Err(Error::Closed) => return Err(Error::Closed),
                Err(error) => {
                    tracing::warn!(file = damage.file.as_str(), %error, "could not look at a damaged file again");
                }
            }
        }
        Ok(())
    }

    fn find(&self, bucket: Bucket, key: &str) -> Result<Option<Row>> {
        let key = key.to_owned();
        let row = self
            .scrubber
            .readers
            .submit(move |connection| row::find(connection, bucket, &key));
        row.blocking_recv().unwrap_or(Err(Error::Closed))
    }

    fn is_current(&self, bucket: Bucket, row: &Row) -> Result<bool> {
        let now = self.find(bucket, &row.key)?;
        Ok(now.is_some_and(|now| now.file == row.file))
    }

    fn recheck_one(&mut self, damage: &Damage) -> Result<()> {
        let bucket = damage.bucket;
        let found = self.find(bucket, &damage.key)?;
        let Some(row) = found.filter(|row| row.file == damage.file) else {
            self.damages().forget(&damage.file);
            return Ok(());
        };
        self.check(bucket, &row, false)?;
        // It was known before, so its repair was not queued in this run.
        if let Some(damage) = self.damages().find(&row.file) {
            self.note(damage);
        }
        Ok(())
    }

    /// Reads every file once, without pauses.
    fn pass_at_once(&mut self) -> Result<()> {
        let (progress, waiting) = (
            std::mem::take(&mut self.progress),
            std::mem::take(&mut self.waiting),
        );
        let mut passed = Ok(());
        while passed.is_ok() && !self.progress.is_done {
            passed = self.step(false);
        }
        (self.progress, self.waiting) = (progress, waiting);
        passed
    }

    /// Reads the next file, or finishes the pass.
    fn step(&mut self, is_paced: bool) -> Result<()> {
        if self.progress.is_done {
            self.progress = Progress::default();
        }
        if self.progress.began_at == 0 {
            self.progress.began_at = self.scrubber.clock.wall().0.max(1);
        }
        if self.waiting.is_empty() {
            let after = self.progress.after.clone();
            let rows = self
                .scrubber
                .readers
                .submit(move |connection| next(connection, &after));
            self.waiting = rows.blocking_recv().unwrap_or(Err(Error::Closed))?.into();
        }
        let Some(Next { file, found }) = self.waiting.pop_front() else {
            self.progress.is_done = true;
            self.progress.after = String::new();
            self.counts.passes.fetch_add(1, Ordering::Relaxed);
            return if is_paced { self.save() } else { Ok(()) };
        };
        if let Some((bucket, row)) = found {
            self.check(bucket, &row, is_paced)?;
        }
        self.progress.after = file;
        if is_paced && self.saved_at.elapsed() >= SAVE_EVERY {
            self.save()?;
        }
        Ok(())
    }

    /// Reads a file, and reports its fault.
    fn check(&mut self, bucket: Bucket, row: &Row, is_paced: bool) -> Result<()> {
        let opened = self.scrubber.files.open_named(&row.file);
        let counts = self.counts.clone();
        let fault = examine(opened, row, |bytes| {
            counts.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            match self.pace {
                Some(pace) if is_paced => {
                    let rest = Duration::from_secs(bytes as u64)
                        .checked_div(u32::try_from(pace.bytes_per_second).unwrap_or(u32::MAX));
                    self.rest(rest.unwrap_or_default())
                }
                Some(_) | None => self.take_all(),
            }
        })?;
        self.counts.files.fetch_add(1, Ordering::Relaxed);
        match fault {
            // Replaced or deleted since the row was read: its file is rightly gone.
            Some(_) if !self.is_current(bucket, row)? => Ok(()),
            Some(fault) => {
                let _ = self.damages().report(bucket, row, fault);
                // The report arrives here.
                self.take_all()
            }
            None if self.damages().forget(&row.file) => {
                tracing::info!(key = row.key, file = row.file.as_str(), "a file is sound again");
                let file = row.file.clone();
                let cleared = self
                    .scrubber
                    .writer
                    .submit(move |connection, _| damage::clear(connection, &file));
                cleared.blocking_recv().unwrap_or(Err(Error::Closed))
            }
            None if bucket == Bucket::Sources => self.keep_facts(row),
            None => Ok(()),
        }
    }

    /// Writes the file of a source again whose facts are damaged: without the database it would be lost.
    fn keep_facts(&self, row: &Row) -> Result<()> {
        let files = &self.scrubber.files;
        if !digest::lacks_facts(files.open_named(&row.file), row)?
            || !self.is_current(Bucket::Sources, row)?
        {
            return Ok(());
        }
        tracing::warn!(
            key = row.key,
            file = row.file.as_str(),
            "what the file of a source says of it is damaged: it is written again"
        );
        let guard = rewrite(files, row)?;
        let (key, old) = (row.key.clone(), row.file.clone());
        let renamed = self
            .scrubber
            .writer
            .submit(move |connection, effects| upgrade::rename(connection, effects, &key, old, guard));
        renamed.blocking_recv().unwrap_or(Err(Error::Closed))?;
        Ok(())
    }

    /// Waits for the whole time, and handles the messages that arrive meanwhile.
    fn rest(&mut self, wait: Duration) -> Result<()> {
        let end = Instant::now() + wait;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.take_all();
            }
            self.pause(Some(left))?;
        }
    }

    fn save(&mut self) -> Result<()> {
        self.saved_at = Instant::now();
        let progress = self.progress.clone();
        let saved = self
            .scrubber
            .writer
            .submit(move |connection, _| progress.write(connection));
        saved.blocking_recv().unwrap_or(Err(Error::Closed))
    }
}

/// A new file with the bytes of a source, as they were stored, and its facts.
fn rewrite(files: &Arc<Files>, row: &Row) -> Result<FileGuard> {
    let copy = |error| Error::io("copy a file")(error);
    let old = files.open_named(&row.file).map_err(copy)?;
    let (mut guard, mut new) = files.create()?;
    std::io::copy(&mut old.take(row.size_bytes), &mut new).map_err(copy)?;
    guard.seal(new, Kind::Source, &encode(&Facts::of(row.clone())?)?)?;
    let written = Row {
        file: guard.name()?.clone(),
        ..row.clone()
    };
    match examine(files.open_named(&written.file), &written, |_| Ok(()))? {
        None => Ok(guard),
        Some(fault) => Err(Error::Corrupt(format!(
            "a copy of file {} is {}",
            row.file.as_str(),
            fault.name()
        ))),
    }
}
