use std::pin::pin;

use futures::FutureExt;
use tintype_model::testing::conformance::{self, order};
use tintype_model::{Job, JobQueue, MetadataStore};

use super::*;
use crate::{Depth, Error};

const LEASE: Duration = Duration::from_secs(60);

fn job(name: &str, sequencer: u64) -> Job {
    Job {
        key: key(name),
        order: order(sequencer, 0),
        work: Work::Remove,
    }
}

#[tokio::test]
async fn the_queue_conforms() {
    let data = Data::new();
    let queue = data.store().queue();
    conformance::job_queue(&queue, async || {
        let mut jobs = Vec::new();
        while let Some(claimed) = queue.claim(LEASE).await.unwrap() {
            queue.ack(&claimed).await.unwrap();
            jobs.push(claimed.job);
        }
        jobs
    })
    .await;
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
}

#[tokio::test]
async fn jobs_come_in_the_order_in_which_they_were_queued() {
    let data = Data::new();
    let queue = data.store().queue();
    assert_eq!(queue.claim(LEASE).await.unwrap(), None);
    assert_eq!(queue.next_due().await.unwrap(), None);
    for sequencer in 1..=3 {
        queue
            .enqueue(&job(&format!("k{sequencer}"), sequencer))
            .await
            .unwrap();
    }
    assert_eq!(queue.next_due().await.unwrap(), Some(Duration::ZERO));
    for sequencer in 1..=3 {
        let claimed = queue.claim(LEASE).await.unwrap().unwrap();
        assert_eq!(claimed.job, job(&format!("k{sequencer}"), sequencer));
        assert_eq!(claimed.attempt, 1);
        queue.ack(&claimed).await.unwrap();
    }
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
}

#[tokio::test]
async fn a_lost_lease_settles_nothing() {
    let data = Data::new();
    let queue = data.store().queue();
    queue.enqueue(&job("a", 1)).await.unwrap();
    let first = queue.claim(LEASE).await.unwrap().unwrap();
    data.advance(LEASE - Duration::from_millis(1));
    assert_eq!(
        queue.claim(LEASE).await.unwrap(),
        None,
        "the lease holds to its end"
    );
    assert_eq!(queue.next_due().await.unwrap(), Some(Duration::from_millis(1)));
    data.advance(Duration::from_millis(1));
    let second = queue.claim(LEASE).await.unwrap().unwrap();
    assert_eq!((second.id, second.attempt), (first.id, 2));
    assert!(second.token > first.token);
    let stale = |result| assert!(matches!(result, Err(Error::StaleLease { id }) if id == first.id));
    stale(queue.ack(&first).await);
    stale(queue.extend(&first, LEASE).await);
    stale(queue.retry_later(&first, Duration::ZERO, String::new()).await);
    stale(queue.bury(&first, String::new()).await);
    stale(queue.return_now(&first).await);
    assert_eq!(queue.depth().await.unwrap().leased, 1);
    queue.ack(&second).await.unwrap();
    stale(queue.ack(&second).await);
}

#[tokio::test]
async fn a_lease_is_extended_from_now() {
    let data = Data::new();
    let queue = data.store().queue();
    queue.enqueue(&job("a", 1)).await.unwrap();
    let claimed = queue.claim(LEASE).await.unwrap().unwrap();
    data.advance(LEASE * 2);
    queue.extend(&claimed, LEASE).await.unwrap();
    data.advance(LEASE - Duration::from_millis(1));
    assert_eq!(queue.claim(LEASE).await.unwrap(), None);
    queue.ack(&claimed).await.unwrap();
}

