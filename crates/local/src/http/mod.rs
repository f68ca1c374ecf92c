//! The listener: connections, their limits, and the choice of who answers a request.

mod app;
mod body;
mod client_wait;
mod connections;
mod refusal;
mod stream;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tintype_http::Peer;

use http::header::{CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub(crate) use app::App;
pub(crate) use client_wait::WaitLimit;
pub(crate) use connections::{Capacity, Connections};

use body::{Incoming, Outgoing};
use client_wait::ClientWait;
use connections::{Ending, Slot};
use refusal::Refusals;
use stream::TimedStream;

/// The head of a request, and what is read ahead of a body, in bytes.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// Headers of a request: 2 KB of user metadata may come in several hundred.
const MAX_HEADERS: usize = 512;

/// Bytes of answers that the kernel keeps for a client that does not take them, besides those that are on their way. Without
/// this bound it keeps up to 4 MiB a connection (`tcp_wmem`).
const MAX_UNSENT_BYTES: u32 = 256 << 10;

/// Serves until `stop`, then finishes the requests in hand, for `drain` at most.
///
/// HTTP/1.1 only: the port speaks plain text, where clients do not use HTTP/2, and telling the two apart would
/// need a read without a deadline (hyper issue 3756).
pub(crate) async fn serve(
    listener: TcpListener,
    app: App,
    connections: Arc<Connections>,
    drain: Duration,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let refusals = Refusals::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(connections.limit().timeout)
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_headers(MAX_HEADERS);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, peer)) = accepted else {
            continue;
        };
        let admitted = tokio::select! {
            admitted = connections.admit(peer) => admitted,
            () = stop.cancelled() => break,
        };
        let Some(slot) = admitted else {
            refusals.answer(stream);
            continue;
        };
        let (app, wait) = (app.clone(), slot.wait.clone());
        let service = service_fn(move |request| answer(request, app.clone(), wait.clone(), peer));
        let stream = TimedStream::new(stream, slot.wait.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(run(connection, slot, connections.clone()));
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("cut connections that were not done in {} s", drain.as_secs());
    }
}

async fn accept(listener: &TcpListener, connections: &Connections) -> Option<(TcpStream, IpAddr)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Small answers must not wait for the acknowledgement of earlier ones.
            let _ = stream.set_nodelay(true);
            let _ = SockRef::from(&stream).set_tcp_notsent_lowat(MAX_UNSENT_BYTES);
            Some((stream, peer.ip()))
        }
        Err(error) => {
            // Most errors are of one connection; running out of descriptors passes when others close.
            tracing::warn!(%error, "could not accept a connection");
            connections.close_slowest();
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// Answers one request.
async fn answer(
    request: Request<hyper::body::Incoming>,
    app: App,
    wait: Arc<ClientWait>,
    peer: IpAddr,
) -> Result<http::Response<Outgoing>, Infallible> {
    wait.reset();
    let response = if has_unknown_coding(request.headers()) {
        not_decoded()
    } else {
        let mut request = request.map(|body| axum::body::Body::new(Incoming::new(body, wait.clone())));
        request.extensions_mut().insert(Peer(peer));
        app.answer(request).await
    };
    Ok(response.map(|body| Outgoing::new(body, wait)))
}

/// Tells whether a body is in another transfer coding than `chunked`, once. Nothing here decodes `gzip, chunked`, and what a
/// proxy in front takes for the end of such a body is not known.
fn has_unknown_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings
        .next()
        .is_some_and(|coding| codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

fn not_decoded() -> http::Response<axum::body::Body> {
    let text = "the body has a transfer coding other than chunked; send it without\n";
    let mut response = http::Response::new(axum::body::Body::from(text));
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Runs a connection until it ends or has to be closed to make room, and counts how it ended.
async fn run<C>(connection: C, slot: Slot, connections: Arc<Connections>)
where
    C: Future<Output = hyper::Result<()>>,
{
    let ended = tokio::select! {
        ended = connection => ended,
        () = slot.close.cancelled() => {
            tracing::debug!("connection closed to make room");
            return;
        }
    };
    let error = ended.err();
    let is_timeout = error.as_ref().is_some_and(hyper::Error::is_timeout);
    if is_timeout || slot.wait.is_over() {
        connections.count(Ending::TimedOut);
    } else if error.as_ref().is_some_and(hyper::Error::is_parse) {
        connections.count(Ending::Malformed);
    }
    if let Some(error) = error {
        tracing::debug!(%error, "connection ended early");
    }
}
