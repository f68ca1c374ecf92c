//! Invalidation of the caches for pictures that are no longer public, in two steps.
//!
//! The worker notes what stops being public while it does a job ([`WatchedPipeline`]) and puts one message, a
//! [`Withdrawal`], into a queue of its own for that. A function of its own, the [`Invalidator`], receives all waiting
//! messages once a minute, merges them and asks CloudFront to forget their paths. So neither CloudFront's limits nor
//! its failures affect the work on pictures.

mod distribution;
mod invalidator;
mod merge;
mod path;
mod queue;
mod start;
mod watch;
mod withdrawal;

pub use distribution::{Answer, Caches, Distribution};
pub use invalidator::{Invalidator, Run};
pub use queue::{Inbox, SqsInbox, SqsWithdrawals, Waiting, Withdrawals};
pub use watch::WatchedPipeline;
pub use withdrawal::{BodyError, Kind, Withdrawal};

pub(crate) use start::run;

#[cfg(test)]
mod tests;
