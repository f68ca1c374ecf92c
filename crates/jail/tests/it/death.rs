use std::{
    io::{BufRead, BufReader},
    pin::pin,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use tintype_jail::{Error, Jail};
use tintype_model::{ImageInfo, RenderError, Renderer};

use crate::{Process, busy_worker, commanding, config, in_time, killed, png, small_recipe, stop};

#[tokio::test]
async fn a_worker_killed_in_the_middle_is_replaced_and_the_source_tried_again() {
    let jail = Jail::new(config());
    let call = tokio::spawn({
        let jail = jail.clone();
        let source = commanding(&png(40, 40, [9, 9, 9]), "wait");
        async move { jail.render(source, &small_recipe()).await }
    });
    let first = busy_worker(&jail, None).await;
    stop(first.pid).await;
    let process = Process::of(first.pid);
    process.signal(Signal::KILL);
    process.ended().await;
    // The same source makes the second one wait too, until it gets SIGCONT.
    let second = busy_worker(&jail, Some(first)).await;
    stop(second.pid).await;
    Process::of(second.pid).signal(Signal::CONT);
    let rendered = in_time(call).await.unwrap().unwrap();
    assert_eq!(rendered.image.dimensions.width, 40);
    let workers = jail.workers();
    assert_eq!(workers.len(), 1);
    assert_eq!(workers[0].pid, second.pid);
}

#[tokio::test]
async fn a_source_whose_workers_are_killed_from_outside_is_never_rejected() {
    let jail = Jail::new(config());
    // Not SIGHUP: whatever runs under nohup ignores it, and so do its children.
    for signal in [Signal::KILL, Signal::TERM] {
        let call = tokio::spawn({
            let jail = jail.clone();
            let source = commanding(&png(40, 40, [9, 9, 9]), "hang");
            async move { jail.render(source, &small_recipe()).await }
        });
        let mut ended = None;
        for _ in 0..2 {
            let worker = busy_worker(&jail, ended).await;
            let process = Process::of(worker.pid);
            process.signal(signal);
            process.ended().await;
            ended = Some(worker);
        }
        match in_time(call).await.unwrap() {
            Err(RenderError::Failed(error)) => {
                assert!(
                    matches!(error.downcast_ref(), Some(Error::Ended { .. })),
                    "{error}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    in_time(jail.render(png(40, 40, [9; 3]).into(), &small_recipe()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_worker_that_dies_while_idle_is_not_noticed_by_callers() {
    let jail = Jail::new(config());
    in_time(jail.warm()).await.unwrap();
    let process = Process::of(jail.workers()[0].pid);
    process.signal(Signal::KILL);
    process.ended().await;
    in_time(jail.probe(png(10, 10, [0; 3]).into())).await.unwrap();
}

#[tokio::test]
async fn a_source_whose_worker_ends_twice_is_rejected() {
    let jail = Jail::new(config());
    for (command, expected) in [
        ("panic", "the worker panicked: as told"),
        ("abort", "signal 6 (aborted)"),
        ("exit=3", "exit code 3"),
        ("overflow", "overflowed its stack"),
        ("close", "broke off its answer"),
    ] {
        let source = commanding(&png(10, 10, [0; 3]), command);
        let detail = killed(in_time(jail.render(source, &small_recipe())).await);
        assert!(detail.contains(expected), "{command}: {detail}");
    }
    in_time(jail.render(png(10, 10, [0; 3]).into(), &small_recipe()))
        .await
        .unwrap();
}

/// Checks that a worker that sleeps for ever is killed when its deadline has passed, and that the source is rejected.
/// On a machine that is too busy for the worker to begin before that, the next deadline is tried.
async fn killed_asleep(probe: impl AsyncFn(Duration) -> Result<ImageInfo, RenderError>) {
    for deadline in [700, 6_000, 50_000].map(Duration::from_millis) {
        let result = in_time(probe(deadline)).await;
        if let Err(RenderError::Failed(error)) = &result
            && matches!(error.downcast_ref(), Some(Error::Starved { .. }))
        {
            continue;
        }
        let expected = format!("rendering passed its deadline of {} s", deadline.as_secs_f64());
        assert_eq!(killed(result), expected);
        return;
    }
    panic!("the machine gave no worker a CPU");
}

#[tokio::test]
async fn a_worker_that_sleeps_past_its_deadline_is_killed() {
    killed_asleep(async |deadline| {
        let mut config = config();
        config.deadline = deadline;
        let jail = Jail::new(config);
        let result = jail.probe(commanding(b"", "hang")).await;
        assert_eq!(jail.workers(), [], "nothing late stays alive");
        result
    })
    .await;
}

#[tokio::test]
async fn a_caller_with_less_time_shares_the_pool_and_waits_no_longer() {
    let jail = Jail::new(config());
    in_time(jail.warm()).await.unwrap();
    killed_asleep(async |deadline| {
        let shorter = jail.with_deadline(deadline);
        assert_eq!(shorter.workers(), jail.workers(), "they share the pool");
        shorter.probe(commanding(b"", "hang")).await
    })
    .await;
    killed_asleep(async |deadline| {
        let mut short = config();
        short.deadline = deadline;
        let longer = Jail::new(short).with_deadline(Duration::from_secs(240));
        longer.probe(commanding(b"", "hang")).await
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_was_frozen_between_two_sources_goes_on_working() {
    let jail = Jail::new(config());
    in_time(jail.probe(png(10, 10, [0; 3]).into())).await.unwrap();
    let pid = jail.workers()[0].pid;
    // As Lambda does between two invocations, there to the whole machine.
    stop(pid).await;
    Process::of(pid).signal(Signal::CONT);
    in_time(jail.render(png(10, 10, [0; 3]).into(), &small_recipe()))
        .await
        .unwrap();
    assert_eq!(jail.workers()[0].pid, pid, "the warm worker did it");
}

#[tokio::test]
async fn a_source_whose_worker_computes_past_its_deadline_is_rejected() {
    let mut config = config();
    config.deadline = Duration::from_secs(3);
    let jail = Jail::new(config);
    match in_time(jail.probe(commanding(b"", "spin"))).await {
        Err(RenderError::Rejected(rejection)) => assert!(rejection.detail.contains("deadline of 3 s")),
        // Right on a machine that is busy with something else.
        Err(RenderError::Failed(error)) => assert!(error.to_string().contains("CPU time"), "{error}"),
        Ok(image) => panic!("{image:?}"),
    }
    assert_eq!(jail.workers(), []);
}

#[tokio::test]
async fn a_worker_that_got_no_cpu_time_is_an_error_and_rejects_nothing() {
    let mut config = config();
    config.deadline = Duration::from_secs(2);
    let jail = Jail::new(config);
    let call = tokio::spawn({
        let jail = jail.clone();
        async move { jail.probe(commanding(&png(10, 10, [0; 3]), "wait")).await }
    });
    stop(busy_worker(&jail, None).await.pid).await;
    match in_time(call).await.unwrap() {
        Err(RenderError::Failed(error)) => {
            assert!(
                matches!(error.downcast_ref(), Some(Error::Starved { .. })),
                "{error}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn memory_beyond_the_limit_ends_that_worker_alone() {
    let mut config = config();
    config.memory_bytes = 256 << 20;
    let jail = Jail::new(config);
    let within = commanding(&png(10, 10, [0; 3]), "allocate=150000000");
    in_time(jail.render(within, &small_recipe())).await.unwrap();
    let beyond = commanding(&png(10, 10, [0; 3]), "allocate=300000000");
    let detail = killed(in_time(jail.render(beyond, &small_recipe())).await);
    assert!(detail.contains("256 MiB of memory"), "{detail}");
    assert!(
        detail.contains("memory allocation of 300000000 bytes failed"),
        "{detail}"
    );
    in_time(jail.render(png(10, 10, [0; 3]).into(), &small_recipe()))
        .await
        .unwrap();
}

#[tokio::test]
async fn wherever_memory_runs_out_the_source_is_rejected() {
    let mut recipe = tintype_model::Recipe::default();
    recipe.variants.truncate(1);
    let source = png(2000, 1500, [200, 100, 50]);
    let mut outcomes = Vec::new();
    // From too little for the decoder to enough for everything.
    for mebibytes in (10..=200).step_by(10) {
        let mut config = config();
        config.memory_bytes = mebibytes << 20;
        let jail = Jail::new(config);
        let result = in_time(jail.render(source.clone().into(), &recipe)).await;
        outcomes.push(match result {
            Ok(_) => "done".to_owned(),
            Err(_) => killed(result),
        });
    }
    assert_ne!(outcomes[0], "done", "{outcomes:#?}");
    assert_eq!(outcomes.last().unwrap(), "done", "{outcomes:#?}");
}

#[tokio::test]
async fn dropping_a_call_kills_its_worker_and_the_next_caller_gets_its_own_answer() {
    let jail = Jail::new(config());
    let call = tokio::spawn({
        let jail = jail.clone();
        async move {
            jail.render(commanding(&png(50, 50, [1; 3]), "hang"), &small_recipe())
                .await
        }
    });
    let process = Process::of(busy_worker(&jail, None).await.pid);
    call.abort();
    process.ended().await;
    let rendered = in_time(jail.render(png(60, 60, [2; 3]).into(), &small_recipe()))
        .await
        .unwrap();
    assert_eq!(rendered.image.dimensions.width, 60);
}

#[tokio::test]
async fn workers_outlive_the_thread_that_asked_for_them() {
    let jail = Jail::new(config());
    let runtime = tokio::runtime::Handle::current();
    let asking = {
        let jail = jail.clone();
        move || runtime.block_on(jail.warm()).unwrap()
    };
    tokio::task::spawn_blocking(|| thread::spawn(asking).join().unwrap())
        .await
        .unwrap();
    let before = jail.workers();
    in_time(jail.probe(png(10, 10, [0; 3]).into())).await.unwrap();
    assert_eq!(jail.workers()[0].pid, before[0].pid);
}

#[tokio::test]
async fn a_busy_worker_ends_with_its_parent_and_files_left_open_for_the_parent_are_no_obstacle() {
    // The shell leaves descriptor 9 open for the parent, as supervisors and terminals do.
    let mut parent = Command::new("sh")
        .args([
            "-c",
            "exec \"$0\" parent 9</dev/null",
            env!("CARGO_BIN_EXE_tintype-jail-test-worker"),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let worker = Process::of(line.trim().parse().unwrap());
    parent.kill().unwrap();
    parent.wait().unwrap();
    worker.ended().await;
}

#[tokio::test]
async fn a_worker_is_replaced_after_its_share_of_sources() {
    let mut config = config();
    config.jobs_per_worker = 2;
    let jail = Jail::new(config);
    let mut pids = Vec::new();
    for _ in 0..4 {
        in_time(jail.warm()).await.unwrap();
        pids.push(jail.workers()[0].pid);
        in_time(jail.probe(png(10, 10, [0; 3]).into())).await.unwrap();
    }
    assert_eq!(pids[0], pids[1]);
    assert_ne!(pids[1], pids[2]);
    assert_eq!(pids[2], pids[3]);
}

#[tokio::test]
async fn a_worker_that_keeps_memory_is_replaced() {
    let mut config = config();
    config.idle_memory_bytes = 100 << 20;
    let jail = Jail::new(config);
    in_time(jail.probe(commanding(&png(10, 10, [0; 3]), "keep=50000000")))
        .await
        .unwrap();
    assert_eq!(jail.workers().len(), 1);
    in_time(jail.probe(commanding(&png(10, 10, [0; 3]), "keep=60000000")))
        .await
        .unwrap();
    assert_eq!(jail.workers(), []);
}

#[tokio::test]
async fn shutdown_lets_work_finish_and_leaves_no_process() {
    let mut config = config();
    config.workers = 2;
    let jail = Jail::new(config);
    in_time(jail.warm()).await.unwrap();
    let processes: Vec<_> = jail
        .workers()
        .iter()
        .map(|worker| Process::of(worker.pid))
        .collect();
    assert_eq!(processes.len(), 2);
    let call = tokio::spawn({
        let jail = jail.clone();
        async move { jail.probe(commanding(&png(10, 10, [0; 3]), "wait")).await }
    });
    let busy = busy_worker(&jail, None).await.pid;
    stop(busy).await;
    let mut shutdown = pin!(jail.shutdown());
    tokio::select! {
        biased;
        () = &mut shutdown => panic!("a source was in hand"),
        () = std::future::ready(()) => {}
    }
    Process::of(busy).signal(Signal::CONT);
    in_time(shutdown).await;
    in_time(call).await.unwrap().unwrap();
    for process in processes {
        process.ended().await;
    }
    assert_eq!(jail.workers(), []);
    match in_time(jail.probe(png(10, 10, [0; 3]).into())).await {
        Err(RenderError::Failed(error)) => assert!(matches!(error.downcast_ref(), Some(Error::Closed))),
        other => panic!("{other:?}"),
    }
}
