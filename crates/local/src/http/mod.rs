//! The listener: connections, their limits, and which half of the system a request is for.

mod app;
mod body;
mod house;
mod pace;
mod stream;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tintype_http::Peer;

use http::Request;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub(crate) use app::App;
pub(crate) use house::Capacity;
pub(crate) use pace::Patience;

use body::{Incoming, Outgoing};
use house::{House, Place};
use stream::Paced;

/// The head of a request, and what is read ahead of a body, in bytes.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// Headers of a request: 2 KB of user metadata may come in several hundred.
const MAX_HEADERS: usize = 512;

/// The bounds that the listener is held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The number of connections that are held open.
    pub(crate) capacity: Capacity,
    /// The time that clients may keep a connection waiting, and the rate at which bytes make up for it.
    pub(crate) patience: Patience,
    /// For requests in hand when the server stops.
    pub(crate) drain: Duration,
}

/// Serves until `stop`, then finishes the requests in hand.
///
/// HTTP/1.1 only: the port speaks plain text, where clients do not use HTTP/2, and telling the two apart would
/// need a read without a deadline (hyper issue 3756).
pub(crate) async fn serve(listener: TcpListener, app: App, bounds: Bounds, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let house = House::new(bounds.capacity, bounds.patience);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.patience.grace)
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_headers(MAX_HEADERS);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &house) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let app = app.clone();
        let pace = place.pace.clone();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let (app, pace) = (app.clone(), pace.clone());
            pace.begin();
            let mut request = request.map(|body| axum::body::Body::new(Incoming::new(body, pace.clone())));
            request.extensions_mut().insert(Peer(peer));
            async move {
                let response = app.answer(request).await;
                Ok::<_, Infallible>(response.map(|body| Outgoing::new(body, pace)))
            }
        });
        let stream = Paced::new(stream, place.pace.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended early");
                },
                () = place.leave.cancelled() => tracing::debug!("connection closed to make room"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(bounds.drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            "cut connections that were not done in {} s",
            bounds.drain.as_secs()
        );
    }
}

async fn accept(listener: &TcpListener, house: &Arc<House>) -> Option<(TcpStream, IpAddr, Place)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Small answers must not wait for the acknowledgement of earlier ones.
            let _ = stream.set_nodelay(true);
            let place = house.admit(peer.ip()).await;
            Some((stream, peer.ip(), place))
        }
        Err(error) => {
            // Most errors are of one connection; running out of descriptors passes when others close.
            tracing::warn!(%error, "could not accept a connection");
            house.close_slowest();
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
