use super::*;
use crate::disk::Disk;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use std::net::{Ipv4Addr, SocketAddr};
use tintype_store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

/// After this time a test is taken for hung. No busy machine comes near it.
const WATCHDOG: Duration = Duration::from_secs(600);

/// The bounds of a server's connections.
#[derive(Clone, Copy)]
struct Bounds {
    capacity: Capacity,
    limit: WaitLimit,
}

/// For clients that are to be closed. It may close any other as well.
const QUICK: Bounds = Bounds {
    capacity: Capacity {
        connections: 2,
        per_address: 2,
    },
    limit: WaitLimit {
        timeout: Duration::from_millis(200),
        min_rate: 1024,
    },
};

/// Nobody is closed for being slow, unless to make room.
const PATIENT: Bounds = Bounds {
    capacity: Capacity {
        connections: 8,
        per_address: 4,
    },
    limit: WaitLimit {
        timeout: Duration::from_hours(1),
        min_rate: 1,
    },
};

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    done: JoinHandle<()>,
    connections: Arc<Connections>,
    _data: tempfile::TempDir,
}

async fn start(edge: axum::Router, bounds: Bounds) -> Server {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).unwrap();
    let config = tintype_s3::S3Config {
        access_key: "key".to_owned(),
        secret_key: "secret".to_owned(),
        region: "us-east-1".to_owned(),
        allowed_origins: Vec::new(),
        public_url: None,
    };
    let app = App {
        edge,
        s3: tintype_s3::S3Endpoint::new(store, config),
        disk: Disk::new(data.path()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let connections = Connections::new(bounds.capacity, bounds.limit);
    let done = tokio::spawn(serve(listener, app, connections.clone(), WATCHDOG, stop.clone()));
    Server {
        address,
        stop,
        done,
        connections,
        _data: data,
    }
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may be closed already.
    let _ = stream.write_all(request.as_bytes()).await;
    read_to_end(&mut stream).await
}

/// Everything until the server closes, or resets the connection.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(WATCHDOG, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the server closes");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn each_request_reaches_the_edge_or_the_s3_endpoint() {
    let edge = axum::Router::new()
        .route("/", get(async || "root"))
        .route("/img/a/medium", get(async || "edge"));
    let server = start(edge, PATIENT).await;
    let ask = async |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        exchange(server.address, &request).await
    };
    assert!(ask("/img/a/medium").await.ends_with("edge"));
    assert!(ask("http://localhost/img/a/medium").await.ends_with("edge"));
    assert!(ask("/").await.ends_with("root"));
    let bucket = ask("/raw/a").await;
    assert!(
        bucket.starts_with("HTTP/1.1 403") && bucket.contains("<Code>AccessDenied</Code>"),
        "{bucket}"
    );
}

#[tokio::test]
async fn the_length_of_a_body_is_known_to_who_reads_it() {
    let length = async |body: Body| format!("{:?}", http_body::Body::size_hint(&body).exact());
    let server = start(
        axum::Router::new().route("/length", get(length).post(length)),
        PATIENT,
    )
    .await;
    let without = "GET /length HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(exchange(server.address, without).await.ends_with("Some(0)"));
    let with =
        "POST /length HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\n12345";
    assert!(exchange(server.address, with).await.ends_with("Some(5)"));
}

/// Everything that a stalled client sends: nothing, a part of a head, or a head and a part of the body.
const STALLED: [&str; 5] = [
    "",
    "G",
    "GET /img/a/b HTTP/1.1\r\nHost: local",
    "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345",
    "POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
];

const HONEST: &str = "GET /img/a/b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn edge() -> axum::Router {
    let endless = async || {
        Body::from_stream(stream::repeat(Ok::<_, Infallible>(Bytes::from_static(
            &[0; 4096],
        ))))
    };
    axum::Router::new()
        .route("/img/a/b", get(async || "edge"))
        .route("/img/endless/b", get(endless))
        .route("/body", post(async |body: String| body))
}

#[tokio::test]
async fn clients_that_stall_are_cut() {
    let server = start(edge(), QUICK).await;
    for stalled in STALLED {
        let clients = (0..QUICK.capacity.connections).map(|_| exchange(server.address, stalled));
        for answer in futures::future::join_all(clients).await {
            assert!(!answer.starts_with("HTTP/1.1 200"), "{stalled:?}: {answer}");
        }
    }
    let stalled = STALLED.len() * QUICK.capacity.connections;
    assert_eq!(server.connections.counts().timed_out, stalled as u64);
    // One that does not stall is answered, if not at once: a busy machine can make it look like one that does.
    let answered = async { while !exchange(server.address, HONEST).await.ends_with("edge") {} };
    let answered = tokio::time::timeout(WATCHDOG, answered).await;
    answered.expect("a client that does not stall is answered");
}

/// Connects from this address of the loopback network and sends a request.
async fn from(client: [u8; 4], server: SocketAddr, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::from(client), 0).into()).unwrap();
    let mut stream = socket.connect(server).await.unwrap();
    // It may be closed already, to make room for the next.
    let _ = stream.write_all(request.as_bytes()).await;
    stream
}

