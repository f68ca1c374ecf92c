//! The self-test, which makes its attempts in real workers.

use tintype_jail::{Error, Jail, RequiredLevel, self_test};
use tintype_model::RenderError;

use crate::{config, in_time};

#[tokio::test]
async fn every_attempt_to_get_out_is_refused() {
    let (level, attempts) = in_time(self_test(&config(), "attempt", |_| ())).await.unwrap();
    assert!(attempts.len() >= 40, "{}", attempts.len());
    let escapes: Vec<_> = attempts.iter().filter(|attempt| !attempt.is_refused).collect();
    assert!(escapes.is_empty(), "at level {level}: {escapes:#?}");
}

#[tokio::test]
async fn a_worker_below_the_required_level_is_given_nothing() {
    let mut config = config();
    config.level = RequiredLevel::Full;
    let jail = Jail::new(config);
    match in_time(jail.warm()).await {
        Ok(()) => assert_eq!(jail.level().name(), "full"),
        Err(RenderError::Failed(error)) => {
            assert!(
                matches!(error.downcast_ref(), Some(Error::Setup(detail)) if detail.contains("does not grant"))
            );
        }
        other => panic!("{other:?}"),
    }
}
