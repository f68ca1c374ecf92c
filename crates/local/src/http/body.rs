//! The body of a request, gathered into large pieces with a limit on the wait for them, and the body of an answer, whose
//! end starts the wait for the next request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tintype_edge::TooSlow;
use tokio::time::{Sleep, sleep};

use super::client_wait::ClientWait;

/// Pieces of a body have at least this many bytes, all but the last.
const PIECE_BYTES: usize = 16 << 10;

/// The body of a request. It fails with [`TooSlow`] when the client keeps it waiting for too long.
///
/// Its pieces are copies, of 16 KiB or more but for the last: however small the segments are that a client sends, who
/// keeps what it sent keeps about as many bytes. (The buffer that hyper reads into lives as long as any byte of it,
/// 8 KiB for a segment of one byte.)
///
/// Everything else about the inner body shows through, its length above all: a request without a body must not look
/// like one of unknown length.
#[derive(Debug)]
pub(crate) struct Incoming<B> {
    body: B,
    wait: Arc<ClientWait>,
    /// Runs only while somebody waits for the client.
    timer: Option<Pin<Box<Sleep>>>,
    gathered: Vec<u8>,
    /// Follows what was gathered.
    trailers: Option<Frame<Bytes>>,
}

impl<B> Incoming<B> {
    pub(crate) fn new(body: B, wait: Arc<ClientWait>) -> Self {
        Self {
            body,
            wait,
            timer: None,
            gathered: Vec::new(),
            trailers: None,
        }
    }
}

impl<B> HttpBody for Incoming<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        while this.gathered.len() < PIECE_BYTES && this.trailers.is_none() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.timer = None;
                    let size = frame.data_ref().map_or(0, Bytes::len);
                    this.wait.moved(size, Instant::now());
                    match frame.into_data() {
                        Ok(data) => this.gathered.extend_from_slice(&data),
                        Err(trailers) => this.trailers = Some(trailers),
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    this.gathered = Vec::new();
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(None) => break,
                Poll::Pending => {
                    ready!(poll_timeout(&this.wait, &mut this.timer, context));
                    this.gathered = Vec::new();
                    return Poll::Ready(Some(Err(TooSlow.into())));
                }
            }
        }
        if this.gathered.is_empty() {
            Poll::Ready(this.trailers.take().map(Ok))
        } else {
            let mut piece = std::mem::take(&mut this.gathered);
            piece.shrink_to_fit();
            Poll::Ready(Some(Ok(Frame::data(piece.into()))))
        }
    }

    fn is_end_stream(&self) -> bool {
        self.gathered.is_empty() && self.trailers.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let gathered = self.gathered.len() as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(gathered));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(gathered));
        }
        hint
    }
}

/// Ready when the wait for the client is over; else wakes the task when it will be.
pub(super) fn poll_timeout(
    wait: &ClientWait,
    timer: &mut Option<Pin<Box<Sleep>>>,
    context: &mut Context<'_>,
) -> Poll<()> {
    loop {
        let left = wait.start(Instant::now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        let running = timer.get_or_insert_with(|| Box::pin(sleep(left)));
        ready!(running.as_mut().poll(context));
        // Bytes in the other direction may have extended the wait.
        *timer = None;
    }
}

/// The body of an answer. From its end on the server waits for the next request.
#[derive(Debug)]
pub(crate) struct Outgoing {
    body: Body,
    wait: Arc<ClientWait>,
}

impl Outgoing {
    pub(crate) fn new(body: Body, wait: Arc<ClientWait>) -> Self {
        Self { body, wait }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.wait.start(Instant::now());
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client_wait::WaitLimit;
    use futures::{StreamExt as _, stream};
    use http::HeaderMap;
    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;
    use std::time::Duration;

    fn incoming<S>(frames: S, limit: WaitLimit) -> Incoming<StreamBody<S>> {
        let wait = Arc::new(ClientWait::new(limit, Instant::now()));
        wait.reset();
        Incoming::new(StreamBody::new(frames), wait)
    }

    const PATIENT: WaitLimit = WaitLimit {
        timeout: Duration::from_hours(1),
        min_rate: 1,
    };

    fn of(bytes: &[u8], step: usize) -> Vec<Result<Frame<Bytes>, BoxError>> {
        let pieces = bytes.chunks(step);
        pieces
            .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
            .collect()
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    }

    proptest! {
        #[test]
        fn any_segments_come_out_as_the_same_bytes_in_large_pieces(
            length in 0..100_000_usize,
            step in prop_oneof![1..10_usize, 10..40_000_usize],
            has_trailers in any::<bool>(),
        ) {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut frames = of(&bytes, step);
            if has_trailers {
                frames.push(Ok(Frame::trailers(HeaderMap::new())));
            }
            let mut body = incoming(stream::iter(frames), PATIENT);
            let (mut pieces, mut trailers) = (Vec::new(), 0);
            runtime().block_on(async {
                while let Some(frame) = body.frame().await {
                    match frame.unwrap().into_data() {
                        Ok(data) => pieces.push(data),
                        Err(_) => trailers += 1,
                    }
                }
            });
            prop_assert_eq!(trailers, usize::from(has_trailers));
            prop_assert_eq!(pieces.concat(), bytes);
            let whole = pieces.len().saturating_sub(1);
            prop_assert!(pieces[..whole].iter().all(|piece| piece.len() >= PIECE_BYTES));
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_fails() {
        let mut frames = of(b"some", 1);
        frames.push(Err("reset".into()));
        let mut body = incoming(stream::iter(frames), PATIENT);
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "reset");
    }

    #[tokio::test]
    async fn a_body_fails_when_its_client_stops_or_is_too_slow() {
        let limit = WaitLimit {
            timeout: Duration::from_millis(5),
            min_rate: u64::MAX,
        };
        // Nothing more, and one byte after another with as short a wait before each as there can be.
        let stuck = stream::iter(of(b"some", 1)).chain(stream::pending()).boxed();
        let drip = stream::repeat(())
            .then(|()| async {
                tokio::task::yield_now().await;
                Ok(Frame::data(Bytes::from_static(b"x")))
            })
            .boxed();
        for frames in [stuck, drip] {
            let mut body = incoming(frames, limit);
            let error = loop {
                if let Err(error) = body.frame().await.unwrap() {
                    break error;
                }
            };
            assert!(error.is::<TooSlow>(), "{error}");
        }
    }
}
