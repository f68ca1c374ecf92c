//! Memory, CPU time and state of a worker, from `/proc`. The files are readable although the worker is not dumpable;
//! where `/proc` is hidden the answer is `None`.

use std::{fs, time::Duration};

/// Resident memory in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

/// CPU time used by all threads since the start.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    parse_cpu_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Tells whether a thread does anything but sleep: it runs or waits for a CPU, waits for a disk, or was stopped. `None`
/// where the state of no thread could be read.
pub(crate) fn wants_to_run(pid: u32) -> Option<bool> {
    // Threads start and end while they are listed: one that has ended tells nothing about the others.
    fs::read_dir(format!("/proc/{pid}/task"))
        .ok()?
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok())
        .filter_map(|stat| parse_state(&stat))
        .map(|state| matches!(state, 'R' | 'D' | 'T' | 't'))
        .reduce(|some, this| some || this)
}

/// The fields after the command's name (proc_pid_stat(5)), which may itself hold blanks and parentheses.
fn fields(stat: &str) -> Option<std::str::Split<'_, char>> {
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split(' '))
}

fn parse_state(stat: &str) -> Option<char> {
    fields(stat)?.next()?.chars().next()
}

fn parse_cpu_time(stat: &str) -> Option<Duration> {
    let mut fields = fields(stat)?.skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let per_second = rustix::param::clock_ticks_per_second();
    let milliseconds = (user + system).checked_mul(1000)?.checked_div(per_second)?;
    Some(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn a_command_name_with_parentheses_is_skipped() {
        let stat = "12 (a) R (b) S 1 12 12 0 -1 4194304 1 2 3 4 150 50 0 0 20 0 1 0 99";
        assert_eq!(parse_state(stat), Some('S'));
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(
            parse_cpu_time(stat),
            Some(Duration::from_millis(200 * 1000 / ticks))
        );
    }

    #[test]
    fn this_process_is_found_and_runs() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 1 << 16);
        assert!(cpu_time(pid).is_some());
        assert_eq!(wants_to_run(pid), Some(true));
        assert_eq!(resident_bytes(u32::MAX), None);
        assert_eq!(wants_to_run(u32::MAX), None);
    }

    #[test]
    fn threads_that_end_while_they_are_listed_hide_no_other() {
        let enough = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    for short in (0..8).map(|_| thread::spawn(|| ())).collect::<Vec<_>>() {
                        short.join().unwrap();
                    }
                }
            });
            let answers: Vec<_> = (0..1_000).map(|_| wants_to_run(std::process::id())).collect();
            enough.store(true, Ordering::Relaxed);
            assert!(answers.iter().all(|answer| *answer == Some(true)));
        });
    }
}
