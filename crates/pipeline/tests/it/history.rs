use std::collections::BTreeMap;

use futures::future::join_all;
use proptest::prelude::*;
use tintype_model::Job;

use crate::world::{Dice, World};

const KEYS: [&str; 3] = ["a", "a/medium.avif", "b"];
const BODIES: [&str; 4] = ["one", "two", "bad", "one"];

/// Delivers jobs one to three times each, in any order, at the same time, until each was acknowledged once per
/// delivery.
async fn deliver(world: &World, dice: &Dice, jobs: Vec<Job>) {
    let mut deliveries: Vec<Job> = Vec::new();
    for job in jobs {
        for _ in 0..=dice.below(3) {
            let at = usize::try_from(dice.below(deliveries.len() as u64 + 1)).unwrap();
            deliveries.insert(at, job.clone());
        }
    }
    join_all(deliveries.iter().map(async |job| {
        // Bounded: a fault rate under one half makes 1,000 failures in a row impossible in practice.
        for _ in 0..1000 {
            if world.pipeline.process(job).await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("never acknowledged: {job:?}");
    }))
    .await;
}

/// Writes and deletes happen in order; their events are delivered in batches, in any order, with repeats.
async fn run(seed: u64, fault_percent: u64, operations: usize) {
    let dice = Dice::new(seed);
    let world = World::rough(dice.clone(), fault_percent);
    let mut expected: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting: Vec<Job> = Vec::new();
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
            deliver(&world, &dice, std::mem::replace(&mut waiting, late)).await;
            for key in KEYS {
                world.published(key).await;
            }
        }
    }
    deliver(&world, &dice, waiting).await;
    for (key, expected) in expected {
        assert_eq!(world.published(key).await, expected, "key {key:?}, seed {seed}");
    }
    if fault_percent == 0 {
        assert_eq!(
            world.unnamed_renditions().await,
            Vec::<String>::new(),
            "seed {seed}"
        );
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_in_the_state_of_the_bucket(seed: u64) {
        block_on(run(seed, 0, 12));
    }

    #[test]
    fn lost_requests_and_lost_answers_do_not_change_the_end(seed: u64) {
        block_on(run(seed, 10, 12));
    }
}
