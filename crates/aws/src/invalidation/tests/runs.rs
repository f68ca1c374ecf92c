use std::time::Duration;

use super::model::{MOST_RECEIVES, Model};
use crate::invalidation::{Kind, Run};

const MINUTE: Duration = Duration::from_secs(60);

fn model() -> Model {
    Model::new(5 * MINUTE, 10 * MINUTE)
}

#[tokio::test]
async fn an_empty_queue_asks_cloudfront_nothing() {
    let model = model();
    assert_eq!(model.run().await.unwrap(), Run::default());
    assert_eq!(model.charged(), 0);
}

#[tokio::test]
async fn a_removed_picture_is_told_of_by_the_next_run_under_every_spelling() {
    let model = model();
    for key in ["shop/a.jpg", "a b/ü (1), @=&+'!.jpg", "PHOTO~1.JPG"] {
        model.show(key);
        model.tell(key, Kind::Removed);
        model.run().await.unwrap();
        model.wait(5 * MINUTE);
        assert!(!model.is_cached(key), "{key}");
    }
    assert_eq!(model.waiting(), 0);
    assert_eq!(model.charged(), 3 + 6 + 3);
}

#[tokio::test]
async fn neighbours_of_a_removed_picture_stay_cached() {
    let model = model();
    for key in ["shop/a.jpg", "shop/a.jpg2", "shop/b.jpg"] {
        model.show(key);
    }
    model.tell("shop/a.jpg", Kind::Removed);
    model.run().await.unwrap();
    model.wait(5 * MINUTE);
    assert!(!model.is_cached("shop/a.jpg"));
    assert!(model.is_cached("shop/a.jpg2") && model.is_cached("shop/b.jpg"));
}

#[tokio::test]
async fn replaced_pictures_are_gathered_until_their_window_is_over() {
    let model = model();
    model.wait(3 * MINUTE);
    for key in [
        "shop/1.jpg",
        "shop/2.jpg",
        "shop/3.jpg",
        "shop/4.jpg",
        "shop/5.jpg",
    ] {
        model.show(key);
        model.tell(key, Kind::Replaced);
        model.wait(MINUTE);
        assert_eq!(model.run().await.unwrap().paths, [""; 0]);
    }
    assert_eq!(model.now(), 8 * 60);
    model.wait(2 * MINUTE);
    let run = model.run().await.unwrap();
    assert_eq!((run.told, run.kept), (5, 0));
    assert_eq!(model.waiting(), 0);
    model.wait(5 * MINUTE);
    assert_eq!(model.cached(), 0);
}

#[tokio::test]
async fn a_replaced_picture_that_a_removal_covers_goes_along_and_others_wait() {
    let model = model();
    model.tell("shop/a", Kind::Removed);
    model.tell("shop/a/b.jpg", Kind::Replaced);
    model.tell("team.jpg", Kind::Replaced);
    let run = model.run().await.unwrap();
    assert_eq!(run.paths, ["/img/shop/a/*", "/shop/a/*", "/v/shop/a/*"]);
    assert_eq!((run.received, run.told, run.kept), (3, 2, 1));
    model.run_until_quiet().await;
    assert_eq!(model.charged(), 6);
}

#[tokio::test]
async fn without_a_window_replaced_pictures_are_told_of_like_removed_ones() {
    let model = Model::new(MINUTE, Duration::ZERO);
    model.tell("a.jpg", Kind::Replaced);
    assert_eq!(model.run().await.unwrap().told, 1);
}

#[tokio::test]
async fn what_cloudfront_has_no_time_for_comes_back_and_is_merged_with_what_came_since() {
    let model = model();
    model.occupy(13);
    model.show("shop/a.jpg");
    model.show("shop/b.jpg");
    model.tell("shop/a.jpg", Kind::Removed);
    let run = model.run().await.unwrap();
    assert_eq!((run.told, run.kept, run.paths.len()), (0, 1, 0));
    assert_eq!(model.run().await.unwrap().received, 0, "it is hidden");
    model.tell("shop/b.jpg", Kind::Removed);
    model.wait(5 * MINUTE);
    let run = model.run().await.unwrap();
    assert_eq!((run.told, run.paths.len()), (2, 6), "one request for both");
    model.wait(5 * MINUTE);
    assert_eq!(model.cached(), 0);
}

#[tokio::test]
async fn somebody_who_keeps_cloudfront_busy_leaves_the_last_path_for_everything() {
    let model = Model::new(24 * 60 * MINUTE, MINUTE);
    model.occupy(14);
    for key in ["a.jpg", "b.jpg", "c.jpg"] {
        model.show(key);
        model.tell(key, Kind::Removed);
    }
    for _ in 0..30 {
        model.wait(MINUTE);
        model.run().await.unwrap();
    }
    assert_eq!((model.waiting(), model.dead()), (0, 0));
    assert_eq!(model.charged(), 1, "it is /*");
    model.wait(24 * 60 * MINUTE);
    assert_eq!(model.cached(), 0);
}

#[tokio::test]
async fn a_path_that_cloudfront_refuses_is_widened_until_it_takes_it() {
    for (refused, paths) in [('(', 3), ('i', 1)] {
        let model = model();
        model.refuse_paths_with(refused);
        model.show("shop/(1).jpg");
        model.tell("shop/(1).jpg", Kind::Removed);
        model.run().await.unwrap();
        model.wait(5 * MINUTE);
        assert_eq!((model.cached(), model.waiting()), (0, 0));
        assert_eq!(model.charged(), paths, "{refused}");
    }
}

#[tokio::test]
async fn after_a_run_that_failed_everything_comes_back() {
    let model = model();
    model.show("a.jpg");
    model.tell("a.jpg", Kind::Removed);
    model.fail(true);
    let error = model.run().await.unwrap_err();
    assert_eq!(error.to_string(), "no answer");
    model.fail(false);
    model.run_until_quiet().await;
    assert_eq!((model.cached(), model.dead()), (0, 0));
}

#[tokio::test]
async fn a_message_that_is_not_understood_holds_nothing_up_and_ends_in_the_dead_letters() {
    let model = model();
    model.send("what is this?".to_owned());
    model.show("a.jpg");
    model.tell("a.jpg", Kind::Removed);
    assert_eq!(model.run().await.unwrap().told, 1);
    for _ in 0..3 * MOST_RECEIVES {
        model.wait(MINUTE);
        model.run().await.unwrap();
    }
    assert_eq!((model.cached(), model.waiting(), model.dead()), (0, 0, 1));
}