#[tokio::test]
async fn failed_jobs_wait_for_their_time() {
    let data = Data::new();
    let queue = data.store().queue();
    queue.enqueue(&job("a", 1)).await.unwrap();
    for (attempt, seconds) in [(1, 2_u64), (2, 30), (3, 600)] {
        let claimed = queue.claim(LEASE).await.unwrap().unwrap();
        assert_eq!(claimed.attempt, attempt);
        let delay = Duration::from_secs(seconds);
        queue
            .retry_later(&claimed, delay, format!("error {attempt}"))
            .await
            .unwrap();
        assert_eq!(
            queue.depth().await.unwrap(),
            Depth {
                delayed: 1,
                ..Depth::default()
            }
        );
        assert_eq!(queue.next_due().await.unwrap(), Some(delay));
        data.advance(delay - Duration::from_millis(1));
        assert_eq!(queue.claim(LEASE).await.unwrap(), None);
        data.advance(Duration::from_millis(1));
        assert_eq!(
            queue.depth().await.unwrap(),
            Depth {
                ready: 1,
                ..Depth::default()
            }
        );
    }
}

#[tokio::test]
async fn dead_letters_wait_for_a_redrive() {
    let data = Data::new();
    let queue = data.store().queue();
    for sequencer in 1..=3 {
        queue.enqueue(&job("a", sequencer)).await.unwrap();
        let claimed = queue.claim(LEASE).await.unwrap().unwrap();
        queue.bury(&claimed, format!("reason {sequencer}")).await.unwrap();
    }
    data.advance(Duration::from_secs(1_000_000));
    assert_eq!(queue.claim(LEASE).await.unwrap(), None);
    assert_eq!(queue.next_due().await.unwrap(), None);
    assert_eq!(
        queue.depth().await.unwrap(),
        Depth {
            dead: 3,
            ..Depth::default()
        }
    );
    let dead = queue.dead(2).await.unwrap();
    assert_eq!(dead.len(), 2);
    assert_eq!((dead[0].job.as_ref(), dead[0].attempts), (Some(&job("a", 1)), 1));
    assert_eq!(dead[0].error, "reason 1");
    assert_eq!(dead[0].died_at, UnixMillis(1_700_000_000_000));

    assert!(queue.redrive(dead[1].id).await.unwrap());
    assert!(!queue.redrive(dead[1].id).await.unwrap());
    let claimed = queue.claim(LEASE).await.unwrap().unwrap();
    assert_eq!(
        (claimed.id, claimed.attempt),
        (dead[1].id, 1),
        "tried as if for the first time"
    );
    assert_eq!(queue.redrive_all().await.unwrap(), 2);
    assert_eq!(queue.depth().await.unwrap().dead, 0);
}

#[tokio::test]
async fn a_job_that_is_given_back_counts_as_not_delivered() {
    let data = Data::new();
    let queue = data.store().queue();
    queue.enqueue(&job("a", 1)).await.unwrap();
    let first = queue.claim(LEASE).await.unwrap().unwrap();
    queue.return_now(&first).await.unwrap();
    let again = queue.claim(LEASE).await.unwrap().unwrap();
    assert_eq!((again.id, again.attempt), (first.id, 1));
    assert!(again.token > first.token, "and yet it is another claim");
    assert!(matches!(queue.ack(&first).await, Err(Error::StaleLease { .. })));
}

