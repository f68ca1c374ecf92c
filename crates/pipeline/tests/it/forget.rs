//! Forgetting tombstones, and what comes late after it.

use tintype_model::{Job, Outcome, Skip, Work};
use tintype_pipeline::{Error, Layout};

use crate::world::World;

fn forget(removal: &Job) -> Job {
    Job {
        work: Work::Forget,
        order: removal.order.next_revision(),
        ..removal.clone()
    }
}

async fn done(world: &World, job: &Job) -> Outcome {
    world.pipeline.process(job, 1).await.unwrap()
}

#[tokio::test]
async fn nothing_tells_of_a_forgotten_key_and_what_is_late_does_not_bring_it_back() {
    for layout in [Layout::RandomSets, Layout::InPlace] {
        let world = World::smooth(layout);
        let upload = world.upload("a", "one").await;
        done(&world, &upload).await;
        let removal = world.delete("a").await;
        done(&world, &removal).await;
        assert_eq!(world.published("a").await, "deleted");
        assert_eq!(done(&world, &forget(&removal)).await, Outcome::Processed);
        assert_eq!(world.published("a").await, "nothing");
        // Again, and the upload's event again, which finds no source.
        assert_eq!(
            done(&world, &forget(&removal)).await,
            Outcome::Skipped(Skip::Duplicate)
        );
        assert_eq!(done(&world, &upload).await, Outcome::Skipped(Skip::Superseded));
        assert_eq!(world.published("a").await, "nothing");
        assert!(world.renditions.keys().is_empty());
    }
}

#[tokio::test]
async fn a_key_that_is_used_again_is_not_forgotten() {
    let world = World::smooth(Layout::InPlace);
    let upload = world.upload("a", "one").await;
    done(&world, &upload).await;
    let removal = world.delete("a").await;
    done(&world, &removal).await;
    let again = world.upload("a", "two").await;
    // Before its event is processed, and after.
    assert_eq!(
        done(&world, &forget(&removal)).await,
        Outcome::Skipped(Skip::Superseded)
    );
    assert_eq!(world.published("a").await, "deleted");
    done(&world, &again).await;
    assert_eq!(
        done(&world, &forget(&removal)).await,
        Outcome::Skipped(Skip::Superseded)
    );
    assert_eq!(world.published("a").await, "two");
}

#[tokio::test]
async fn the_removal_comes_first_and_forgetting_that_fails_changes_no_record() {
    let world = World::smooth(Layout::InPlace);
    let upload = world.upload("a", "one").await;
    done(&world, &upload).await;
    let removal = world.delete("a").await;
    let early = world.pipeline.process(&forget(&removal), 1).await;
    assert!(matches!(early, Err(Error::NotRemoved)), "{early:?}");
    assert_eq!(world.published("a").await, "one");
    let before = world.record("a").await;
    let error = "the picture is not removed yet".to_owned();
    world.pipeline.give_up(&forget(&removal), error, 5).await.unwrap();
    assert_eq!(world.record("a").await, before);
    done(&world, &removal).await;
    assert_eq!(done(&world, &forget(&removal)).await, Outcome::Processed);
    assert_eq!(world.record("a").await, None);
}
