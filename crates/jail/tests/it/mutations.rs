//! Thousands of damaged files through the jail, with the limits that servers have: each gets one answer.
//!
//! `make mutations COUNT=100000 SEED=7` runs more of them; `ONLY=123` runs one again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use tintype_jail::{Config, Jail};
use tintype_model::{Format, Recipe, RejectionCode, RenderError, Renderer};

use crate::mutate::{Random, damage};
use crate::specimens::{Specimen, specimens};
use crate::{config, in_time, png, small_recipe};

/// 5,000 take about twenty seconds of two cores in a dev build, which is as much as the rest of this crate's tests.
const COUNT: u64 = 5_000;
const SEED: u64 = 2026;

#[expect(
    clippy::disallowed_methods,
    reason = "says how many files to try, configures nothing"
)]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}, it must be a number")),
    )
}

/// The limits of `tintype serve`. Only the deadline is longer: tests share their machine with other tests.
fn served() -> Config {
    let mut served = config();
    served.workers = 2;
    served
}

fn recipe() -> Recipe {
    let mut recipe = small_recipe();
    recipe.variants[0].formats.insert(0, Format::Avif);
    recipe
}

/// The answers of a run.
#[derive(Default)]
struct Tally {
    rendered: u64,
    rejected: BTreeMap<&'static str, u64>,
    /// Numbers of the inputs that ended their workers, and how.
    killed: Vec<String>,
    /// The most memory that a worker ever had in use, in bytes.
    peak: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.rendered += other.rendered;
        for (code, count) in other.rejected {
            *self.rejected.entry(code).or_default() += count;
        }
        self.killed.extend(other.killed);
        self.peak = self.peak.max(other.peak);
    }

    fn told(&self, count: u64, seed: u64) -> String {
        let mut told = format!(
            "{count} damaged files, SEED={seed}: {} rendered, {} MiB at most in one worker",
            self.rendered,
            self.peak >> 20
        );
        for (code, count) in &self.rejected {
            write!(told, ", {count} {code}").unwrap();
        }
        for killed in &self.killed {
            write!(told, "\n  {killed}").unwrap();
        }
        told
    }
}

/// The damaged file of this number.
fn input(all: &[Specimen], seed: u64, number: u64) -> (String, Vec<u8>) {
    let mut random = Random(seed.wrapping_mul(0x1_0000_0001).wrapping_add(number));
    let index = random.below(all.len());
    let Specimen { format, name, bytes } = &all[index];
    let mut file = bytes.clone();
    let other = &all[random.below(all.len())].bytes;
    damage(&mut file, other, &mut random);
    (format!("SEED={seed} ONLY={number} ({format} {name})"), file)
}

/// The most memory that any living worker has had in use, in bytes.
fn peak(jail: &Jail) -> u64 {
    let of = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let peaks = jail.workers().into_iter().filter_map(|worker| of(worker.pid));
    peaks.max().unwrap_or(0) << 10
}

async fn run(jail: Jail, inputs: Vec<(String, Vec<u8>)>) -> Tally {
    let mut tally = Tally::default();
    let recipe = recipe();
    for (name, file) in inputs {
        match in_time(jail.render(file.into(), &recipe)).await {
            Ok(_) => tally.rendered += 1,
            Err(RenderError::Rejected(rejection)) => {
                assert!(!rejection.detail.is_empty(), "{name}: a reason is given");
                *tally.rejected.entry(rejection.code.name()).or_default() += 1;
                if rejection.code == RejectionCode::DecoderKilled {
                    tally.killed.push(format!("{name}: {}", rejection.detail));
                }
            }
            Err(RenderError::Failed(error)) => panic!("{name}: {error}"),
        }
        tally.peak = tally.peak.max(peak(&jail));
    }
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_damaged_file_gets_one_answer() {
    let seed = number("MUTATIONS_SEED").unwrap_or(SEED);
    let count = number("MUTATIONS_COUNT").unwrap_or(COUNT);
    let only = number("MUTATIONS_ONLY");
    let numbers = only.map_or(0..count, |only| only..only + 1);
    let all = specimens();
    let jail = Jail::new(served());
    let mut tally = Tally::default();
    // Inputs are made a few at a time: all of them together would fill memory.
    let numbers: Vec<u64> = numbers.collect();
    for numbers in numbers.chunks(1_000) {
        let halves = numbers.chunks(numbers.len().div_ceil(2)).map(|half| {
            let inputs = half.iter().map(|&number| input(&all, seed, number)).collect();
            tokio::spawn(run(jail.clone(), inputs))
        });
        for half in halves.collect::<Vec<_>>() {
            tally.add(half.await.unwrap());
        }
    }
    let told = tally.told(count, seed);
    #[expect(clippy::print_stdout, reason = "the result of `make mutations`")]
    {
        println!("{told}");
    }
    let late = tally.killed.iter().find(|how| how.contains("deadline"));
    assert_eq!(late, None, "{told}");
    assert!(tally.peak <= served().memory_bytes, "{told}");
    // Whatever happened, the next picture is rendered, by no more workers than there may be.
    in_time(jail.render(png(40, 40, [9; 3]).into(), &recipe()))
        .await
        .unwrap();
    assert!(jail.workers().len() <= 2);
    if only.is_none() {
        assert!(
            tally.rendered > 0 && tally.rejected.contains_key("corrupt_image"),
            "{told}"
        );
    }
}
