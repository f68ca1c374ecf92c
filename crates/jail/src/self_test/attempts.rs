//! The attempts.

use std::{
    hint::black_box,
    io::{self, Write},
    thread,
    time::Duration,
};

use super::{
    End, Targets,
    raw::{
        Argument::{self, Buffer},
        call,
    },
};

/// An attempt; `Ok` tells what was done although it should be refused.
type Try = fn(&Targets) -> io::Result<String>;

/// Name, the end that shows a refusal, and the attempt.
pub(super) const ALL: &[(&str, End, Try)] = &[
    // Files.
    ("read a secret", End::Kernel, |targets| {
        open(&targets.secret, libc::O_RDONLY)
    }),
    (
        "read a secret in place of a closed pipe",
        End::Kernel,
        |targets| {
            call(libc::SYS_close, &[2.into()])?;
            open(&targets.secret, libc::O_RDONLY)
        },
    ),
    ("read a secret through openat2", End::Kernel, |targets| {
        one(libc::SYS_openat2, &[AT, text(&targets.secret), Buffer, 24.into()])
    }),
    ("list a folder", End::Kernel, |targets| {
        open(&targets.folder, libc::O_DIRECTORY)
    }),
    ("make a file", End::Kernel, |targets| {
        open(&format!("{}/new", targets.folder), libc::O_CREAT | libc::O_WRONLY)
    }),
    ("make a nameless file", End::Kernel, |targets| {
        open(&targets.folder, libc::O_TMPFILE | libc::O_RDWR)
    }),
    ("truncate a file", End::Kernel, |targets| {
        one(libc::SYS_truncate, &[text(&targets.secret), 0.into()])
    }),
    ("remove a file", End::Kernel, |targets| {
        one(libc::SYS_unlinkat, &[AT, text(&targets.secret), 0.into()])
    }),
    ("rename a file", End::Kernel, |targets| {
        let new = format!("{}/new", targets.folder);
        one(
            libc::SYS_renameat2,
            &[AT, text(&targets.secret), AT, text(&new), 0.into()],
        )
    }),
    ("link a file", End::Kernel, |targets| {
        let new = format!("{}/new", targets.folder);
        one(
            libc::SYS_linkat,
            &[AT, text(&targets.secret), AT, text(&new), 0.into()],
        )
    }),
    ("make a folder", End::Kernel, |targets| {
        one(
            libc::SYS_mkdirat,
            &[AT, text(&format!("{}/new", targets.folder)), 0o700.into()],
        )
    }),
    ("make a named pipe", End::Kernel, |targets| {
        let new = format!("{}/new", targets.folder);
        one(libc::SYS_mknodat, &[AT, text(&new), 0o10_700.into(), 0.into()])
    }),
    ("change a file's mode", End::Kernel, |targets| {
        one(libc::SYS_fchmodat, &[AT, text(&targets.secret), 0o777.into()])
    }),
    ("change the root folder", End::Kernel, |targets| {
        one(libc::SYS_chroot, &[text(&targets.folder)])
    }),
    ("watch a folder", End::Kernel, |_| {
        one(libc::SYS_inotify_init1, &[0.into()])
    }),
    ("read the parent's environment", End::Kernel, |targets| {
        of_parent(targets, "environ")
    }),
    ("read the parent's memory as a file", End::Kernel, |targets| {
        of_parent(targets, "mem")
    }),
    ("read the parent's open files", End::Kernel, |targets| {
        of_parent(targets, "fd/3")
    }),
    ("write its own memory as a file", End::Kernel, |_| {
        open("/proc/self/mem", libc::O_RDWR)
    }),
    ("open a device", End::Kernel, |_| open("/dev/null", libc::O_RDWR)),
    // Sockets.
    ("open a TCP socket", End::Kernel, |_| {
        socket(libc::AF_INET, libc::SOCK_STREAM)
    }),
    ("open a UDP socket over IPv6", End::Kernel, |_| {
        socket(libc::AF_INET6, libc::SOCK_DGRAM)
    }),
    ("open a raw socket", End::Kernel, |_| {
        socket(libc::AF_INET, libc::SOCK_RAW)
    }),
    ("open a Unix socket", End::Kernel, |_| {
        socket(libc::AF_UNIX, libc::SOCK_STREAM)
    }),
    ("open a netlink socket", End::Kernel, |_| {
        socket(libc::AF_NETLINK, libc::SOCK_RAW)
    }),
    ("open a packet socket", End::Kernel, |_| {
        socket(libc::AF_PACKET, libc::SOCK_RAW)
    }),
    ("open a vsock", End::Kernel, |_| {
        socket(libc::AF_VSOCK, libc::SOCK_STREAM)
    }),
    ("open a crypto socket", End::Kernel, |_| {
        socket(libc::AF_ALG, libc::SOCK_SEQPACKET)
    }),
    ("make a pair of sockets", End::Kernel, |_| {
        one(
            libc::SYS_socketpair,
            &[libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0.into(), Buffer],
        )
    }),
    // Processes.
    ("fork", End::Kernel, |_| {
        child(call(libc::SYS_clone, &[libc::SIGCHLD.into()]))
    }),
    ("fork through clone3", End::Kernel, |_| {
        child(call(libc::SYS_clone3, &[Buffer, 88.into()]))
    }),
    ("execute a shell", End::Kernel, |_| {
        one(libc::SYS_execve, &[text("/bin/sh"), Buffer, Buffer])
    }),
    ("execute a shell through execveat", End::Kernel, |_| {
        one(
            libc::SYS_execveat,
            &[AT, text("/bin/sh"), Buffer, Buffer, 0.into()],
        )
    }),
    ("trace the parent", End::Kernel, |targets| {
        one(
            libc::SYS_ptrace,
            &[PTRACE_SEIZE.into(), targets.parent.into(), 0.into(), 0.into()],
        )
    }),
    ("be traced", End::Kernel, |_| one(libc::SYS_ptrace, &[0.into()])),
    ("read the parent's memory", End::Kernel, |targets| {
        one(libc::SYS_process_vm_readv, &memory_of(targets.parent))
    }),
    ("write the parent's memory", End::Kernel, |targets| {
        one(libc::SYS_process_vm_writev, &memory_of(targets.parent))
    }),
    ("signal the parent", End::Kernel, |targets| {
        one(libc::SYS_kill, &[targets.parent.into(), 0.into()])
    }),
    ("kill another worker", End::Kernel, |targets| {
        one(libc::SYS_kill, &[targets.sibling.into(), libc::SIGKILL.into()])
    }),
    ("kill a thread of another worker", End::Kernel, |targets| {
        one(
            libc::SYS_tgkill,
            &[
                targets.sibling.into(),
                targets.sibling.into(),
                libc::SIGABRT.into(),
            ],
        )
    }),
    ("stop itself", End::Kernel, |_| {
        let this = std::process::id();
        one(
            libc::SYS_tgkill,
            &[this.into(), this.into(), libc::SIGSTOP.into()],
        )
    }),
    ("open a process by its number", End::Kernel, |targets| {
        one(libc::SYS_pidfd_open, &[targets.parent.into(), 0.into()])
    }),
    ("change another worker's limits", End::Kernel, |targets| {
        one(
            libc::SYS_prlimit64,
            &[targets.sibling.into(), libc::RLIMIT_CPU.into(), Buffer, 0.into()],
        )
    }),
    ("raise its own priority", End::Kernel, |_| {
        one(libc::SYS_setpriority, &[0.into(), 0.into(), (-20).into()])
    }),
    ("choose another scheduler", End::Kernel, |_| {
        one(libc::SYS_sched_setscheduler, &[0.into(), 1.into(), Buffer])
    }),
    // Privileges.
    ("become root", End::Kernel, |_| one(libc::SYS_setuid, &[0.into()])),
    ("take capabilities", End::Kernel, |_| {
        one(libc::SYS_capset, &[Buffer, Buffer])
    }),
    ("become dumpable", End::Kernel, |_| {
        one(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE.into(), 1.into()])
    }),
    ("outlive the parent", End::Kernel, |_| {
        one(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG.into(), 0.into()])
    }),
    ("take a user namespace", End::Kernel, |_| {
        one(libc::SYS_unshare, &[libc::CLONE_NEWUSER.into()])
    }),
    ("enter a namespace", End::Kernel, |_| {
        one(libc::SYS_setns, &[0.into(), 0.into()])
    }),
    ("mount a file system", End::Kernel, |targets| {
        let (kind, folder) = (text("tmpfs"), text(&targets.folder));
        one(libc::SYS_mount, &[kind.clone(), folder, kind, 0.into(), 0.into()])
    }),
    ("change the root mount", End::Kernel, |targets| {
        one(
            libc::SYS_pivot_root,
            &[text(&targets.folder), text(&targets.folder)],
        )
    }),
    ("install a filter of its own", End::Kernel, |_| {
        one(libc::SYS_seccomp, &[1.into(), 0.into(), Buffer])
    }),
    // The kernel's larger interfaces.
    ("set up io_uring", End::Kernel, |_| {
        one(libc::SYS_io_uring_setup, &[8.into(), Buffer])
    }),
    ("load a BPF program", End::Kernel, |_| {
        one(libc::SYS_bpf, &[5.into(), Buffer, 128.into()])
    }),
    ("open a performance counter", End::Kernel, |_| {
        one(
            libc::SYS_perf_event_open,
            &[Buffer, 0.into(), (-1).into(), (-1).into(), 0.into()],
        )
    }),
    ("handle page faults", End::Kernel, |_| {
        one(libc::SYS_userfaultfd, &[0.into()])
    }),
    ("use the kernel's keys", End::Kernel, |_| {
        one(libc::SYS_keyctl, &[0.into(), (-3).into(), 1.into()])
    }),
    ("load a kernel module", End::Kernel, |_| {
        one(libc::SYS_init_module, &[Buffer, 64.into(), text("")])
    }),
    // Memory that can be executed, or that others can see.
    ("map executable memory", End::Kernel, |_| {
        map(libc::PROT_EXEC, libc::MAP_PRIVATE)
    }),
    ("make memory executable", End::Kernel, |_| {
        let page = call(
            libc::SYS_mmap,
            &mapping(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE),
        )?;
        one(
            libc::SYS_mprotect,
            &[
                page.into(),
                4096.into(),
                (libc::PROT_READ | libc::PROT_EXEC).into(),
            ],
        )
    }),
    ("map shared memory", End::Kernel, |_| {
        map(libc::PROT_READ, libc::MAP_SHARED)
    }),
    ("make a file in memory", End::Kernel, |_| {
        one(libc::SYS_memfd_create, &[text("x"), 0.into()])
    }),
    ("make a System V segment", End::Kernel, |_| {
        one(libc::SYS_shmget, &[0.into(), 4096.into(), 0o1_600.into()])
    }),
    // Descriptors and timers.
    ("copy a descriptor", End::Kernel, |_| {
        one(libc::SYS_dup, &[1.into()])
    }),
    ("make a pipe", End::Kernel, |_| {
        one(libc::SYS_pipe2, &[Buffer, 0.into()])
    }),
    ("make an event descriptor", End::Kernel, |_| {
        one(libc::SYS_eventfd2, &[0.into(), 0.into()])
    }),
    ("make a timer descriptor", End::Kernel, |_| {
        one(libc::SYS_timerfd_create, &[0.into(), 0.into()])
    }),
    ("make a timer", End::Kernel, |_| {
        one(libc::SYS_timer_create, &[0.into(), Buffer, Buffer])
    }),
    ("set an interval timer", End::Kernel, |_| {
        one(libc::SYS_setitimer, &[0.into(), Buffer, Buffer])
    }),
    // Resources.
    ("take memory without end", End::Limit, |_| {
        let mut taken: Vec<Vec<u8>> = Vec::new();
        loop {
            taken.push(black_box(vec![1; 16 << 20]));
        }
    }),
    ("recurse without end", End::Limit, |_| {
        Ok(recurse(&[0; 1000]).to_string())
    }),
    ("start threads without end", End::Limit, |_| threads()),
    ("compute without end", End::Deadline, |_| {
        loop {
            black_box(());
        }
    }),
    ("wait without end", End::Deadline, |_| {
        loop {
            thread::sleep(Duration::from_secs(1000));
        }
    }),
    // Answers that the protocol does not allow.
    ("answer with a head that has no end", End::Answer, |_| {
        say(&[u32::MAX.to_le_bytes().as_slice(), &[b'x'; 64]].concat())
    }),
    ("answer with what is no JSON", End::Answer, |_| say(&frame("}{"))),
    ("answer another request", End::Answer, |_| {
        say(&frame(r#"{"id":7,"body":{"failed":{"detail":""}}}"#))
    }),
    (
        "answer with renditions that nobody asked for",
        End::Answer,
        |_| {
            say(&frame(&format!(
                r#"{{"id":1,"body":{{"rendered":{{"image":{IMAGE},"engine":"e","files":[]}}}}}}"#
            )))
        },
    ),
    ("tell of a picture outside the limits", End::Answer, |_| {
        say(&frame(&format!(
            r#"{{"id":1,"body":{{"probed":{}}}}}"#,
            IMAGE.replace("9", "4000000000")
        )))
    }),
    ("reject with a code of the jail", End::Answer, |_| {
        say(&frame(
            r#"{"id":1,"body":{"rejected":{"code":"unservable_key","detail":""}}}"#,
        ))
    }),
    ("close the answer and stay", End::Answer, |_| {
        call(libc::SYS_close, &[1.into()])?;
        loop {
            thread::park();
        }
    }),
];

const AT: Argument = Argument::Number(libc::AT_FDCWD as i64);

const PTRACE_SEIZE: i32 = 0x4206;

const IMAGE: &str = r#"{"format":"png","dimensions":{"width":9,"height":9},"orientation":1,"has_alpha":false,"frames":1,"bit_depth":8,"color_space":"srgb"}"#;

fn text(text: &str) -> Argument {
    text.into()
}

fn one(number: i64, arguments: &[Argument]) -> io::Result<String> {
    call(number, arguments).map(|result| format!("the kernel answered {result}"))
}

/// The arguments that read or write one piece of the memory of a process.
fn memory_of(process: u32) -> [Argument; 6] {
    [process.into(), Buffer, 1.into(), Buffer, 1.into(), 0.into()]
}

fn open(path: &str, flags: i32) -> io::Result<String> {
    one(libc::SYS_openat, &[AT, path.into(), flags.into(), 0o600.into()])
}

fn of_parent(targets: &Targets, file: &str) -> io::Result<String> {
    open(&format!("/proc/{}/{file}", targets.parent), libc::O_RDONLY)
}

fn socket(family: i32, kind: i32) -> io::Result<String> {
    one(libc::SYS_socket, &[family.into(), kind.into(), 0.into()])
}

fn mapping(protection: i32, kind: i32) -> [Argument; 6] {
    [
        0.into(),
        4096.into(),
        protection.into(),
        (kind | libc::MAP_ANONYMOUS).into(),
        (-1).into(),
        0.into(),
    ]
}

fn map(protection: i32, kind: i32) -> io::Result<String> {
    one(libc::SYS_mmap, &mapping(protection, kind))
}

/// Ends the child of a fork that was not refused; the parent reports it.
#[expect(clippy::exit, reason = "the child of a fork has nothing else to do")]
fn child(result: io::Result<i64>) -> io::Result<String> {
    match result? {
        0 => std::process::exit(0),
        pid => Ok(format!("process {pid} was forked")),
    }
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn recurse(last: &[u8; 1000]) -> u64 {
    let mut next = *last;
    next[0] = next[0].wrapping_add(1);
    black_box(&next);
    recurse(&next) + u64::from(next[0])
}

/// Starts more threads than any recipe needs; that is an escape even if the system stops it later.
fn threads() -> io::Result<String> {
    const MANY: usize = 2000;
    for _ in 0..MANY {
        thread::Builder::new().spawn(|| {
            loop {
                thread::park();
            }
        })?;
    }
    Ok(format!("{MANY} threads run"))
}

fn frame(json: &str) -> Vec<u8> {
    let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
    [length.to_le_bytes().as_slice(), json.as_bytes()].concat()
}

/// Writes an answer to the parent and waits to be ended: nothing behind an answer is read.
fn say(bytes: &[u8]) -> io::Result<String> {
    let mut out = io::stdout();
    out.write_all(bytes)?;
    out.flush()?;
    loop {
        thread::park();
    }
}