#[tokio::test]
async fn keys_that_nobody_works_on_come_first() {
    let data = Data::new();
    let queue = data.store().queue();
    for (name, sequencer) in [("busy", 1), ("busy", 2), ("busy", 3), ("idle", 4)] {
        queue.enqueue(&job(name, sequencer)).await.unwrap();
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(queue.claim(LEASE).await.unwrap().unwrap().job);
    }
    assert_eq!(
        order,
        [job("busy", 1), job("idle", 4), job("busy", 2), job("busy", 3)],
        "but no job waits while a worker is idle"
    );
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_buried_and_stops_nobody() {
    let data = Data::new();
    let queue = data.store().queue();
    queue.enqueue(&job("a", 1)).await.unwrap();
    queue.enqueue(&job("b", 2)).await.unwrap();
    data.connect()
        .execute("UPDATE jobs SET job = '{}' WHERE id = 1", [])
        .unwrap();
    assert_eq!(queue.claim(LEASE).await.unwrap().unwrap().job, job("b", 2));
    let dead = queue.dead(10).await.unwrap();
    assert_eq!((dead.len(), dead[0].job.as_ref()), (1, None));
    assert!(dead[0].error.contains("damaged"), "{}", dead[0].error);
}

#[tokio::test]
async fn who_waits_is_woken_by_an_upload() {
    let data = Data::new();
    let store = data.store();
    let queue = store.queue();
    let mut next = pin!(queue.next(LEASE));
    let upload = async {
        // The worker finds nothing and goes to sleep before anything is uploaded.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        put(&store, "a", b"one").await
    };
    let (claimed, meta) = tokio::join!(&mut next, upload);
    assert_eq!(etag_of(&claimed.unwrap().job.work), Some(meta.etag.as_str()));
}

#[tokio::test]
async fn as_many_are_woken_as_jobs_were_queued() {
    let data = Data::new();
    let store = data.store();
    let queue = store.queue();
    let workers = (0..4).map(|_| queue.next(LEASE));
    let uploads = (0..4).map(|number| put(&store, ["a", "b", "c", "d"][number], b"x").map(|_| ()));
    let (claimed, _) = tokio::join!(
        futures::future::join_all(workers),
        futures::future::join_all(uploads)
    );
    let mut ids: Vec<i64> = claimed.into_iter().map(|claimed| claimed.unwrap().id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_claim_that_nobody_waits_for_is_given_back() {
    let data = Data::new();
    let queue = data.store().queue();
    queue.enqueue(&job("a", 1)).await.unwrap();
    {
        let mut claim = Box::pin(queue.claim(LEASE));
        assert!(claim.as_mut().now_or_never().is_none());
    }
    // Woken when the claim is either given back or was never made.
    let claimed = queue.next(LEASE).await.unwrap();
    assert_eq!((claimed.job, claimed.attempt), (job("a", 1), 1));
}

#[tokio::test]
async fn a_job_that_forgets_is_kept_back_also_over_a_restart() {
    let data = Data::new();
    let store = data.store();
    let forget = Job {
        work: Work::Forget,
        ..job("a", 1)
    };
    store.queue().enqueue(&forget).await.unwrap();
    assert_eq!(store.queue().claim(LEASE).await.unwrap(), None);
    assert_eq!(store.queue().next_due().await.unwrap(), Some(Work::FORGET_AFTER));
    assert_eq!(store.queue().depth().await.unwrap().delayed, 1);
    data.advance(Work::FORGET_AFTER - Duration::from_millis(1));
    drop(store);
    let store = data.store();
    assert_eq!(store.queue().claim(LEASE).await.unwrap(), None);
    data.advance(Duration::from_millis(1));
    assert_eq!(store.queue().claim(LEASE).await.unwrap().unwrap().job, forget);
}

#[tokio::test]
async fn forgetting_a_key_takes_its_dead_letters_and_no_others() {
    let data = Data::new();
    let store = data.store();
    for name in ["a", "b"] {
        store.queue().enqueue(&job(name, 1)).await.unwrap();
        let claimed = store.queue().claim(LEASE).await.unwrap().unwrap();
        store.queue().bury(&claimed, "no".to_owned()).await.unwrap();
    }
    let removed = conformance::record("a", order(1, 0), tintype_model::Status::Deleted);
    // Older than the dead letter, which stays therefore.
    let older = tintype_model::Record {
        order: order(0, 0),
        ..removed
    };
    store.metadata().put(&older).await.unwrap();
    assert_eq!(store.queue().depth().await.unwrap().dead, 2);
    assert!(store.metadata().forget(&key("a"), &order(0, 0)).await.unwrap());
    let left = store.queue().dead(10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].job.as_ref().unwrap().key, key("b"));
}

#[tokio::test]
async fn dead_letters_conform() {
    let data = Data::new();
    let queue = data.store().queue();
    let bury = async |job: &Job| {
        queue.enqueue(job).await.unwrap();
        let claimed = queue.claim(LEASE).await.unwrap().unwrap();
        queue.bury(&claimed, "a reason".to_owned()).await.unwrap();
    };
    let receive = async || {
        let mut jobs = Vec::new();
        while let Some(claimed) = queue.claim(LEASE).await.unwrap() {
            queue.ack(&claimed).await.unwrap();
            jobs.push(claimed.job);
        }
        jobs
    };
    conformance::dead_letters(&queue, bury, receive).await;
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
}
