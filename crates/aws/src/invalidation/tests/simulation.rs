//! Large numbers of deletions in a minute, against CloudFront's limits: the figures of deploy/cost.md.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::model::Model;
use crate::invalidation::Kind;

const MINUTE: Duration = Duration::from_secs(60);

/// Keys of a shop, four folders deep: most of them ordinary, some that are spelled in two ways or have a `~`.
fn key(number: usize) -> String {
    let name = match number % 50 {
        7 => format!("photo ({number})"),
        13 => format!("PHOTO~{number}"),
        _ => format!("photo-{number}"),
    };
    format!("shop/{}/{}/{name}.jpg", number % 7, number % 97)
}

/// The figures of one simulation.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    minutes: u64,
    paths: usize,
    refusals: usize,
    dead: usize,
    cached: usize,
}

/// `deletions` within a minute; invalidations take `duration`. The worker's messages arrive evenly, and the first run is
/// in the middle of it.
async fn simulate(deletions: usize, duration: Duration) -> Figures {
    let model = Model::new(duration, 10 * MINUTE);
    for number in 0..deletions {
        model.show(&key(number));
    }
    let half = deletions / 2;
    (0..half).for_each(|number| model.tell(&key(number), Kind::Removed));
    model.wait(MINUTE / 2);
    model.run().await.unwrap();
    (half..deletions).for_each(|number| model.tell(&key(number), Kind::Removed));
    let minutes = model.run_until_quiet().await;
    Figures {
        minutes,
        paths: model.charged(),
        refusals: model.refusals(),
        dead: model.dead(),
        cached: model.cached(),
    }
}

/// The same deletions told of one by one, as the worker did until it had a queue for that: three paths with a wildcard
/// each, so that five may be in progress. A refused one is put off twelve times, one to two minutes first and a quarter of
/// an hour at most, spread by its key; then it fails, four times with growing delays, and is dead. The paths that were
/// accepted, and the dead.
fn one_by_one(deletions: usize, duration: Duration) -> (usize, usize) {
    const AT_ONCE: usize = 5;
    const PUT_OFFS: u32 = 12;
    const RECEIVES: u32 = 5;
    let millis = |seconds: u64| seconds * 1000;
    let mut tries: BinaryHeap<Reverse<(u64, usize, u32)>> = (0..deletions)
        .map(|number| Reverse((millis(60) * number as u64 / deletions as u64, number, 0)))
        .collect();
    let mut in_progress: Vec<u64> = Vec::new();
    let (mut accepted, mut dead) = (0, 0);
    while let Some(Reverse((now, number, times))) = tries.pop() {
        in_progress.retain(|&until| until > now);
        if in_progress.len() < AT_ONCE {
            in_progress.push(now + millis(duration.as_secs()));
            accepted += 3;
        } else if times < PUT_OFFS {
            let whole = (120_u64 << times.min(8)).min(900);
            let digest = Sha256::digest(key(number));
            let spread = u64::from(u16::from_le_bytes([digest[0], digest[1]]));
            let delay = whole / 2 + whole / 2 * spread / u64::from(u16::MAX);
            tries.push(Reverse((now + millis(delay), number, times + 1)));
        } else if times + 1 < PUT_OFFS + RECEIVES {
            let delay = 15 << (times - PUT_OFFS);
            tries.push(Reverse((now + millis(delay), number, times + 1)));
        } else {
            dead += 1;
        }
    }
    (accepted, dead)
}

/// Deletions, minutes that an invalidation takes; what came of it one by one, and what comes of it now.
fn row(deletions: usize, minutes: u32, before: (usize, usize), now: &Figures) -> String {
    let (paths, dead) = before;
    format!(
        "| {deletions} | {minutes} | {paths} | {dead} | {} | {} | {} | {} |",
        now.paths, now.refusals, now.minutes, now.dead
    )
}

#[tokio::test]
async fn every_path_of_many_deletions_in_a_minute_is_invalidated_and_none_is_a_dead_letter() {
    let mut rows = Vec::new();
    for deletions in [1, 1000, 10_000] {
        for minutes in [1, 5, 15] {
            let figures = simulate(deletions, minutes * MINUTE).await;
            assert_eq!((figures.dead, figures.cached), (0, 0), "{deletions} {minutes}");
            let before = one_by_one(deletions, minutes * MINUTE);
            rows.push(row(deletions, minutes, before, &figures));
        }
    }
    let page = include_str!("../../../../../deploy/cost.md");
    let table: Vec<&str> = page
        .lines()
        .filter(|line| rows.iter().any(|row| row == line))
        .collect();
    assert_eq!(
        table,
        rows,
        "deploy/cost.md has these figures:\n{}",
        rows.join("\n")
    );
}
