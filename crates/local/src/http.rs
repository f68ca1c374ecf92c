//! The listener: connections, their limits, and which half of the system a request is for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::s3;
use crate::stall::StallLimit;

/// What clients may take their time for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Connections held open at once; more wait in the listener's backlog.
    pub(crate) connections: usize,
    /// For the whole head of a request, and for the next request on an idle connection.
    pub(crate) head: Duration,
    /// Without a single byte moving in a body, in either direction.
    pub(crate) stall: Duration,
    /// For requests in hand when the server stops.
    pub(crate) drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connections: 2048,
            head: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// The two halves behind one address.
#[derive(Clone)]
pub(crate) struct App {
    /// Delivery, API and pages.
    pub(crate) edge: axum::Router,
    /// The S3 endpoint.
    pub(crate) s3: s3::S3Endpoint,
}

impl App {
    async fn answer(self, request: Request<Incoming>, stall: Duration) -> Response {
        let (parts, body) = request.into_parts();
        let is_s3 = s3::is_s3_request(&parts);
        let is_root = parts.uri.path() == "/" && matches!(parts.method, Method::GET | Method::HEAD);
        let request = Request::from_parts(parts, Body::new(StallLimit::new(body, stall)));
        if is_s3 {
            self.s3.handle(request).await
        } else if is_root {
            Redirect::temporary("/admin").into_response()
        } else {
            let Ok(response) = self.edge.oneshot(request).await;
            response
        }
    }
}

/// Serves until `stop`, then finishes the requests in hand.
///
/// HTTP/1.1 only: the port speaks plain text, where clients do not use HTTP/2, and telling the two apart would
/// need a read without a deadline (hyper issue 3756).
pub(crate) async fn serve(listener: TcpListener, app: App, patience: Patience, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(patience.connections));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, permit)) = accepted else {
            continue;
        };
        let app = app.clone();
        let service = service_fn(move |request| {
            let app = app.clone();
            async move { Ok::<_, Infallible>(app.answer(request, patience.stall).await) }
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(patience.stall));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.head)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(patience.drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            "cut connections that were not done in {} s",
            patience.drain.as_secs()
        );
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = permits
        .clone()
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    match listener.accept().await {
        Ok((stream, _)) => {
            // Small answers must not wait for the acknowledgement of earlier ones.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            // Most errors are of one connection; running out of descriptors passes when others close.
            tracing::warn!(%error, "could not accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use axum::routing::{get, post};
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    /// After this time a test is taken for hung. No busy machine comes near it.
    const HANG: Duration = Duration::from_secs(600);

    /// For clients that are not to be cut, however long they have to wait for a CPU.
    const LONG: Patience = Patience {
        connections: 2,
        head: HANG,
        stall: HANG,
        drain: HANG,
    };

    /// For clients that are to be cut. It may cut any other as well.
    const QUICK: Patience = Patience {
        head: Duration::from_millis(200),
        stall: Duration::from_millis(200),
        ..LONG
    };

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        done: JoinHandle<()>,
        _data: tempfile::TempDir,
    }

    async fn start(edge: axum::Router, patience: Patience) -> Server {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let config = s3::S3Config {
            access_key: "key".to_owned(),
            secret_key: "secret".to_owned(),
            region: "us-east-1".to_owned(),
            allowed_origins: Vec::new(),
        };
        let app = App {
            edge,
            s3: s3::S3Endpoint::new(store, config),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let done = tokio::spawn(serve(listener, app, patience, stop.clone()));
        Server {
            address,
            stop,
            done,
            _data: data,
        }
    }

    /// What is answered until the server closes; an error when it closes before it has read everything.
    async fn try_exchange(address: SocketAddr, request: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        // A server that never closes would hang here.
        let read = tokio::time::timeout(HANG, stream.read_to_end(&mut answer)).await;
        read.expect("the server closes")?;
        Ok(String::from_utf8(answer).unwrap())
    }

    async fn exchange(address: SocketAddr, request: &str) -> String {
        try_exchange(address, request).await.unwrap()
    }

    #[tokio::test]
    async fn each_request_reaches_its_half() {
        let router = axum::Router::new().route("/img/a/medium", get(async || "edge"));
        let server = start(router, LONG).await;
        let ask = async |path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            exchange(server.address, &request).await
        };
        assert!(ask("/img/a/medium").await.ends_with("edge"));
        let root = ask("/").await;
        assert!(
            root.starts_with("HTTP/1.1 307") && root.contains("location: /admin"),
            "{root}"
        );
        let bucket = ask("/raw/a").await;
        assert!(
            bucket.starts_with("HTTP/1.1 403") && bucket.contains("<Code>AccessDenied</Code>"),
            "{bucket}"
        );
    }

    #[tokio::test]
    async fn the_length_of_a_body_is_known_to_who_reads_it() {
        let length = async |body: Body| format!("{:?}", http_body::Body::size_hint(&body).exact());
        let router = axum::Router::new().route("/length", get(length).post(length));
        let server = start(router, LONG).await;
        let without = "GET /length HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert!(exchange(server.address, without).await.ends_with("Some(0)"));
        let with =
            "POST /length HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\n12345";
        assert!(exchange(server.address, with).await.ends_with("Some(5)"));
    }

    #[tokio::test]
    async fn clients_that_stall_are_cut_and_do_not_keep_others_out() {
        let router = axum::Router::new()
            .route("/", get(async || "edge"))
            .route("/img/a/b", get(async || "edge"))
            .route("/body", post(async |body: String| body));
        let server = start(router, QUICK).await;
        for stalled in [
            "",
            "G",
            "GET /img/a/b HTTP/1.1\r\nHost: local",
            "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345",
        ] {
            // As many as there are connections: the next one gets in only because these are cut.
            let clients = (0..QUICK.connections).map(|_| try_exchange(server.address, stalled));
            for answer in futures::future::join_all(clients).await {
                let answer = answer.unwrap_or_default();
                assert!(!answer.starts_with("HTTP/1.1 200"), "{stalled:?}: {answer}");
            }
        }
        let request = "GET /img/a/b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        // One that does not stall is answered, if not at once: a busy machine can make it look like one that does.
        let is_answered = |answer: std::io::Result<String>| answer.is_ok_and(|text| text.ends_with("edge"));
        let answered = async { while !is_answered(try_exchange(server.address, request).await) {} };
        let answered = tokio::time::timeout(HANG, answered).await;
        answered.expect("a client that does not stall is answered");
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
        let router = axum::Router::new().route("/img/slow/medium", get(handler));
        let server = start(router, LONG).await;
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
}
