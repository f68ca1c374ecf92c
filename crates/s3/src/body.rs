//! The body of a request before `s3s` sees it.
//!
//! `s3s` decodes aws-chunked bodies and checks their signatures, but it trusts the sender: it takes
//! a body that ends between two chunks for complete, never compares the decoded length, and keeps a whole chunk in
//! memory however large it is (the Go SDK sends an object of any size as one chunk). This layer checks the framing
//! and the lengths, cuts unsigned chunks into small ones (their sizes are not signed), limits signed ones, and
//! keeps the reason of a failure, which `s3s` does not pass on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use s3s::{S3Error, S3ErrorCode};

use super::aws_chunked::{Chunks, MAX_SIGNED_CHUNK};
use super::error::{custom, fail};

/// The most bytes that are read of a refused body, so that its sender can read the answer.
const MAX_DRAINED: u64 = 64 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A fault in the framing or the length of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body ended early")]
    Incomplete,
    #[error("the body is longer than announced")]
    TooLong,
    #[error("the aws-chunked body is malformed")]
    Malformed,
    #[error("a signed chunk is larger than {MAX_SIGNED_CHUNK} bytes")]
    ChunkTooLarge,
}

impl From<BodyError> for S3Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Incomplete => fail(
                S3ErrorCode::IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
            ),
            BodyError::TooLong => fail(
                S3ErrorCode::IncompleteBody,
                "The body is longer than the x-amz-decoded-content-length header says.",
            ),
            BodyError::Malformed => fail(S3ErrorCode::InvalidRequest, "The aws-chunked body is malformed."),
            BodyError::ChunkTooLarge => custom(
                StatusCode::BAD_REQUEST,
                "InvalidChunkSizeError",
                format!("Chunks may have {MAX_SIGNED_CHUNK} bytes at most."),
            ),
        }
    }
}

/// The state of a body: its fault, and whether it was read. Shared with code that only sees that reading failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyReport(Arc<Report>);

#[derive(Debug, Default)]
struct Report {
    error: OnceLock<BodyError>,
    was_read: AtomicBool,
}

impl BodyReport {
    fn record(&self, error: BodyError) {
        let _ = self.0.error.set(error);
    }

    /// The fault of the body itself, if one was found.
    pub(crate) fn error(&self) -> Option<BodyError> {
        self.0.error.get().copied()
    }

    /// Tells whether reading it has begun.
    pub(crate) fn was_read(&self) -> bool {
        self.0.was_read.load(Ordering::Relaxed)
    }

    /// The error to answer with when reading the body failed. Without a fault found here, `s3s` found that the
    /// signed digest of the body, or of a chunk of it, differs.
    pub(crate) fn failure(&self, headers: &HeaderMap) -> S3Error {
        if let Some(error) = self.error() {
            return error.into();
        }
        let streaming = headers
            .get("x-amz-content-sha256")
            .is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
        if streaming {
            S3Error::new(S3ErrorCode::SignatureDoesNotMatch)
        } else {
            custom(
                StatusCode::BAD_REQUEST,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
        }
    }
}

/// A request body with its framing and lengths checked.
#[derive(Debug)]
pub(crate) struct Inbound {
    inner: Option<Body>,
    chunks: Option<Chunks>,
    ready: VecDeque<Bytes>,
    report: BodyReport,
    /// The bytes still to come; `None` when the request does not say.
    left: Option<u64>,
    /// `true` when the client waits for `100 Continue`.
    waits: bool,
}

impl Inbound {
    /// Wraps the body of a request with these headers.
    pub(crate) fn new(body: Body, headers: &HeaderMap, report: BodyReport) -> Self {
        // Without either header there is no body (RFC 9112 section 6.3), and `s3s` must know.
        let left = match headers.get(header::CONTENT_LENGTH) {
            Some(length) => length.to_str().ok().and_then(|length| length.parse().ok()),
            None => (!headers.contains_key(header::TRANSFER_ENCODING)).then_some(0),
        };
        let waits = headers.contains_key(header::EXPECT);
        Self {
            inner: Some(body),
            chunks: None,
            ready: VecDeque::new(),
            report,
            left,
            waits,
        }
    }

    /// Checks the framing that the headers announce from here on.
    ///
    /// # Errors
    /// When an aws-chunked body does not say how long it is.
    pub(crate) fn check_framing(mut self, headers: &HeaderMap) -> Result<Self, S3Error> {
        let signed = match headers
            .get("x-amz-content-sha256")
            .map(header::HeaderValue::as_bytes)
        {
            Some(b"STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Some(false),
            Some(value) if value.starts_with(b"STREAMING-") => Some(true),
            Some(_) | None => None,
        };
        if let Some(signed) = signed {
            self.chunks = Some(Chunks::new(signed, decoded_length(headers)?));
        }
        Ok(self)
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.report.record(error);
        self.ready.clear();
        Poll::Ready(Some(Err(error)))
    }
}

/// The value of `x-amz-decoded-content-length`.
fn decoded_length(headers: &HeaderMap) -> Result<u64, S3Error> {
    let value = headers.get("x-amz-decoded-content-length").ok_or_else(|| {
        fail(
            S3ErrorCode::MissingContentLength,
            "You must provide the x-amz-decoded-content-length HTTP header.",
        )
    })?;
    let digits = value
        .to_str()
        .ok()
        .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        fail(
            S3ErrorCode::InvalidArgument,
            "The x-amz-decoded-content-length HTTP header is not a number.",
        )
    })
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        this.report.0.was_read.store(true, Ordering::Relaxed);
        loop {
            if let Some(bytes) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let Some(inner) = this.inner.as_mut() else {
                return Poll::Ready(None);
            };
            match std::task::ready!(Pin::new(inner).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    this.left = this.left.map(|left| left.saturating_sub(bytes.len() as u64));
                    match &mut this.chunks {
                        Some(chunks) => {
                            if let Err(error) = chunks.push(bytes, &mut this.ready) {
                                return this.fail(error);
                            }
                        }
                        None => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    }
                }
                Some(Err(_)) => {
                    this.inner = None;
                    return this.fail(BodyError::Incomplete);
                }
                None => {
                    this.inner = None;
                    if let Some(Err(error)) = this.chunks.as_ref().map(Chunks::finish) {
                        return this.fail(error);
                    }
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (self.left, &self.chunks) {
            (Some(left), None) => SizeHint::with_exact(left),
            (Some(_), Some(_)) | (None, _) => SizeHint::default(),
        }
    }
}

impl Drop for Inbound {
    /// Reads the rest of the body, if it is short: an answer that is sent before is lost when the connection closes on
    /// unread bytes.
    fn drop(&mut self) {
        let Some(mut inner) = self.inner.take() else {
            return;
        };
        let is_worth_it = self.left.is_none_or(|left| (1..=MAX_DRAINED).contains(&left));
        if self.waits || !is_worth_it || inner.is_end_stream() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(DRAIN_TIMEOUT, async move {
                let mut left = MAX_DRAINED;
                while let Some(Ok(frame)) = inner.frame().await {
                    let size = frame.data_ref().map_or(0, |data| data.len() as u64);
                    let Some(rest) = left.checked_sub(size) else { break };
                    left = rest;
                }
            }));
        }
    }
}
