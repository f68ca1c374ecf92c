use std::{fs, time::Duration};

use tintype_jail::{Config, Error, Jail, Level, Priority, Step};
use tintype_model::{RenderError, Renderer};

use crate::{commanding, config, in_time, killed, png, small_recipe};

fn setup_error(result: Result<(), RenderError>) -> String {
    match result {
        Err(RenderError::Failed(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_worker_has_no_environment_and_can_open_nothing() {
    assert!(std::env::vars_os().count() > 0, "there is something to inherit");
    let jail = Jail::new(config());
    let detail = killed(in_time(jail.probe(commanding(b"", "report"))).await);
    assert_eq!(
        detail,
        "the worker panicked: variables=0 open=Permission denied (os error 13)"
    );
}

#[tokio::test]
async fn the_limits_are_in_force() {
    let mut config = config();
    config.memory_bytes = 300 << 20;
    config.deadline = Duration::from_secs(7);
    config.threads = 2;
    config.jobs_per_worker = 9;
    let jail = Jail::new(config);
    assert_eq!(jail.level().steps, []);
    in_time(jail.warm()).await.unwrap();
    let pid = jail.workers()[0].pid;
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let values: Vec<_> = line[name.len()..].split_whitespace().take(2).collect();
        values.join(" ")
    };
    let memory = 300 << 20;
    assert_eq!(limit("Max data size"), format!("{memory} {memory}"));
    let space = memory + (256 << 20) + 4 * (128 << 20);
    assert_eq!(limit("Max address space"), format!("{space} {space}"));
    assert_eq!(limit("Max cpu time"), "15 150");
    assert_eq!(limit("Max open files"), "0 0");
    assert_eq!(limit("Max file size"), "0 0");
    assert_eq!(limit("Max core file size"), "0 0");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let steps = jail.level().steps;
    for step in Level::FLOOR {
        assert!(steps.contains(&step), "{step:?} is not in {steps:?}");
    }
    assert!(jail.level().to_string().contains("memory_limit, cpu_limit"));
}

#[tokio::test]
async fn the_cpu_limit_moves_on_with_each_source() {
    let mut config = config();
    config.deadline = Duration::from_secs(299);
    let jail = Jail::new(config);
    for source in [
        commanding(&png(10, 10, [0; 3]), "burn=1"),
        png(10, 10, [0; 3]).into(),
    ] {
        in_time(jail.render(source, &small_recipe())).await.unwrap();
    }
    let pid = jail.workers()[0].pid;
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max cpu time"))
        .unwrap();
    let soft: u64 = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    // 300 s from the CPU time that was used before the second source: neither from the start of the process nor from
    // the limit of the first source.
    assert!((301..600).contains(&soft), "{line}");
}

#[tokio::test]
async fn an_idle_priority_worker_is_in_the_idle_class() {
    let mut config = config();
    config.priority = Priority::Idle;
    let jail = Jail::new(config);
    in_time(jail.warm()).await.unwrap();
    let pid = jail.workers()[0].pid;
    assert!(jail.level().steps.contains(&Step::LowPriority));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Field 41 of proc_pid_stat(5), counted from the state, which is field 3.
    let policy = stat.rsplit_once(") ").unwrap().1.split(' ').nth(41 - 3).unwrap();
    assert_eq!(policy, "5", "SCHED_IDLE");
}

#[tokio::test]
async fn a_worker_with_an_environment_refuses_to_work() {
    let worker = env!("CARGO_BIN_EXE_tintype-jail-test-worker");
    let args = ["AWS_SECRET_ACCESS_KEY=x", worker, "worker"]
        .map(Into::into)
        .to_vec();
    let jail = Jail::new(Config::new("/usr/bin/env", args));
    let error = setup_error(in_time(jail.warm()).await);
    assert_eq!(
        error,
        "render worker cannot be confined: the environment is not empty"
    );
}

#[tokio::test]
async fn a_worker_with_an_open_file_refuses_to_work() {
    let worker = env!("CARGO_BIN_EXE_tintype-jail-test-worker");
    let script = "exec /usr/bin/env -i \"$0\" worker 7</dev/null";
    let args = ["-c", script, worker].map(Into::into).to_vec();
    let jail = Jail::new(Config::new("/bin/sh", args));
    let error = setup_error(in_time(jail.warm()).await);
    assert_eq!(
        error,
        "render worker cannot be confined: file descriptor 7 is open"
    );
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_an_error() {
    let jail = Jail::new(Config::new("/bin/false", Vec::new()));
    let error = setup_error(in_time(jail.warm()).await);
    assert!(error.contains("exit code 1"), "{error}");
    let jail = Jail::new(Config::new("/no/such/program", Vec::new()));
    match in_time(jail.probe(png(10, 10, [0; 3]).into())).await {
        Err(RenderError::Failed(error)) => {
            assert!(
                matches!(error.downcast_ref(), Some(Error::Spawn { .. })),
                "{error}"
            );
            assert!(error.to_string().contains("/no/such/program"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_that_do_not_fit_the_request_are_refused() {
    let jail = Jail::new(config());
    let image = r#"{"format":"png","dimensions":{"width":9,"height":9},"orientation":1,"has_alpha":false,"frames":1,"bit_depth":8,"color_space":"srgb"}"#;
    for (command, expected) in [
        ("say=XXXXXXXXXXXX".to_owned(), "too long"),
        ("frame=nonsense".to_owned(), "answer was refused"),
        ("frame={\"id\":1,".to_owned(), "answer was refused"),
        (
            format!(r#"frame={{"id":7,"body":{{"probed":{image}}}}}"#),
            "instead of 1",
        ),
        (
            format!(r#"frame={{"id":1,"body":{{"probed":{image}}}}}"#),
            "another request",
        ),
        (
            format!(r#"frame={{"id":1,"body":{{"rendered":{{"image":{image},"engine":"e","files":[]}}}}}}"#),
            "is missing",
        ),
        (
            r#"frame={"id":1,"body":{"rejected":{"code":"unservable_key","detail":""}}}"#.to_owned(),
            "cannot reject with unservable_key",
        ),
    ] {
        let source = commanding(&png(10, 10, [0; 3]), &command);
        let detail = killed(in_time(jail.render(source, &small_recipe())).await);
        assert!(detail.contains(expected), "{command}: {detail}");
    }
}
