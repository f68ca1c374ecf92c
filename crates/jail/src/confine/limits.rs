//! Resource limits and priority.

use std::io;

use rustix::process::{self, Resource, Rlimit};
use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};

use crate::{Priority, wire::Setup};

/// Lowers the priority; `false` when that was not asked for or is refused. Policies belong to threads and are
/// inherited, so this runs while there is only one thread.
pub(super) fn lower_priority(priority: Priority) -> bool {
    match priority {
        Priority::Normal => false,
        Priority::Idle => {
            let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
            let idle = thread_priority::set_thread_priority_and_policy(
                thread_priority::thread_native_id(),
                ThreadPriority::Min,
                policy,
            );
            // The niceness has no effect under SCHED_IDLE and is what remains where that is refused.
            let nice = process::nice(19);
            idle.is_ok() || nice.is_ok()
        }
    }
}

/// `RLIMIT_DATA` counts private writable memory since Linux 4.7 (getrlimit(2)): heap, anonymous mappings and thread
/// stacks, which is what decoding costs. `RLIMIT_AS` alone would have to be far larger than what is used, because it
/// also counts address space that is only reserved: 64 MiB for each glibc arena, twice that while one is made. But
/// shared mappings escape `RLIMIT_DATA`, so address space is limited too, with room for those reservations.
pub(super) fn limit_memory(setup: &Setup) -> io::Result<()> {
    const PROGRAM: u64 = 256 << 20;
    const ARENA: u64 = 128 << 20;
    let threads = u64::try_from(setup.threads).unwrap_or(u64::MAX);
    let reserved = threads
        .saturating_add(2)
        .saturating_mul(ARENA)
        .saturating_add(PROGRAM);
    lower(Resource::Data, setup.memory_bytes)?;
    lower(Resource::As, setup.memory_bytes.saturating_add(reserved))
}

/// Sets the hard limit to the CPU time that all sources of this worker may use; [`allow_cpu_for_one_source`] moves the soft
/// limit.
pub(super) fn limit_cpu(setup: &Setup) -> io::Result<()> {
    let all_sources = setup
        .cpu_seconds
        .saturating_mul(u64::from(setup.jobs).saturating_add(1));
    lower(Resource::Cpu, all_sources)?;
    allow_cpu_for_one_source(setup.cpu_seconds)
}

/// Allows `seconds` of CPU time from now on. The kernel counts a process's CPU time from its start, so the limit moves on
/// with each source.
pub(crate) fn allow_cpu_for_one_source(seconds: u64) -> io::Result<()> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).tv_sec;
    let wanted = u64::try_from(used).unwrap_or(0).saturating_add(seconds);
    let maximum = process::getrlimit(Resource::Cpu).maximum;
    let current = Some(maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    process::setrlimit(Resource::Cpu, Rlimit { current, maximum })?;
    Ok(())
}

/// Sets the limits on descriptors and on the sizes of files to zero. A new descriptor has the lowest free number, which
/// must be below the limit: with a limit of three the number of a closed pipe could be used again.
pub(super) fn limit_files() -> io::Result<()> {
    lower(Resource::Core, 0)?;
    lower(Resource::Fsize, 0)?;
    lower(Resource::Nofile, 0)
}

/// Limits the threads of a process that is alone in its user namespace, where no other process of the user counts.
/// Rendering nests pools of `setup.threads` threads at most twice and goes on with fewer where they are refused.
pub(super) fn limit_threads(setup: &Setup) -> io::Result<()> {
    let threads = u64::try_from(setup.threads).unwrap_or(u64::MAX);
    lower(Resource::Nproc, threads.saturating_mul(threads).saturating_add(8))
}

/// Lowers soft and hard limit to `value`, or leaves what is lower already.
fn lower(resource: Resource, value: u64) -> io::Result<()> {
    let lowest = |limit: Option<u64>| Some(limit.map_or(value, |limit| limit.min(value)));
    let now = process::getrlimit(resource);
    let wanted = Rlimit {
        current: lowest(now.current),
        maximum: lowest(now.maximum),
    };
    process::setrlimit(resource, wanted)?;
    if process::getrlimit(resource) == wanted {
        Ok(())
    } else {
        Err(io::Error::other("the limit does not hold"))
    }
}
