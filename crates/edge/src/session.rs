//! The sessions of browsers, kept by the server: one that is ended is gone, whatever cookies say.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// The time after which a session ends, counted from its beginning.
pub(crate) const LIFETIME: Duration = Duration::from_hours(12);

/// Most sessions at once; one more ends the oldest.
const MAX_SESSIONS: usize = 1024;

/// The open sessions. They are in memory, so a restart ends them all.
#[derive(Default)]
pub(crate) struct Sessions {
    /// The beginning of each, by the digest of its name: the time that a look-up takes reveals nothing about names.
    open: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Sessions {
    /// Opens a session; the answer is its name, 256 random bits in hexadecimal.
    pub(crate) fn open(&self, now: Instant) -> String {
        let name = hex::encode(rand::random::<[u8; 32]>());
        let mut open = self.lock();
        open.retain(|_, began| is_alive(*began, now));
        if open.len() >= MAX_SESSIONS {
            let oldest = open.iter().min_by_key(|(_, began)| **began);
            if let Some(oldest) = oldest.map(|(digest, _)| *digest) {
                open.remove(&oldest);
            }
        }
        open.insert(digest(&name), now);
        name
    }

    /// True while the session is open.
    pub(crate) fn is_open(&self, name: &str, now: Instant) -> bool {
        let began = self.lock().get(&digest(name)).copied();
        began.is_some_and(|began| is_alive(began, now))
    }

    /// Ends the session, if it is open.
    pub(crate) fn close(&self, name: &str) {
        self.lock().remove(&digest(name));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Instant>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_alive(began: Instant, now: Instant) -> bool {
    now.saturating_duration_since(began) < LIFETIME
}

fn digest(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_by_themselves_and_when_they_are_closed() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let (first, second) = (sessions.open(now), sessions.open(now));
        assert_ne!(first, second);
        assert!(sessions.is_open(&first, now));
        assert!(sessions.is_open(&first, now + LIFETIME - Duration::from_secs(1)));
        assert!(!sessions.is_open(&first, now + LIFETIME));
        sessions.close(&first);
        sessions.close("never opened");
        assert!(!sessions.is_open(&first, now));
        assert!(sessions.is_open(&second, now));
        for at in 0..second.len() {
            let mut forged = second.clone().into_bytes();
            forged[at] ^= 1;
            let forged = std::str::from_utf8(&forged).unwrap();
            assert!(!sessions.is_open(forged, now), "byte {at}");
        }
        assert!(!sessions.is_open("", now));
    }

    #[test]
    fn there_is_an_end_to_the_number_of_sessions() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let oldest = sessions.open(now);
        let later = now + Duration::from_secs(1);
        let rest: Vec<String> = (0..MAX_SESSIONS).map(|_| sessions.open(later)).collect();
        assert!(!sessions.is_open(&oldest, later));
        assert!(rest.iter().all(|name| sessions.is_open(name, later)));
    }
}
