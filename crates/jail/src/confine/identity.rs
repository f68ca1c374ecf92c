//! The identity of the worker for the kernel: user, capabilities and namespaces.

use std::io;

use rustix::{
    fs::{Gid, Uid},
    process,
    thread::{self, CapabilitySet, CapabilitySets, UnshareFlags},
};

/// `nobody` on every distribution, and the kernel's own overflow user (user_namespaces(7)).
const NOBODY: u32 = 65534;

/// The namespaces taken by a worker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Namespaces {
    /// Network, IPC, mounts and host name.
    pub(super) are_own: bool,
    /// The user namespace, in which no other process counts against `RLIMIT_NPROC`.
    pub(super) is_user_own: bool,
}

/// Moves this process into namespaces of its own, and changes a root user to `nobody` between the two: namespaces other
/// than the user's need privileges, or a user namespace first, which some systems refuse to users.
///
/// Runs while there is one thread, because these belong to threads.
pub(super) fn leave() -> Namespaces {
    const OWN: UnshareFlags = UnshareFlags::NEWNET
        .union(UnshareFlags::NEWIPC)
        .union(UnshareFlags::NEWUTS)
        .union(UnshareFlags::NEWNS);
    let with_privileges = unshare(OWN).is_ok();
    if process::geteuid().is_root() {
        // A refusal shows in `is_unprivileged`.
        _ = become_nobody();
    }
    if with_privileges {
        return Namespaces {
            are_own: true,
            is_user_own: unshare(UnshareFlags::NEWUSER).is_ok(),
        };
    }
    let both = unshare(OWN | UnshareFlags::NEWUSER).is_ok();
    Namespaces {
        are_own: both,
        is_user_own: both,
    }
}

fn become_nobody() -> io::Result<()> {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    thread::set_thread_groups(&[])?;
    thread::set_thread_res_gid(group, group, group)?;
    thread::set_thread_res_uid(user, user, user)?;
    Ok(())
}

/// Tells whether no user ID of this process is root's.
pub(super) fn is_unprivileged() -> bool {
    !process::getuid().is_root() && !process::geteuid().is_root()
}

/// Gives up every capability, those over the process's own user namespace included.
pub(super) fn drop_capabilities() -> io::Result<bool> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    // Gone with the permitted set in any case; older kernels know no ambient set.
    _ = thread::clear_ambient_capability_set();
    thread::set_capabilities(None, none)?;
    Ok(thread::capabilities(None)? == none)
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    #[expect(unsafe_code, reason = "the kernel's call, which rustix marks so for one flag")]
    // SAFETY: the only danger is `UnshareFlags::FILES`, which is not among the flags of this module.
    unsafe {
        thread::unshare_unsafe(flags)?;
    }
    Ok(())
}
