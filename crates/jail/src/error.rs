use std::{io, time::Duration};

use tintype_model::RenderError;

/// The reasons, other than the source itself, why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The worker's process could not be started.
    #[error("cannot start render worker {program:?}")]
    Spawn {
        /// The program that was to be executed.
        program: std::path::PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The worker started but could not set its limits, or is another program.
    #[error("render worker cannot be confined: {0}")]
    Setup(String),
    /// Other processes kept the CPUs busy until the deadline.
    #[error(
        "render worker had {} s of CPU time in {} s and was still waiting for more",
        .cpu.as_secs_f64(),
        .deadline.as_secs_f64()
    )]
    Starved {
        /// CPU time used for the source.
        cpu: Duration,
        /// The deadline.
        deadline: Duration,
    },
    /// Something other than the worker and its limits ended it: the kernel because memory ran out, or a person.
    #[error("render worker was ended from outside, by signal {signal}")]
    Ended {
        /// Number of the signal.
        signal: i32,
    },
    /// The engine reported a fault of its own.
    #[error("{0}")]
    Engine(String),
    /// The self-test could not make the files that it attacks.
    #[error("the self-test cannot be prepared: {0}")]
    SelfTest(#[source] io::Error),
    /// [`crate::Jail::shutdown`] was called.
    #[error("the jail is shut down")]
    Closed,
}

impl From<Error> for RenderError {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(error))
    }
}
