//! The worker of the jail's tests. A source that ends in `\ntintype-test:COMMAND` makes it misbehave before it decodes
//! the bytes before that. With the argument `parent` it owns a jail itself, and a test kills it.

use std::{
    env, fs,
    hint::black_box,
    io::{self, Write},
    process::{self, ExitCode},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tintype_jail::{Config, Jail, Priority};

const MARK: &[u8] = b"\ntintype-test:";

/// True after this process was sent SIGCONT.
static CONTINUED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_continue(_: i32) {
    CONTINUED.store(true, Ordering::SeqCst);
}

fn main() -> ExitCode {
    #[expect(
        unsafe_code,
        reason = "a handler is the only way to notice a signal without a descriptor"
    )]
    // SAFETY: the handler stores to an atomic and nothing else.
    unsafe {
        let handler: extern "C" fn(i32) = note_continue;
        libc::signal(libc::SIGCONT, handler as libc::sighandler_t);
    }
    match env::args().nth(1).as_deref() {
        Some("worker") => tintype_jail::worker_main_with(misbehave),
        Some("attempt") => tintype_jail::attempt_main(&env::args().nth(2).unwrap_or_default()),
        Some("parent") => parent(),
        _ => ExitCode::FAILURE,
    }
}

fn misbehave(source: &[u8]) {
    let Some(at) = source.windows(MARK.len()).rposition(|window| window == MARK) else {
        return;
    };
    let command = String::from_utf8_lossy(&source[at + MARK.len()..]);
    let (command, argument) = command.split_once('=').unwrap_or((&command, ""));
    let number = || argument.parse::<usize>().expect("the command has a number");
    match command {
        "hang" => loop {
            thread::park();
        },
        "spin" => loop {
            black_box(());
        },
        "burn" => burn(number()),
        "allocate" => drop(black_box(vec![1_u8; number()])),
        "keep" => std::mem::forget(black_box(vec![1_u8; number()])),
        "wait" => {
            while !CONTINUED.swap(false, Ordering::SeqCst) {
                thread::yield_now();
            }
        }
        "panic" => panic!("as\ntold"),
        "abort" => process::abort(),
        "exit" => end(number()),
        "overflow" => {
            black_box(overflow(&[0; 1000]));
        }
        "close" => close(),
        "say" => say(argument.as_bytes()),
        "frame" => {
            say(&u32::try_from(argument.len()).unwrap_or(0).to_le_bytes());
            say(argument.as_bytes());
        }
        "report" => panic!("{}", report()),
        _ => panic!("unknown command {command}"),
    }
}

#[expect(
    clippy::exit,
    reason = "a worker that ends in the middle of its work is what is tested"
)]
fn end(code: usize) -> ! {
    process::exit(i32::try_from(code).unwrap_or(1))
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn overflow(last: &[u8; 1000]) -> u64 {
    let mut next = *last;
    next[0] = next[0].wrapping_add(1);
    black_box(&next);
    overflow(&next) + u64::from(next[0])
}

/// Computes until this process has used so many seconds of CPU time.
fn burn(seconds: usize) {
    let used = || rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).tv_sec;
    while usize::try_from(used()).is_ok_and(|used| used < seconds) {
        black_box(());
    }
}

/// Closes the pipe to the parent and stays alive.
fn close() -> ! {
    #[expect(unsafe_code, reason = "standard output has no owner that could be dropped")]
    // SAFETY: nothing of this process uses descriptor 1 after this.
    unsafe {
        libc::close(1);
    }
    loop {
        thread::park();
    }
}

fn say(bytes: &[u8]) {
    let mut stdout = io::stdout();
    stdout.write_all(bytes).expect("the parent reads");
    stdout.flush().expect("the parent reads");
}

fn report() -> String {
    let variables = env::vars_os().count();
    let open = fs::File::open("/etc/passwd").map_or_else(|error| error.to_string(), |_| "yes".to_owned());
    format!("variables={variables} open={open}")
}

#[tokio::main]
async fn parent() -> ExitCode {
    let program = env::current_exe().expect("this program has a path");
    let mut config = Config::new(program, vec!["worker".into()]);
    config.priority = Priority::Normal;
    let jail = Jail::new(config);
    let busy = jail.clone();
    let work = tokio::spawn(async move { busy.probe([MARK, b"spin"].concat().into()).await.map(drop) });
    let pid = loop {
        // Its first source has arrived when it is counted.
        if let Some(worker) = jail.workers().iter().find(|worker| worker.jobs == 1) {
            break worker.pid;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    say(format!("{pid}\n").as_bytes());
    drop(work.await);
    ExitCode::SUCCESS
}
