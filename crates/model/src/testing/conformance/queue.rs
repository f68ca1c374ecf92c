use super::{nasty_keys, order};
use crate::{Job, JobQueue, ObjectKey, Work};

/// The [`JobQueue`] suite, for an empty queue. Leaves no job behind.
///
/// `receive` takes jobs off the queue, any number of those that are there. It waits for as long as it takes a job
/// to arrive, and returns none only when there are none.
///
/// # Panics
/// On the first thing that the queue does otherwise than the port says.
pub async fn job_queue(queue: &dyn JobQueue, mut receive: impl AsyncFnMut() -> Vec<Job>) {
    delivers_jobs_of_every_key(queue, &mut receive).await;
    delivers_what_was_queued_together(queue, &mut receive).await;
    delivers_the_same_job_again(queue, &mut receive).await;
}

pub(super) fn render(key: &str, sequencer: u64) -> Job {
    Job {
        key: ObjectKey::new(key).expect("key"),
        order: order(sequencer, 7),
        work: Work::Render {
            etag: "0123456789abcdef-2".to_owned(),
        },
    }
}

pub(super) fn remove(key: &str, sequencer: u64) -> Job {
    Job {
        work: Work::Remove,
        ..render(key, sequencer)
    }
}

/// Every job of `expected` is delivered at least once, in any order, and no other.
pub(super) async fn expect(receive: &mut impl AsyncFnMut() -> Vec<Job>, expected: &[Job]) {
    let mut missing = expected.to_vec();
    while !missing.is_empty() {
        let jobs = receive().await;
        assert!(!jobs.is_empty(), "never delivered: {missing:?}");
        for job in jobs {
            assert!(expected.contains(&job), "never queued: {job:?}");
            missing.retain(|other| *other != job);
        }
    }
}

async fn delivers_jobs_of_every_key(queue: &dyn JobQueue, receive: &mut impl AsyncFnMut() -> Vec<Job>) {
    // The last is refused by queues that only take what XML can hold.
    let keys = nasty_keys()
        .into_iter()
        .chain(["\u{0}\u{fffe}\u{ffff}".to_owned()]);
    let jobs: Vec<Job> = keys.flat_map(|key| [render(&key, 1), remove(&key, 2)]).collect();
    for job in &jobs {
        queue.enqueue(job).await.expect("enqueue");
    }
    expect(receive, &jobs).await;
}

async fn delivers_what_was_queued_together(
    queue: &dyn JobQueue,
    receive: &mut impl AsyncFnMut() -> Vec<Job>,
) {
    let jobs = [1, 2, 3, 4].map(|sequencer| render("together", sequencer));
    let [a, b, c, d] = &jobs;
    let results = tokio::join!(
        queue.enqueue(a),
        queue.enqueue(b),
        queue.enqueue(c),
        queue.enqueue(d)
    );
    for result in [results.0, results.1, results.2, results.3] {
        result.expect("enqueue");
    }
    expect(receive, &jobs).await;
}

async fn delivers_the_same_job_again(queue: &dyn JobQueue, receive: &mut impl AsyncFnMut() -> Vec<Job>) {
    let job = remove("again", 1);
    for _ in 0..2 {
        queue.enqueue(&job).await.expect("enqueue");
        expect(receive, std::slice::from_ref(&job)).await;
    }
}
