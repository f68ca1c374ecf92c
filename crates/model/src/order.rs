use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Record;

/// S3's order of the writes and deletes of one key: a hexadecimal string.
///
/// Sequencers of different lengths are compared after padding the shorter one with zeros on the *right* (S3 user
/// guide, "Event message structure"). They are kept padded to [`Sequencer::WIDTH`] digits in upper case, so that
/// comparing bytes, in Rust, SQL or a DynamoDB condition, compares the order. Sequencers of different keys are not
/// comparable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sequencer(String);

/// The error for a string that is not a sequencer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sequencer {0:?} is not 1 to {width} hexadecimal digits", width = Sequencer::WIDTH)]
pub struct SequencerError(String);

impl Sequencer {
    /// Stored width in hexadecimal digits.
    pub const WIDTH: usize = 32;

    /// Pads to the fixed width.
    ///
    /// # Errors
    /// When `raw` is empty, too long, or not hexadecimal.
    pub fn new(raw: &str) -> Result<Self, SequencerError> {
        if raw.is_empty() || raw.len() > Self::WIDTH || !raw.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SequencerError(raw.to_owned()));
        }
        Ok(Self(format!(
            "{:0<width$}",
            raw.to_ascii_uppercase(),
            width = Self::WIDTH
        )))
    }

    /// The sequencer of the `count`-th write of a store that numbers its writes.
    #[must_use]
    pub fn from_counter(count: u64) -> Self {
        Self(format!(
            "{:0<width$}",
            format!("{count:016X}"),
            width = Self::WIDTH
        ))
    }

    /// The padded digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sequencer {
    type Error = SequencerError;
    fn try_from(raw: String) -> Result<Self, SequencerError> {
        Self::new(&raw)
    }
}

impl From<Sequencer> for String {
    fn from(sequencer: Sequencer) -> Self {
        sequencer.0
    }
}

/// The order of work on one key: a newer pair replaces an older one, never the other way round.
///
/// Work that has no event of its own (import, verify, reprocess) keeps the record's sequencer and takes the next
/// revision ([`Order::without_event`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order {
    /// Place of the source among the writes and deletes of its key.
    pub sequencer: Sequencer,
    /// Place of the work among the work done for that write; 0 is the event itself.
    pub revision: u32,
}

impl Order {
    /// The order of the event that S3 sent for a write or a delete.
    #[must_use]
    pub const fn of_event(sequencer: Sequencer) -> Self {
        Self {
            sequencer,
            revision: 0,
        }
    }

    /// The order of work that has no event of its own: the next revision of the newest work that the record knows,
    /// tombstones included. Without a record it is before every event, whose sequencers are never all zeros; so an
    /// event that was late and not lost replaces what came of it.
    #[must_use]
    pub fn without_event(record: Option<&Record>) -> Self {
        record.map_or_else(
            || Self::of_event(Sequencer::from_counter(0)),
            |record| record.newest_order().next_revision(),
        )
    }

    /// The order of the next work on the same source.
    #[must_use]
    pub fn next_revision(&self) -> Self {
        Self {
            sequencer: self.sequencer.clone(),
            revision: self.revision.saturating_add(1),
        }
    }
}

impl fmt::Display for Order {
    /// A fixed-width form whose byte order is the order of the work.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08X}", self.sequencer.as_str(), self.revision)
    }
}

impl std::str::FromStr for Order {
    type Err = SequencerError;
    fn from_str(text: &str) -> Result<Self, SequencerError> {
        let invalid = || SequencerError(text.to_owned());
        let (sequencer, revision) = text.split_once('-').ok_or_else(invalid)?;
        let revision = u32::from_str_radix(revision, 16).map_err(|_| invalid())?;
        Ok(Self {
            sequencer: Sequencer::new(sequencer)?,
            revision,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequencer(raw: &str) -> Sequencer {
        Sequencer::new(raw).unwrap()
    }

    #[test]
    fn shorter_sequencers_are_padded_on_the_right() {
        // Left padding would call the shorter one older.
        assert!(sequencer("0055AED6DCD90281E5") > sequencer("0055AED6DCD90281"));
        assert!(sequencer("9") > sequencer("10"));
        assert_eq!(sequencer("0055aed6"), sequencer("0055AED600"));
    }

    #[test]
    fn counters_keep_their_order() {
        for (older, newer) in [(0, 1), (9, 10), (255, 256), (u64::MAX - 1, u64::MAX)] {
            assert!(
                Sequencer::from_counter(older) < Sequencer::from_counter(newer),
                "{older} {newer}"
            );
        }
    }

    #[test]
    fn revisions_count_only_within_a_sequencer() {
        let first = Order::of_event(sequencer("01"));
        let redone = first.next_revision();
        let second = Order::of_event(sequencer("02"));
        assert!(first < redone && redone < second);
        assert!(first.to_string() < redone.to_string() && redone.to_string() < second.to_string());
        assert_eq!(redone.to_string().parse::<Order>().unwrap(), redone);
    }

    #[cfg(feature = "testing")]
    #[test]
    fn work_without_an_event_is_after_what_the_record_tells_and_before_every_event_without_one() {
        use crate::Status;
        use crate::testing::conformance::{order, record};

        assert!(Order::without_event(None) < Order::of_event(sequencer("0055AED6DCD90281E5")));
        assert!(Order::without_event(None) < Order::of_event(Sequencer::from_counter(1)));
        let tombstone = record("a", order(5, 0), Status::Deleted);
        assert_eq!(Order::without_event(Some(&tombstone)), order(5, 1));
    }

    #[test]
    fn garbage_is_refused() {
        for raw in ["", "xyz", &"0".repeat(33)] {
            assert!(Sequencer::new(raw).is_err(), "{raw:?}");
        }
    }
}
