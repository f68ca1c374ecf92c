//! Checks of the database for damage, by SQLite, from time to time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

/// Shortest time between two checks.
const INTERVAL: Duration = Duration::from_secs(5);

/// The wait between two checks, in durations of the last one: a check reads the whole database.
const PAUSE: u32 = 20;

/// The state of a database, as far as it is known.
#[derive(Clone, Debug)]
pub struct Integrity {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// No check begins before this.
    not_before: Option<Instant>,
    /// The damage that the last check found.
    damage: Option<String>,
}

impl Integrity {
    /// The checks of the database in this data folder, before the first one.
    pub fn new(data: &Path) -> Self {
        Self {
            inner: Arc::new(Inner {
                database: data.join("tintype.db"),
                state: Mutex::default(),
            }),
        }
    }

    /// The damage of the database, as the last check found it. Begins another check when it is time for one, and
    /// waits for the first.
    pub async fn damage(&self) -> Option<String> {
        let now = Instant::now();
        let (due, is_first) = {
            let mut state = self.inner.lock();
            let due = state.not_before.is_none_or(|time| now >= time);
            let is_first = state.not_before.is_none();
            if due {
                // One check at a time; this is corrected when it is over.
                state.not_before = Some(now + Duration::from_hours(1));
            }
            (due, is_first)
        };
        if due {
            let inner = self.inner.clone();
            let check = tokio::task::spawn_blocking(move || inner.check());
            if is_first {
                let _ = check.await;
            }
        }
        self.inner.lock().damage.clone()
    }
}

impl Inner {
    fn check(&self) {
        let began = Instant::now();
        let found = look(&self.database);
        let mut state = self.lock();
        let damage = match found {
            Ok(damage) => damage,
            Err(error) if is_damage(&error) => Some(error.to_string()),
            // Busy, or out of descriptors: nothing is known then.
            Err(error) => {
                tracing::debug!(%error, "could not check the database");
                state.damage.clone()
            }
        };
        if damage.is_some() && state.damage.is_none() {
            tracing::error!(damage = damage.as_deref(), "the database is damaged");
        }
        state.damage = damage;
        state.not_before = Some(Instant::now() + INTERVAL.max(began.elapsed() * PAUSE));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first thing that is wrong with the structure of a database.
fn look(database: &Path) -> rusqlite::Result<Option<String>> {
    if !database.exists() {
        return Ok(Some("the file is gone".to_owned()));
    }
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let answer: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((answer != "ok").then_some(answer))
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn database(data: &Path) -> PathBuf {
        let file = data.join("tintype.db");
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (a PRIMARY KEY, b);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                 INSERT INTO t SELECT i, hex(randomblob(20)) FROM n;",
            )
            .unwrap();
        file
    }

    #[test]
    fn a_sound_database_is_told_from_a_damaged_one() {
        let data = tempfile::tempdir().unwrap();
        let file = database(data.path());
        assert_eq!(look(&file).unwrap(), None);
        let inside = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        inside.write_all_at(&[0xff; 8192], 40_960).unwrap();
        assert!(look(&file).unwrap().is_some());
        inside.write_all_at(b"not a database at all", 0).unwrap();
        assert!(is_damage(&look(&file).unwrap_err()));
        assert!(look(&data.path().join("none.db")).unwrap().is_some());
    }

    #[tokio::test]
    async fn damage_is_known_from_the_first_answer_on() {
        let data = tempfile::tempdir().unwrap();
        let file = database(data.path());
        assert_eq!(Integrity::new(data.path()).damage().await, None);
        std::fs::write(&file, b"not a database at all").unwrap();
        let integrity = Integrity::new(data.path());
        assert!(integrity.damage().await.is_some());
        assert!(integrity.damage().await.is_some());
    }
}
