//! The self-test: attempts to break out of a worker, made inside a real one.
//!
//! The program starts itself once more with [`attempt_main`] in place of [`crate::worker_main`]: the same confinement,
//! the same loop, and one action that no other worker takes when its source has arrived. The parent treats it as any
//! other worker. A source cannot start an attempt: its name is an argument of the process.

mod attempts;
mod raw;

use std::{ffi::OsString, fs, io, path::Path, process::ExitCode, time::Duration};

use bytes::Bytes;
use tintype_model::RenderError;

use crate::{Config, Error, Jail, Level, Priority, worker_main_with};

/// The prefixes by which the parent knows the result of an attempt in a panic's message.
const REFUSED: &str = "refused: ";
const ESCAPED: &str = "escaped: ";

/// The result of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EscapeAttempt {
    /// Its name, which describes the action.
    pub name: &'static str,
    /// True if it was refused and the next picture was rendered.
    pub is_refused: bool,
    /// The answer of the jail.
    pub detail: String,
}

/// The targets of attempts; the source contains them as JSON.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Targets {
    /// A file of this user's, as `DATA/credentials` is.
    secret: String,
    /// The folder with that file.
    folder: String,
    /// Another worker.
    sibling: u32,
    /// The process that started the worker.
    parent: u32,
}

/// The expected end of an attempt, by which it is known to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The kernel refused a call, or ended the process for it.
    Kernel,
    /// A limit on memory, stack or threads ended it.
    Limit,
    /// The deadline passed.
    Deadline,
    /// The parent refused the answer.
    Answer,
}

/// Makes each attempt in a worker of its own and renders a picture after it. `progress` is called with each result.
///
/// `program` with `attempt_argument` and an attempt's name has to run [`attempt_main`]. Tries out confinement only:
/// needs a folder for temporary files and nothing else.
///
/// # Errors
/// [`Error::Setup`] and [`Error::Spawn`] when workers cannot be started at all, [`Error::SelfTest`] when the files that
/// the attempts use cannot be made.
pub async fn self_test(
    config: &Config,
    attempt_argument: &str,
    mut progress: impl FnMut(&EscapeAttempt),
) -> Result<(Level, Vec<EscapeAttempt>), Error> {
    let folder = Folder::new().map_err(Error::SelfTest)?;
    let regular = Jail::new(config.clone());
    regular.warm().await.map_err(setup_error)?;
    let sibling = regular.workers().first().map_or(0, |worker| worker.pid);
    let targets = Targets {
        secret: folder.secret(),
        folder: folder.0.clone(),
        sibling,
        parent: std::process::id(),
    };
    let source: Bytes = serde_json::to_vec(&targets)
        .map_err(|error| Error::SelfTest(error.into()))?
        .into();
    let mut results = Vec::new();
    for (name, end, _) in attempts::ALL {
        let jail = Jail::new(attempt_config(config, attempt_argument, name, *end));
        let (is_ended, detail) = judge(*end, jail.probe(source.clone()).await);
        let next = regular.probe(ONE_PIXEL.into()).await;
        let is_unchanged =
            folder.is_unchanged() && regular.workers().iter().any(|worker| worker.pid == sibling);
        let is_refused = is_ended && next.is_ok() && is_unchanged;
        let detail = match (next, is_unchanged) {
            (Err(error), _) => format!("{detail}; afterwards a picture was not read: {error}"),
            (Ok(_), false) => {
                format!("{detail}; afterwards the file had changed or another worker had ended")
            }
            (Ok(_), true) => detail,
        };
        let attempt = EscapeAttempt {
            name,
            is_refused,
            detail,
        };
        progress(&attempt);
        results.push(attempt);
    }
    let level = regular.level();
    regular.shutdown().await;
    Ok((level, results))
}

/// The whole `main` of a process that makes the attempt `name`.
#[must_use]
pub fn attempt_main(name: &str) -> ExitCode {
    let Some((_, _, attempt)) = attempts::ALL.iter().find(|(known, ..)| *known == name) else {
        return ExitCode::FAILURE;
    };
    worker_main_with(|source| {
        // The parent's picture after an attempt goes to another worker, so whatever arrives here is the targets.
        let targets: Targets =
            serde_json::from_slice(source).unwrap_or_else(|error| panic!("{ESCAPED}{error}"));
        match attempt(&targets) {
            Ok(did) => panic!("{ESCAPED}{did}"),
            Err(error) => panic!("{REFUSED}{error}"),
        }
    })
}

/// A PNG of one pixel, which every build can read.
const ONE_PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0,
    1, 8, 0, 0, 0, 0, 0x3A, 0x7E, 0x9B, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T', 0x78, 0x9C, 0x63, 0x60, 0,
    0, 0, 2, 0, 1, 0x48, 0xAF, 0xA4, 0x71, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xAE, 0x42, 0x60, 0x82,
];

fn attempt_config(config: &Config, argument: &str, name: &str, end: End) -> Config {
    let mut config = config.clone();
    config.args = [argument, name].map(OsString::from).to_vec();
    config.workers = 1;
    config.threads = 2;
    config.memory_bytes = 256 << 20;
    config.deadline = match end {
        End::Deadline => Duration::from_secs(1),
        _ => Duration::from_secs(300),
    };
    config.priority = Priority::Normal;
    config
}

fn setup_error(error: RenderError) -> Error {
    match error {
        RenderError::Rejected(rejection) => Error::Setup(rejection.detail),
        RenderError::Failed(error) => match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::Setup(error.to_string()),
        },
    }
}

/// Tells whether an attempt ended as it must, and how it ended.
fn judge<T>(end: End, result: Result<T, RenderError>) -> (bool, String) {
    let detail = match result {
        Ok(_) => return (false, "the worker answered like any other".to_owned()),
        Err(RenderError::Rejected(rejection)) => rejection.detail,
        // On a busy machine a loop may have had too little CPU time for its source to be rejected.
        Err(RenderError::Failed(error)) => {
            let starved = matches!(error.downcast_ref(), Some(Error::Starved { .. }));
            return (starved && end == End::Deadline, error.to_string());
        }
    };
    let says = |text: &str| detail.contains(text);
    let as_expected = match end {
        End::Kernel => says(REFUSED) || says("forbidden system call"),
        End::Limit => {
            says(REFUSED) || says("memory allocation") || says("overflowed its stack") || says("signal")
        }
        End::Deadline => says("passed its deadline"),
        End::Answer => says("answer was refused") || says("broke off its answer"),
    };
    (as_expected && !says(ESCAPED), detail)
}

/// A temporary folder with a file that no attempt may read or change.
struct Folder(String);

impl Folder {
    const CONTENT: &'static str = "a secret of the self-test";

    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("tintype-self-test-{}", std::process::id()));
        fs::create_dir(&path)?;
        let folder = Self(path.to_string_lossy().into_owned());
        fs::write(folder.secret(), Self::CONTENT)?;
        Ok(folder)
    }

    fn secret(&self) -> String {
        format!("{}/secret", self.0)
    }

    /// Tells whether the file is unchanged and the only one.
    fn is_unchanged(&self) -> bool {
        let is_alone = fs::read_dir(&self.0).is_ok_and(|entries| entries.count() == 1);
        let is_private = fs::symlink_metadata(Path::new(&self.secret())).is_ok_and(|data| data.is_file());
        is_alone && is_private && fs::read_to_string(self.secret()).is_ok_and(|text| text == Self::CONTENT)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
