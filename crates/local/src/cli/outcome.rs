//! The outcome of one input, for people and for programs.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tintype_model::{Encoding, Format, ImageInfo, Rejection};

use super::input::InputError;

/// The outcome of one input, with its name, size and digest. Its JSON form is one line of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The input as it was named or found.
    pub(crate) input: String,
    /// Its size in bytes, when it could be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// Lower-case hexadecimal SHA-256 of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// The outcome.
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// The outcome of an input.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The pipeline would take the picture.
    Accepted {
        /// The facts about the picture.
        image: ImageInfo,
    },
    /// The renditions are written.
    Processed {
        /// The facts about the picture.
        image: ImageInfo,
        /// Every rendition.
        renditions: Vec<Written>,
    },
    /// The input is rejected.
    Rejected {
        /// The reason.
        rejection: Rejection,
    },
    /// The work failed for a reason outside of the input.
    Failed {
        /// The reason, with its causes.
        error: String,
    },
}

/// One rendition's file.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    /// The variant.
    pub(crate) variant: String,
    /// The format.
    pub(crate) format: Format,
    /// Columns.
    pub(crate) width: u32,
    /// Rows.
    pub(crate) height: u32,
    /// Size in bytes.
    pub(crate) bytes: u64,
    /// The path of the file.
    pub(crate) path: PathBuf,
    /// CPU time of its encoder, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_ms: Option<f64>,
    /// The parameters and results of its encoding: `quality`, `score`, `is_lossless`, `frames`, `larger_because`,
    /// `tiles`, as far as there is something to tell.
    #[serde(flatten)]
    pub(crate) encoding: Encoding,
}

impl Report {
    /// The report of an input that could not be read.
    pub(crate) fn unreadable(path: &Path, error: &InputError) -> Self {
        Self {
            input: path.display().to_string(),
            bytes: None,
            sha256: None,
            outcome: Outcome::failed(error),
        }
    }
}

impl Outcome {
    /// A failure with this error.
    pub(crate) fn failed(error: &dyn Display) -> Self {
        Self::Failed {
            error: error.to_string(),
        }
    }

    /// The reason why the input has no renditions, in one line; `None` when it has.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Self::Accepted { .. } | Self::Processed { .. } => None,
            Self::Rejected { rejection } => Some(format!("{}: {}", rejection.code.name(), rejection.detail)),
            Self::Failed { error } => Some(error.clone()),
        }
    }
}

impl From<tintype_model::RenderError> for Outcome {
    fn from(error: tintype_model::RenderError) -> Self {
        match error {
            tintype_model::RenderError::Rejected(rejection) => Self::Rejected { rejection },
            tintype_model::RenderError::Failed(_) => Self::Failed {
                error: format!("{:#}", anyhow::Error::from(error)),
            },
        }
    }
}
