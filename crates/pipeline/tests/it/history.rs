use std::collections::BTreeMap;
use std::pin::pin;
use std::task::Poll;

use futures::future::join_all;
use proptest::prelude::*;
use tintype_model::Job;
use tintype_pipeline::{Layout, Pipeline};

use crate::world::{Dice, World};

const KEYS: [&str; 3] = ["a", "a/medium.avif", "b"];
const BODIES: [&str; 4] = ["one", "two", "bad", "one"];

/// The adverse conditions of a history.
#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    /// Requests and answers that are lost, in percent of the calls.
    fault_percent: u64,
    /// Workers that die at work, in percent of the deliveries.
    crash_percent: u64,
    /// True if workers of two releases, with two recipes, run side by side.
    two_recipes: bool,
}

/// Polls until it is done or until it was polled so many times; then it is dropped, as when its process is killed.
async fn crash_after<T>(polls: u64, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

fn worker<'a>(world: &'a World, dice: &Dice, trouble: Trouble) -> &'a Pipeline {
    if trouble.two_recipes && dice.below(2) == 0 {
        &world.next_pipeline
    } else {
        &world.pipeline
    }
}

/// Delivers jobs one to three times each, in any order, at the same time, until each was acknowledged once per
/// delivery.
async fn deliver(world: &World, dice: &Dice, trouble: Trouble, jobs: Vec<Job>) {
    let mut deliveries: Vec<Job> = Vec::new();
    for job in jobs {
        for _ in 0..=dice.below(3) {
            let at = usize::try_from(dice.below(deliveries.len() as u64 + 1)).unwrap();
            deliveries.insert(at, job.clone());
        }
    }
    join_all(deliveries.iter().map(async |job| {
        // Bounded: a fault rate under one half makes 1,000 failures in a row impossible in practice.
        for attempt in 1..1000 {
            let work = worker(world, dice, trouble).process(job, attempt);
            let polls = if dice.below(100) < trouble.crash_percent {
                dice.below(60)
            } else {
                u64::MAX
            };
            if let Some(Ok(_)) = crash_after(polls, work).await {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("never acknowledged: {job:?}");
    }))
    .await;
}

/// Delivers a job again until it is acknowledged.
async fn redeliver(pipeline: &Pipeline, job: &Job) {
    for attempt in 2..1000 {
        if pipeline.process(job, attempt).await.is_ok() {
            return;
        }
    }
    panic!("never acknowledged: {job:?}");
}

/// Writes and deletes happen in order; their events are delivered in batches, in any order, with repeats.
async fn run(layout: Layout, seed: u64, trouble: Trouble, operations: usize) {
    let dice = Dice::new(seed);
    let world = World::rough(layout, dice.clone(), trouble.fault_percent);
    let mut expected: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting: Vec<Job> = Vec::new();
    let mut last: BTreeMap<String, Job> = BTreeMap::new();
    for _ in 0..operations {
        let key = KEYS[usize::try_from(dice.below(3)).unwrap()];
        let choice = usize::try_from(dice.below(6)).unwrap();
        if let Some(body) = BODIES.get(choice) {
            waiting.push(world.upload(key, body).await);
            expected.insert(key, if *body == "bad" { "rejected" } else { body });
        } else {
            waiting.push(world.delete(key).await);
            expected.insert(key, "deleted");
        }
        if dice.below(3) == 0 {
            // Some events of the batch are late: they come with a later one.
            let late = waiting.split_off(usize::try_from(dice.below(waiting.len() as u64 + 1)).unwrap());
            let now = std::mem::replace(&mut waiting, late);
            last.extend(now.iter().map(|job| (job.key.as_str().to_owned(), job.clone())));
            deliver(&world, &dice, trouble, now).await;
            for key in KEYS {
                world.published(key).await;
            }
        }
    }
    last.extend(
        waiting
            .iter()
            .map(|job| (job.key.as_str().to_owned(), job.clone())),
    );
    deliver(&world, &dice, trouble, waiting).await;
    if trouble.two_recipes {
        // A worker knows the variants of its own recipe, so what one of another release left is found when one of
        // that release looks.
        for job in last.into_values() {
            for pipeline in [&world.next_pipeline, &world.pipeline] {
                redeliver(pipeline, &job).await;
            }
        }
    }
    for (key, expected) in expected {
        assert_eq!(world.published(key).await, expected, "key {key:?}, seed {seed}");
    }
    let tidy = match layout {
        // What a crash leaves is out of reach, and collected by the store.
        Layout::RandomSets => trouble.fault_percent == 0 && trouble.crash_percent == 0,
        // Whatever is there can be reached.
        Layout::InPlace => true,
    };
    if tidy {
        assert_eq!(
            world.unnamed_renditions().await,
            Vec::<String>::new(),
            "seed {seed}"
        );
    }
}

fn check(layout: Layout, seed: u64, trouble: Trouble) {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(run(layout, seed, trouble, 12));
}

fn layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(vec![Layout::RandomSets, Layout::InPlace])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_in_the_state_of_the_bucket(layout in layout(), seed: u64) {
        check(layout, seed, Trouble::default());
    }

    #[test]
    fn lost_requests_and_lost_answers_do_not_change_the_end(layout in layout(), seed: u64) {
        check(layout, seed, Trouble { fault_percent: 10, ..Trouble::default() });
    }

    #[test]
    fn neither_do_crashes_nor_two_releases_side_by_side(layout in layout(), seed: u64) {
        check(layout, seed, Trouble { fault_percent: 5, crash_percent: 30, two_recipes: true });
    }
}
