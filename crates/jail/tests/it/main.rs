//! Real workers in real processes.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes functions that tests share for production code"
)]

mod confinement;
#[path = "../../../transcode/tests/it/container.rs"]
#[expect(dead_code, reason = "the tests of tintype-transcode use more of it")]
mod container;
mod death;
mod escapes;
#[path = "../../../transcode/tests/it/fixtures.rs"]
#[expect(dead_code, reason = "the tests of tintype-transcode use more of it")]
mod fixtures;
mod mutate;
mod mutations;
mod render;
#[path = "../../../transcode/tests/it/specimens.rs"]
mod specimens;

use std::{future::Future, os::fd::OwnedFd, time::Duration};

use bytes::Bytes;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal},
};
use tintype_jail::{Config, Jail, Priority, WorkerStatus};
use tintype_model::{Format, Recipe, RejectionCode, RenderError, Variant};

/// The time after which a test counts as hung; far longer than any test takes on a busy machine.
const TEST_TIMEOUT: Duration = Duration::from_secs(600);

fn config() -> Config {
    let mut config = Config::new(
        env!("CARGO_BIN_EXE_tintype-jail-test-worker"),
        vec!["worker".into()],
    );
    config.threads = 1;
    // Far more than any source here needs, and less than half of [`TEST_TIMEOUT`].
    config.deadline = Duration::from_secs(240);
    // Tests run at the same time: a worker of idle priority would get no CPU time beside the others.
    config.priority = Priority::Normal;
    config
}

fn small_recipe() -> Recipe {
    let variant = |name: &str, side: u32, formats: &[Format]| Variant {
        name: name.to_owned(),
        width: Some(side),
        height: Some(side),
        fit: tintype_model::Fit::Inside,
        color: tintype_model::Color::Srgb,
        gravity: tintype_model::Gravity::Center,
        formats: formats.to_vec(),
        quality: std::collections::BTreeMap::new(),
        animation: true,
    };
    Recipe {
        variants: vec![
            variant("large", 64, &[Format::Webp, Format::Jpeg]),
            variant("small", 16, &[Format::Png]),
        ],
        background: tintype_model::Rgb::default(),
        scores: false,
    }
}

fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    let pixels = colour.repeat(width as usize * height as usize);
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    file
}

/// A source that makes the test worker misbehave before it decodes.
fn commanding(picture: &[u8], command: &str) -> Bytes {
    [picture, b"\ntintype-test:", command.as_bytes()].concat().into()
}

fn killed<T: std::fmt::Debug>(result: Result<T, RenderError>) -> String {
    match result {
        Err(RenderError::Rejected(rejection)) if rejection.code == RejectionCode::DecoderKilled => {
            rejection.detail
        }
        other => panic!("not decoder_killed: {other:?}"),
    }
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_TIMEOUT, call)
        .await
        .expect("it ends in time")
}

/// Waits for a worker that has its first source, other than `before`.
async fn busy_worker(jail: &Jail, before: Option<WorkerStatus>) -> WorkerStatus {
    in_time(async {
        loop {
            let workers = jail.workers();
            let is_new = |worker: &&WorkerStatus| before.is_none_or(|before| before.pid != worker.pid);
            let found = workers
                .iter()
                .filter(is_new)
                .find(|worker| worker.busy && worker.jobs == 1);
            if let Some(worker) = found {
                return *worker;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

/// Stops the process and waits until it is (`T` in proc_pid_stat(5)).
async fn stop(pid: u32) {
    Process::of(pid).signal(Signal::STOP);
    in_time(async {
        let status = || std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        while !status().contains("State:\tT") {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A process, also after the system has given its number to another one.
struct Process(OwnedFd);

impl Process {
    fn of(pid: u32) -> Self {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        Self(rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap())
    }

    fn signal(&self, signal: Signal) {
        rustix::process::pidfd_send_signal(&self.0, signal).unwrap();
    }

    /// A process descriptor is readable when its process has ended (pidfd_open(2)).
    async fn ended(self) {
        let timeout = TEST_TIMEOUT.try_into().unwrap();
        let wait = move || poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout));
        let ended = tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
        assert_eq!(ended, 1, "the process ends in time");
    }
}
