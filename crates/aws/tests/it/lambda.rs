//! Lambda's Runtime API and as much of AWS as one picture needs, for the real binary of a function.

use std::collections::{BTreeMap, HashMap};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

/// After this time a test is taken for hung. No busy machine comes near it.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it happens in time")
}

/// A message of a function to the Runtime API: the last part of the path, and the body.
pub(crate) type Report = (String, Value);

struct RuntimeApi {
    invocations: AsyncMutex<mpsc::Receiver<(Value, Duration)>>,
    reports: mpsc::Sender<Report>,
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let Some((event, time)) = api.invocations.lock().await.recv().await else {
        return std::future::pending().await;
    };
    let deadline = SystemTime::now() + time;
    let deadline = deadline
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "request-1".to_owned()),
        ("Lambda-Runtime-Deadline-Ms", deadline.to_string()),
        (
            "Lambda-Runtime-Trace-Id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".to_owned(),
        ),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:eu-west-1:1:function:worker".to_owned(),
        ),
    ];
    (headers, event.to_string()).into_response()
}

async fn report(api: Arc<RuntimeApi>, kind: String, body: Bytes) -> StatusCode {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    api.reports.send((kind, body)).await.unwrap();
    StatusCode::ACCEPTED
}

async fn done(
    State(api): State<Arc<RuntimeApi>>,
    Path((_, kind)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    report(api, kind, body).await
}

async fn init_error(State(api): State<Arc<RuntimeApi>>, body: Bytes) -> StatusCode {
    report(api, "init".to_owned(), body).await
}

/// An object with the headers that it is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    body: Bytes,
    headers: HeaderMap,
}

impl Stored {
    fn new(body: Bytes, sent: &HeaderMap) -> Self {
        let keep = |name: &str| name.starts_with("x-amz-meta-") || name == "content-type";
        let kept = sent.iter().filter(|(name, _)| keep(name.as_str()));
        let mut headers: HeaderMap = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
        headers.insert("etag", etag.parse().unwrap());
        headers.insert("last-modified", "Mon, 23 Nov 2026 09:00:00 GMT".parse().unwrap());
        Self { body, headers }
    }
}

/// S3, DynamoDB and SQS behind one address. It keeps what it is given and judges nothing: what AWS really does with
/// these requests is for the conformance suites and the harness.
#[derive(Debug, Default)]
pub(crate) struct Aws {
    /// Objects by `bucket/key`. A source without bytes is never answered.
    pub(crate) objects: Mutex<BTreeMap<String, Stored>>,
    items: Mutex<HashMap<String, Value>>,
    /// Visibility timeouts that were set.
    pub(crate) hidden: Mutex<Vec<u64>>,
}

async fn aws(State(aws): State<Arc<Aws>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    match parts.headers.get("x-amz-target") {
        Some(target) => aws.call(target.to_str().unwrap(), &serde_json::from_slice(&body).unwrap()),
        None => {
            aws.object(
                &parts.method,
                parts.uri.path(),
                parts.uri.query(),
                &parts.headers,
                body,
            )
            .await
        }
    }
}

impl Aws {
    fn call(&self, target: &str, input: &Value) -> Response {
        let key = |item: &Value| item["pk"]["S"].as_str().unwrap().to_owned();
        let output = match target {
            "DynamoDB_20120810.GetItem" => match self.items.lock().unwrap().get(&key(&input["Key"])) {
                Some(item) => json!({ "Item": item }),
                None => json!({}),
            },
            "DynamoDB_20120810.PutItem" => {
                let item = input["Item"].clone();
                self.items.lock().unwrap().insert(key(&item), item);
                json!({})
            }
            "AmazonSQS.ChangeMessageVisibility" => {
                self.hidden
                    .lock()
                    .unwrap()
                    .push(input["VisibilityTimeout"].as_u64().unwrap());
                json!({})
            }
            other => return (StatusCode::BAD_REQUEST, other.to_owned()).into_response(),
        };
        output.to_string().into_response()
    }

