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
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::s3;

/// Connections held open at once; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 2048;
/// Time for the whole head of a request, and for the next request on an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Time without a single byte moving in a body, in either direction.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that requests in hand get when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The two halves behind one address.
#[derive(Clone)]
pub(crate) struct App {
    /// Delivery, API and pages.
    pub(crate) edge: axum::Router,
    /// The S3 endpoint.
    pub(crate) s3: s3::S3Endpoint,
}

impl App {
    async fn answer(self, request: Request<Incoming>) -> Response {
        let (parts, body) = request.into_parts();
        let is_s3 = s3::is_s3_request(&parts);
        let is_root = parts.uri.path() == "/" && matches!(parts.method, Method::GET | Method::HEAD);
        let request = Request::from_parts(parts, Body::new(body));
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
pub(crate) async fn serve(listener: TcpListener, app: App, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, permit)) = accepted else { continue };
        let app = app.clone();
        let service = service_fn(move |request| {
            let app = app.clone();
            async move { Ok::<_, Infallible>(app.answer(request).await) }
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(STALL_TIMEOUT));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
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
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections were cut: they were not done in {} s", DRAIN_TIMEOUT.as_secs());
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
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
