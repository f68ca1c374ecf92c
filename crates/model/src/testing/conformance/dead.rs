use super::queue::{expect, remove, render};
use crate::{DeadLetter, DeadLetters, Job};

/// The [`DeadLetters`] suite, for a queue without jobs and without dead letters. Leaves none behind.
///
/// `bury` makes a dead letter of a job. `receive` takes jobs off the queue that redriven ones go to, as for
/// [`super::job_queue`].
///
/// # Panics
/// On the first thing that the dead letters do otherwise than the port says.
pub async fn dead_letters(
    dead: &dyn DeadLetters,
    mut bury: impl AsyncFnMut(&Job),
    mut receive: impl AsyncFnMut() -> Vec<Job>,
) {
    assert_eq!(dead.list(10).await.expect("list"), []);
    assert_eq!(dead.redrive(None).await.expect("redrive"), 0, "there are none");
    assert_eq!(dead.redrive(Some(1)).await.expect("redrive"), 0, "there is none");

    // The last two are for one key.
    let jobs = [
        render("first", 1),
        remove("caf\u{e9}/\u{0}\u{fffe}", 1),
        render("twice", 1),
        remove("twice", 2),
    ];
    for job in &jobs {
        bury(job).await;
    }
    let letters = listed(dead, jobs.len()).await;
    let mut keys: Vec<&str> = letters.iter().map(key_of).collect();
    let mut expected: Vec<&str> = jobs.iter().map(|job| job.key.as_str()).collect();
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    for letter in &letters {
        assert!(letter.attempts >= 1, "{letter:?}");
        assert!(!letter.error.is_empty(), "{letter:?}");
        let same = letters.iter().filter(|other| other.id == letter.id);
        assert_eq!(same.count(), 1, "numbers tell letters apart");
    }
    assert_eq!(dead.list(2).await.expect("list").len(), 2);
    let mut again: Vec<i64> = listed(dead, jobs.len())
        .await
        .iter()
        .map(|letter| letter.id)
        .collect();
    let mut ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
    again.sort_unstable();
    ids.sort_unstable();
    assert_eq!(again, ids, "a number stays, and looking changes nothing");

    let first = letters
        .iter()
        .find(|letter| key_of(letter) == "first")
        .expect("a letter");
    assert_eq!(dead.redrive(Some(first.id)).await.expect("redrive"), 1);
    expect(&mut receive, &jobs[..1]).await;
    assert_eq!(
        dead.redrive(Some(first.id)).await.expect("redrive"),
        0,
        "it is none any more"
    );
    assert_eq!(listed(dead, jobs.len() - 1).await.len(), jobs.len() - 1);

    assert_eq!(dead.redrive(None).await.expect("redrive"), jobs.len() - 1);
    expect(&mut receive, &jobs[1..]).await;
    assert_eq!(dead.list(10).await.expect("list"), []);
}

fn key_of(letter: &DeadLetter) -> &str {
    letter.key.as_ref().expect("the job can be read").as_str()
}

/// The dead letters, of which there are so many.
async fn listed(dead: &dyn DeadLetters, count: usize) -> Vec<DeadLetter> {
    let letters = dead.list(10).await.expect("list");
    assert_eq!(letters.len(), count, "{letters:?}");
    letters
}