#[tokio::test]
async fn connections_that_do_nothing_keep_nobody_out() {
    let server = start(edge(), PATIENT).await;
    let takes_nothing = "GET /img/endless/b HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for stalled in STALLED.into_iter().chain([takes_nothing]) {
        let mut held = Vec::new();
        for number in 0..10 * PATIENT.capacity.connections {
            let client = [127, 0, 0, u8::try_from(number % 5 + 1).unwrap()];
            held.push(from(client, server.address, stalled).await);
        }
        for client in [[127, 0, 0, 1], [127, 0, 0, 77]] {
            let mut honest = from(client, server.address, HONEST).await;
            let answer = read_to_end(&mut honest).await;
            assert!(answer.ends_with("edge"), "{stalled:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_address_beyond_its_share_closes_its_own_connections() {
    let server = start(edge(), PATIENT).await;
    let mut other = from([127, 0, 0, 2], server.address, "GET /img/a/b HTTP/1.1\r\n").await;
    let mut first = from([127, 0, 0, 1], server.address, "GET /").await;
    let mut held = Vec::new();
    for _ in 0..10 * PATIENT.capacity.connections {
        held.push(from([127, 0, 0, 1], server.address, "GET /").await);
    }
    assert_eq!(read_to_end(&mut first).await, "");
    other
        .write_all(b"Host: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(read_to_end(&mut other).await.ends_with("edge"));
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_answer() {
    let server = start(edge(), QUICK).await;
    let answer = exchange(server.address, "GET /img/a/b HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.is_empty() || answer.ends_with("edge"), "{answer}");
    assert_eq!(server.connections.counts().timed_out, 1);
}

#[tokio::test]
async fn an_address_whose_connections_are_all_answered_is_refused_and_others_are_not() {
    let finish = CancellationToken::new();
    let (finished, (started, mut has_started)) = (finish.clone(), tokio::sync::mpsc::channel(1));
    let handler = async move || {
        started.send(()).await.unwrap();
        finished.cancelled().await;
        "done"
    };
    let server = start(
        axum::Router::new()
            .route("/img/slow/medium", get(handler))
            .route("/img/a/b", get(async || "edge")),
        PATIENT,
    )
    .await;
    let slow = "GET /img/slow/medium HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answered = Vec::new();
    for _ in 0..PATIENT.capacity.per_address {
        answered.push(from([127, 0, 0, 1], server.address, slow).await);
        has_started.recv().await.unwrap();
    }
    let mut refused = from([127, 0, 0, 1], server.address, HONEST).await;
    let answer = read_to_end(&mut refused).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After"),
        "{answer}"
    );
    let mut other = from([127, 0, 0, 2], server.address, HONEST).await;
    assert!(read_to_end(&mut other).await.ends_with("edge"));
    finish.cancel();
    for mut stream in answered {
        assert!(read_to_end(&mut stream).await.ends_with("done"));
    }
    assert_eq!(server.connections.counts().refused, 1);
}

#[tokio::test]
async fn a_client_that_takes_too_few_bytes_is_cut() {
    let bounds = Bounds {
        limit: WaitLimit {
            timeout: Duration::from_millis(100),
            min_rate: u64::MAX,
        },
        ..PATIENT
    };
    let given_up = CancellationToken::new();
    let guard = given_up.clone().drop_guard();
    let body = stream::repeat(Bytes::from_static(&[0; 4096])).map(move |bytes| {
        let _ = &guard;
        Ok::<_, Infallible>(bytes)
    });
    let body = std::sync::Mutex::new(Some(Body::from_stream(body)));
    let body = Arc::new(body);
    let endless = async move || body.lock().unwrap().take().unwrap();
    let server = start(axum::Router::new().route("/img/endless/b", get(endless)), bounds).await;
    let request = "GET /img/endless/b HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut client = from([127, 0, 0, 1], server.address, request).await;
    let mut byte = [0];
    let drip = async {
        while client.read_exact(&mut byte).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let cut = async {
        tokio::select! {
            () = drip => {}
            () = given_up.cancelled() => {}
        }
    };
    tokio::time::timeout(WATCHDOG, cut)
        .await
        .expect("the server gives up");
}

#[tokio::test]
async fn requests_in_hand_are_finished_before_the_server_stops() {
    let (started, mut has_started) = tokio::sync::mpsc::channel(1);
    let finish = CancellationToken::new();
    let finished = finish.clone();
    let handler = async move || {
        started.send(()).await.unwrap();
        finished.cancelled().await;
        "done"
    };
    let server = start(
        axum::Router::new().route("/img/slow/medium", get(handler)),
        PATIENT,
    )
    .await;
    let address = server.address;
    let request = "GET /img/slow/medium HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let client = tokio::spawn(async move { exchange(address, request).await });
    has_started.recv().await.unwrap();
    server.stop.cancel();
    finish.cancel();
    assert!(client.await.unwrap().ends_with("done"));
    server.done.await.unwrap();
    TcpStream::connect(address)
        .await
        .expect_err("nobody listens any more");
}