    async fn object(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response {
        let name = path.trim_start_matches('/').to_owned();
        if *method == Method::PUT {
            let stored = Stored::new(body, headers);
            let etag = stored.headers["etag"].clone();
            self.objects.lock().unwrap().insert(name, stored);
            return [("etag", etag)].into_response();
        }
        if *method == Method::DELETE {
            self.objects.lock().unwrap().remove(&name);
            return StatusCode::NO_CONTENT.into_response();
        }
        if query.is_some_and(|query| query.contains("list-type=2")) {
            let empty = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
            return empty.into_response();
        }
        let found = self.objects.lock().unwrap().get(&name).cloned();
        match found {
            None => StatusCode::NOT_FOUND.into_response(),
            Some(stored) if stored.body.is_empty() => std::future::pending().await,
            Some(stored) => (stored.headers, Body::from(stored.body)).into_response(),
        }
    }

    pub(crate) fn put(&self, name: &str, body: Vec<u8>) {
        let stored = Stored::new(body.into(), &HeaderMap::new());
        self.objects.lock().unwrap().insert(name.to_owned(), stored);
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A function that runs.
pub(crate) struct Function {
    pub(crate) aws: Arc<Aws>,
    pub(crate) process: Child,
    output: Lines<BufReader<ChildStdout>>,
    invocations: mpsc::Sender<(Value, Duration)>,
    reports: mpsc::Receiver<Report>,
}

impl Function {
    /// Starts `program` with `changes` to a good environment; an empty value takes a variable away.
    pub(crate) async fn start(program: &str, changes: &[(&str, &str)]) -> Self {
        let (invocations, invoked) = mpsc::channel(1);
        let (reported, reports) = mpsc::channel(16);
        let api = Arc::new(RuntimeApi {
            invocations: AsyncMutex::new(invoked),
            reports: reported,
        });
        let runtime = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(done))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(api);
        let aws_state = Arc::new(Aws::default());
        let endpoint = format!(
            "http://{}",
            serve(Router::new().fallback(aws).with_state(aws_state.clone())).await
        );
        let queue = format!("{endpoint}/1/jobs");
        let runtime = serve(runtime).await;
        let mut variables: BTreeMap<&str, &str> = [
            ("TINTYPE_RAW_BUCKET", "raw"),
            ("TINTYPE_PROCESSED_BUCKET", "processed"),
            ("TINTYPE_ACCOUNT", "000000000000"),
            ("TINTYPE_TOMBSTONE_DAYS", "90"),
            ("TINTYPE_TABLE", "table"),
            ("TINTYPE_QUEUE_URL", &queue),
            ("TINTYPE_MAX_RECEIVES", "5"),
            ("TINTYPE_ENVIRONMENT", "contract"),
            ("AWS_LAMBDA_RUNTIME_API", &runtime),
            ("AWS_LAMBDA_FUNCTION_NAME", "worker"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL", &endpoint),
        ]
        .into();
        variables.extend(changes.iter().copied());
        variables.retain(|_, value| !value.is_empty());
        let mut process = Command::new(program)
            .env_clear()
            .envs(&variables)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            aws: aws_state,
            process,
            output,
            invocations,
            reports,
        }
    }

    /// Invokes the function, with that much time, and waits for what it answers.
    pub(crate) async fn invoke(&mut self, event: Value, time: Duration) -> Report {
        self.invocations.send((event, time)).await.unwrap();
        self.report().await
    }

    pub(crate) async fn report(&mut self) -> Report {
        in_time(self.reports.recv()).await.unwrap()
    }

    /// The next line of its output that `wanted` accepts. Every line is a JSON object.
    pub(crate) async fn line(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        in_time(async {
            loop {
                let line = self
                    .output
                    .next_line()
                    .await
                    .unwrap()
                    .expect("the output goes on");
                let line: Value = serde_json::from_str(&line).expect("a line of JSON");
                if wanted(&line) {
                    return line;
                }
            }
        })
        .await
    }

    /// Its rendering process.
    pub(crate) fn child(&self) -> Option<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id()?)).ok()?;
        tasks.flatten().find_map(|task| {
            let children = std::fs::read_to_string(task.path().join("children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
    }
}

/// Sends a signal, as `kill` names it.
pub(crate) async fn signal(name: &str, process: u32) {
    let status = Command::new("kill")
        .args([name, &process.to_string()])
        .status()
        .await
        .unwrap();
    assert!(status.success());
}

/// Waits until the process is in that state (proc_pid_status(5)).
pub(crate) async fn state(process: u32, wanted: char) {
    in_time(async {
        let wanted = format!("State:\t{wanted}");
        let is = || std::fs::read_to_string(format!("/proc/{process}/status"));
        while !is().is_ok_and(|status| status.contains(&wanted)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
