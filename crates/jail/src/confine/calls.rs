//! The seccomp filters (seccomp(2)). The list is what the engine, Rust's threads and glibc call once a worker has its
//! setup; every other call ends the process with `SIGSYS`.

use std::collections::BTreeMap;

use rustix::process;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The calls that are allowed with all arguments.
const ALWAYS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    // glibc's qsort asks how much memory there is.
    libc::SYS_sysinfo,
];

/// The calls that are answered with `EACCES` and do not end the process: the C library opens files by itself (for the
/// number of CPUs and the time zone) and works without them.
const DENIED: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
];

/// The name of a memory mapping (prctl(2), since Linux 5.17), which newer allocators set.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Installs the filters for this thread and those that it starts.
pub(super) fn filter() -> Result<(), seccompiler::Error> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let compile = |rules, mismatch, matched| -> Result<BpfProgram, BackendError> {
        SeccompFilter::new(rules, mismatch, matched, architecture)?.try_into()
    };
    let any = |calls: &[i64]| -> Rules { calls.iter().map(|&call| (call, Vec::new())).collect() };
    let error = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    // The kernel takes the strictest answer of all filters, so what is answered here has to be allowed by the last one.
    let denied = compile(any(DENIED), SeccompAction::Allow, error(libc::EACCES))?;
    // Its flags are in memory, where no filter can see them: glibc then uses clone(2).
    let unknown = compile(
        any(&[libc::SYS_clone3]),
        SeccompAction::Allow,
        error(libc::ENOSYS),
    )?;
    let mut allowed = any(ALWAYS);
    allowed.extend(any(DENIED));
    allowed.extend(any(&[libc::SYS_clone3]));
    allowed.extend(by_argument()?);
    let allowed = compile(allowed, SeccompAction::KillProcess, SeccompAction::Allow)?;
    for filter in [denied, unknown, allowed] {
        apply_filter(&filter)?;
    }
    Ok(())
}

/// The calls that are allowed with some arguments only.
fn by_argument() -> Result<Rules, BackendError> {
    let number = |value: i32| u64::from(value.unsigned_abs());
    let is = |argument, value: u64| compare(argument, SeccompCmpOp::Eq, value);
    let masked = |argument, mask: u64, value: u64| compare(argument, SeccompCmpOp::MaskedEq(mask), value);
    let executable = number(libc::PROT_EXEC);
    // Private memory with no file behind it (`MAP_SHARED` and `MAP_PRIVATE` are values of the same bits).
    let (kind, anonymous) = (number(libc::MAP_TYPE), number(libc::MAP_ANONYMOUS));
    let private = number(libc::MAP_PRIVATE);
    // A thread of this process, in no new namespace.
    let thread = number(libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND);
    let namespaces = number(
        libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWCGROUP,
    );
    let this_process = u64::from(process::getpid().as_raw_pid().unsigned_abs());
    Ok(BTreeMap::from([
        (
            libc::SYS_mmap,
            vec![SeccompRule::new(vec![
                masked(2, executable, 0)?,
                masked(3, kind | anonymous, private | anonymous)?,
            ])?],
        ),
        (
            libc::SYS_mprotect,
            vec![SeccompRule::new(vec![masked(2, executable, 0)?])?],
        ),
        (
            libc::SYS_clone,
            vec![SeccompRule::new(vec![masked(0, thread | namespaces, thread)?])?],
        ),
        // A process that aborts signals its own thread. Not with SIGSTOP, which would look like a machine that is busy.
        (
            libc::SYS_tgkill,
            vec![SeccompRule::new(vec![
                is(0, this_process)?,
                is(2, number(libc::SIGABRT))?,
            ])?],
        ),
        (
            libc::SYS_prctl,
            vec![
                SeccompRule::new(vec![is(0, number(libc::PR_SET_NAME))?])?,
                SeccompRule::new(vec![is(0, PR_SET_VMA)?])?,
            ],
        ),
        // Its own limits: each source gets CPU time. No limit can be raised without privileges.
        (libc::SYS_prlimit64, vec![SeccompRule::new(vec![is(0, 0)?])?]),
    ]))
}

fn compare(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, value)
}
