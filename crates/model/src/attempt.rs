use serde::{Deserialize, Serialize};

use crate::{Failure, Order, Record, Rejection, Status, UnixMillis};

/// The newest work on a key, when it left the record's status as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The order of the work.
    pub order: Order,
    /// The time at which it ended.
    pub at: UnixMillis,
    /// The reason why it changed nothing.
    #[serde(flatten)]
    pub result: AttemptResult,
}

/// The result of work that left the status of a record as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum AttemptResult {
    /// The source, which was published before, is rejected now: by another limit, recipe or engine.
    Rejected {
        /// The reason, for programs and for people.
        rejection: Rejection,
    },
    /// The work was given up. Yields to any other result of the same order.
    Failed {
        /// The error of the last try.
        failure: Failure,
    },
}

impl AttemptResult {
    /// The word used in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "rejected",
            Self::Failed { .. } => "failed",
        }
    }
}

/// The fate of a record that is put into a store that has one of the same key.
#[derive(Clone, Debug, PartialEq)]
pub enum Succession {
    /// The store keeps what it has, which is as new or newer.
    Refused,
    /// The new record takes the place of the one before.
    Replaces,
    /// The record before stays, with the new work noted in it as an attempt: this record is stored.
    Noted(Box<Record>),
}

impl Record {
    /// The order of the newest work that the record knows. Further work takes a revision after it.
    #[must_use]
    pub fn newest_order(&self) -> &Order {
        match &self.attempt {
            Some(attempt) => (&attempt.order).max(&self.order),
            None => &self.order,
        }
    }

    /// True if another result of the order [`Self::newest_order`] is written over the one that this record has.
    #[must_use]
    pub fn is_provisional(&self) -> bool {
        self.finality() < Status::FINAL
    }

    /// The fate of this record in a store that holds `current` for the same key: the rule of
    /// [`crate::MetadataStore::put`].
    ///
    /// A picture is removed only by a newer upload or a removal: a rejection of the source that is published, and
    /// any work that was given up, is noted beside it.
    #[must_use]
    pub fn succeeds(&self, current: &Self) -> Succession {
        let (mine, theirs) = (self.newest_order(), current.newest_order());
        if mine < theirs || (mine == theirs && self.finality() <= current.finality()) {
            return Succession::Refused;
        }
        let is_same_source = self.order.sequencer == current.order.sequencer;
        let result = match (&self.status, &current.status) {
            (Status::Rejected { rejection }, Status::Ready { .. }) if is_same_source => {
                AttemptResult::Rejected {
                    rejection: rejection.clone(),
                }
            }
            (Status::Failed { failure }, Status::Ready { .. }) => AttemptResult::Failed {
                failure: failure.clone(),
            },
            (Status::Failed { failure }, Status::Rejected { .. } | Status::Deleted) if is_same_source => {
                AttemptResult::Failed {
                    failure: failure.clone(),
                }
            }
            _ => return Succession::Replaces,
        };
        Succession::Noted(Box::new(Self {
            attempt: Some(Attempt {
                order: self.order.clone(),
                at: self.updated_at,
                result,
            }),
            ..current.clone()
        }))
    }

    /// True if this record has the same result of the same work as `put`.
    #[must_use]
    pub fn has_result_of(&self, put: &Self) -> bool {
        let noted = self.attempt.as_ref().filter(|attempt| attempt.order == put.order);
        match (noted.map(|attempt| &attempt.result), &put.status) {
            (Some(AttemptResult::Rejected { rejection: told }), Status::Rejected { rejection }) => {
                told == rejection
            }
            (Some(AttemptResult::Failed { failure: told }), Status::Failed { failure }) => told == failure,
            _ => self == put,
        }
    }

    /// The finality of the newest work's result, 0 to 2: of two results of the same order the one with the higher
    /// finality stays.
    const fn finality(&self) -> u8 {
        match &self.attempt {
            Some(Attempt {
                result: AttemptResult::Failed { .. },
                ..
            }) => Status::GIVEN_UP,
            Some(Attempt {
                result: AttemptResult::Rejected { .. },
                ..
            }) => Status::FINAL,
            None => self.status.finality(),
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::conformance::{failed, order, ready, record, rejected};

    fn noted(succession: Succession) -> Record {
        match succession {
            Succession::Noted(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_picture_stays_when_work_on_it_comes_to_nothing() {
        let published = record("a", order(5, 0), ready("v", "k"));
        for status in [rejected(), failed()] {
            let told = noted(record("a", order(5, 1), status).succeeds(&published));
            assert_eq!(told.status, published.status);
            assert_eq!((&told.order, told.newest_order()), (&order(5, 0), &order(5, 1)));
        }
        let given_up = noted(record("a", order(6, 0), failed()).succeeds(&published));
        assert!(given_up.is_provisional(), "the same work may still succeed");
        // The upload that was given up is another one than the picture.
        let bad = record("a", order(6, 0), rejected());
        assert_eq!(bad.succeeds(&given_up), Succession::Replaces);
        assert_eq!(bad.succeeds(&published), Succession::Replaces);
    }

    #[test]
    fn every_status_gives_way_to_a_newer_set_and_to_a_removal() {
        let kept =
            noted(record("a", order(5, 1), rejected()).succeeds(&record("a", order(5, 0), ready("v", "k"))));
        for current in [
            kept,
            record("a", order(5, 0), failed()),
            record("a", order(5, 0), rejected()),
            record("a", order(5, 0), Status::Deleted),
        ] {
            for status in [ready("w", "l"), Status::Deleted] {
                let newer = record("a", order(5, 2), status);
                assert_eq!(newer.succeeds(&current), Succession::Replaces, "{current:?}");
            }
        }
    }

    #[test]
    fn records_without_attempts_read_as_they_were_written() {
        let before = record("a", order(5, 0), ready("v", "k"));
        let json = serde_json::to_string(&before).unwrap();
        assert!(!json.contains("attempt"), "{json}");
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), before);
        let kept = noted(record("a", order(5, 1), rejected()).succeeds(&before));
        let json = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), kept);
    }
}
