//! Refused requests in the log: their sender and reason, never a secret, and not so many that they fill a disk.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The address at the other end of a connection, among the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// A request that was refused for what it presented.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// The part of the server that refused it: `"api"`, `"admin"`, `"s3"`.
    pub part: &'a str,
    /// The reason, without any secret.
    pub reason: &'a str,
    /// The public half of what was presented: the id of a key, or an origin.
    pub presented: Option<&'a str>,
    /// The address that it came from.
    pub peer: Option<IpAddr>,
}

/// The longest text from a request that is logged, in characters.
const MAX_TEXT: usize = 128;

/// The most refusals that are logged in a minute.
const PER_MINUTE: u32 = 60;

impl Refused<'_> {
    /// Logs it. Beyond 60 in a minute they are only counted, and the count is logged with the next minute's first.
    pub fn log(&self) {
        static LIMIT: Limit = Limit::new();
        let Some(left_out) = LIMIT.take(Instant::now()) else {
            return;
        };
        if left_out > 0 {
            tracing::warn!(left_out, "refused more requests than are logged");
        }
        let presented: Option<String> = self.presented.map(|text| text.chars().take(MAX_TEXT).collect());
        let peer = self.peer.map(|peer| peer.to_string());
        tracing::warn!(
            part = self.part,
            reason = self.reason,
            // Quoted and escaped, so that a request cannot add lines to the log.
            presented = ?presented.unwrap_or_default(),
            peer = peer.unwrap_or_default(),
            "refused a request"
        );
    }
}

/// Counts what is logged in a minute.
struct Limit(Mutex<Minute>);

struct Minute {
    began: Option<Instant>,
    logged: u32,
    left_out: u64,
}

impl Limit {
    const fn new() -> Self {
        Self(Mutex::new(Minute {
            began: None,
            logged: 0,
            left_out: 0,
        }))
    }

    /// The number of refusals that were left out since the last one; `None` when no more may be logged in this minute.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began| now.duration_since(began) >= Duration::from_mins(1);
        if minute.began.is_none_or(is_over) {
            minute.began = Some(now);
            minute.logged = 0;
        }
        if minute.logged == PER_MINUTE {
            minute.left_out += 1;
            return None;
        }
        minute.logged += 1;
        Some(std::mem::take(&mut minute.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted_instead_of_logged() {
        let limit = Limit::new();
        let now = Instant::now();
        for _ in 0..PER_MINUTE {
            assert_eq!(limit.take(now), Some(0));
        }
        for _ in 0..1000 {
            assert_eq!(limit.take(now + Duration::from_secs(59)), None);
        }
        assert_eq!(limit.take(now + Duration::from_secs(60)), Some(1000));
        assert_eq!(limit.take(now + Duration::from_secs(60)), Some(0));
    }
}
