//! The body of a request before `s3s` sees it.
//!
//! `s3s` decodes aws-chunked bodies and checks their signatures, but it trusts what they say of themselves: it takes
//! a body that ends between two chunks for complete, never compares the decoded length, and keeps a whole chunk in
//! memory however large it is (the Go SDK sends an object of any size as one chunk). This layer checks the framing
//! and the lengths, cuts unsigned chunks into small ones (their sizes are not signed), limits signed ones, and
//! remembers what was wrong, because `s3s` only passes on that something was.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http::{HeaderMap, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use s3s::{S3Error, S3ErrorCode};

use super::error::{custom, fail};

/// The largest chunk of a signed aws-chunked body, in bytes: it has to be in memory to be checked. SDKs sign chunks
/// of 64 KiB to 1 MiB.
const MAX_SIGNED_CHUNK: u64 = 16 << 20;
/// The longest line before a chunk: a size in hexadecimal and a signature.
const MAX_CHUNK_LINE: usize = 128;
/// All trailers together, in bytes.
const MAX_TRAILERS: usize = 16 << 10;
/// How much of a body that nobody wants is still read, in bytes, so that its sender can read the answer.
const MAX_DRAINED: u64 = 1 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What was wrong with a body.
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

/// What became of a body; shared with those who only learn that reading it failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyReport(Arc<OnceLock<BodyError>>);

impl BodyReport {
    fn record(&self, error: BodyError) {
        let _ = self.0.set(error);
    }

    /// What was wrong with the body itself.
    pub(crate) fn error(&self) -> Option<BodyError> {
        self.0.get().copied()
    }

    /// What to answer when reading the body failed. When this layer found nothing, `s3s` found that the signed
    /// digest of the body, or of a chunk of it, is another one.
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
    /// The client sends its body only after it was asked to.
    waits: bool,
}

impl Inbound {
    /// Wraps the body of a request with these headers.
    ///
    /// # Errors
    /// When an aws-chunked body does not say how long it is.
    pub(crate) fn new(body: Body, headers: &HeaderMap) -> Result<(Self, BodyReport), S3Error> {
        let signed = match headers
            .get("x-amz-content-sha256")
            .map(header::HeaderValue::as_bytes)
        {
            Some(b"STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Some(false),
            Some(value) if value.starts_with(b"STREAMING-") => Some(true),
            _ => None,
        };
        let chunks = match signed {
            Some(signed) => Some(Chunks::new(signed, decoded_length(headers)?)),
            None => None,
        };
        let report = BodyReport::default();
        let waits = headers.contains_key(header::EXPECT);
        let inbound = Self {
            inner: Some(body),
            chunks,
            ready: VecDeque::new(),
            report: report.clone(),
            waits,
        };
        Ok((inbound, report))
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.report.record(error);
        self.ready.clear();
        Poll::Ready(Some(Err(error)))
    }
}

/// `x-amz-decoded-content-length`.
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
        match (&self.inner, &self.chunks) {
            (Some(inner), None) => inner.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for Inbound {
    /// An answer that comes while the body is still being sent is lost when the connection closes on unread bytes:
    /// read the rest, if it is short.
    fn drop(&mut self) {
        let Some(mut inner) = self.inner.take() else {
            return;
        };
        if self.waits || inner.is_end_stream() || inner.size_hint().lower() > MAX_DRAINED {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the line before a chunk.
    Line,
    /// In the bytes of a chunk; so many are left.
    Data(u64),
    /// In the line break behind them; so many of its bytes were seen.
    Break(usize),
    /// Behind the last chunk.
    Trailers,
}

/// The framing of an aws-chunked body:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>.
#[derive(Debug)]
struct Chunks {
    signed: bool,
    announced: u64,
    decoded: u64,
    state: State,
    line: Vec<u8>,
    trailers: usize,
}

impl Chunks {
    const fn new(signed: bool, announced: u64) -> Self {
        Self {
            signed,
            announced,
            decoded: 0,
            state: State::Line,
            line: Vec::new(),
            trailers: 0,
        }
    }

    fn push(&mut self, mut bytes: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), BodyError> {
        while bytes.has_remaining() {
            match self.state {
                State::Line => {
                    let (length, whole) = match bytes.iter().position(|&byte| byte == b'\n') {
                        Some(at) => (at + 1, true),
                        None => (bytes.len(), false),
                    };
                    if self.line.len() + length > MAX_CHUNK_LINE {
                        return Err(BodyError::Malformed);
                    }
                    self.line.extend_from_slice(&bytes.split_to(length));
                    if whole {
                        self.begin_chunk(out)?;
                    }
                }
                State::Data(left) => {
                    let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let piece = bytes.split_to(length);
                    let left = left - length as u64;
                    if self.signed {
                        out.push_back(piece);
                    } else {
                        out.push_back(format!("{length:x}\r\n").into());
                        out.push_back(piece);
                        out.push_back(Bytes::from_static(b"\r\n"));
                    }
                    self.state = if left == 0 {
                        State::Break(0)
                    } else {
                        State::Data(left)
                    };
                }
                State::Break(seen) => {
                    if bytes.get_u8() != b"\r\n"[seen] {
                        return Err(BodyError::Malformed);
                    }
                    if seen == 0 {
                        self.state = State::Break(1);
                    } else {
                        if self.signed {
                            out.push_back(Bytes::from_static(b"\r\n"));
                        }
                        self.state = State::Line;
                    }
                }
                State::Trailers => {
                    self.trailers += bytes.len();
                    if self.trailers > MAX_TRAILERS {
                        return Err(BodyError::Malformed);
                    }
                    out.push_back(std::mem::take(&mut bytes));
                }
            }
        }
        Ok(())
    }

    /// Reads the line of a chunk and passes it on.
    fn begin_chunk(&mut self, out: &mut VecDeque<Bytes>) -> Result<(), BodyError> {
        let line = std::mem::take(&mut self.line);
        let text = std::str::from_utf8(&line)
            .ok()
            .and_then(|line| line.strip_suffix("\r\n"));
        let text = text.ok_or(BodyError::Malformed)?;
        let (digits, extension) = match text.split_once(';') {
            Some((digits, extension)) => (digits, Some(extension)),
            None => (text, None),
        };
        let is_hex = (1..=16).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || extension.is_some() != self.signed {
            return Err(BodyError::Malformed);
        }
        let size = u64::from_str_radix(digits, 16).map_err(|_| BodyError::Malformed)?;
        if self.signed && size > MAX_SIGNED_CHUNK {
            return Err(BodyError::ChunkTooLarge);
        }
        let decoded = self
            .decoded
            .checked_add(size)
            .filter(|&decoded| decoded <= self.announced);
        self.decoded = decoded.ok_or(BodyError::TooLong)?;
        if size == 0 {
            self.state = State::Trailers;
        } else {
            self.state = State::Data(size);
        }
        if self.signed || size == 0 {
            out.push_back(line.into());
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), BodyError> {
        if self.state == State::Trailers && self.decoded == self.announced {
            Ok(())
        } else {
            Err(BodyError::Incomplete)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use futures::stream;
    use proptest::prelude::*;

    const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    const UNSIGNED: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

    /// Sends `body` in pieces of `step` bytes.
    fn read(kind: &str, decoded: &str, body: &[u8], step: usize) -> Result<Vec<u8>, BodyError> {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-content-sha256", kind.parse().unwrap());
        headers.insert("x-amz-decoded-content-length", decoded.parse().unwrap());
        let pieces: Vec<_> = body
            .chunks(step)
            .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
            .collect();
        let body = Body::from_stream(stream::iter(pieces));
        let (inbound, report) = Inbound::new(body, &headers).unwrap();
        let result = futures::executor::block_on(async {
            let mut out = Vec::new();
            let mut stream = inbound.into_data_stream();
            while let Some(piece) = stream.next().await {
                out.extend_from_slice(&piece?);
            }
            Ok(out)
        });
        assert_eq!(report.error(), result.as_ref().err().copied());
        result
    }

    #[test]
    fn unsigned_chunks_are_cut_and_trailers_kept() {
        let body = b"a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        let out = read(UNSIGNED, "10", body, 8).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "5\r\n01234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
        );
    }

    #[test]
    fn signed_chunks_pass_unchanged() {
        let signature = "0".repeat(64);
        let body = format!("3;chunk-signature={signature}\r\nabc\r\n0;chunk-signature={signature}\r\n\r\n");
        for step in [1, 2, 7, 1000] {
            assert_eq!(read(SIGNED, "3", body.as_bytes(), step).unwrap(), body.as_bytes());
        }
    }

    #[test]
    fn lengths_that_disagree_are_refused() {
        let body = b"3\r\nabc\r\n0\r\n\r\n";
        assert!(read(UNSIGNED, "3", body, 100).is_ok());
        assert_eq!(read(UNSIGNED, "4", body, 100), Err(BodyError::Incomplete));
        assert_eq!(read(UNSIGNED, "2", body, 100), Err(BodyError::TooLong));
        // Cut between two chunks, which s3s takes for the end.
        assert_eq!(
            read(UNSIGNED, "3", b"3\r\nabc\r\n", 100),
            Err(BodyError::Incomplete)
        );
        assert_eq!(read(UNSIGNED, "0", b"", 100), Err(BodyError::Incomplete));
    }

    #[test]
    fn malformed_framing_is_refused() {
        for body in [
            &b"x\r\nabc\r\n0\r\n\r\n"[..],
            b"+3\r\nabc\r\n0\r\n\r\n",
            b"\r\n",
            b"3\nabc\r\n0\r\n\r\n",
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"3;chunk-signature=00\r\nabc\r\n0\r\n\r\n",
            b"00000000000000003\r\nabc\r\n0\r\n\r\n",
        ] {
            assert_eq!(
                read(UNSIGNED, "3", body, 100),
                Err(BodyError::Malformed),
                "{}",
                body.escape_ascii()
            );
        }
        assert_eq!(
            read(SIGNED, "3", b"3\r\nabc\r\n0\r\n\r\n", 100),
            Err(BodyError::Malformed)
        );
        let large = format!(
            "{:x};chunk-signature={}\r\n",
            MAX_SIGNED_CHUNK + 1,
            "0".repeat(64)
        );
        assert_eq!(
            read(SIGNED, "99999999", large.as_bytes(), 100),
            Err(BodyError::ChunkTooLarge)
        );
    }

    proptest! {
        #[test]
        fn any_framing_of_the_same_bytes_decodes_to_them(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..5),
            step in 1..400_usize,
        ) {
            let whole = chunks.concat();
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let out = read(UNSIGNED, &whole.len().to_string(), &body, step).unwrap();
            let mut chunks = Chunks::new(false, whole.len() as u64);
            let mut pieces = VecDeque::new();
            chunks.push(out.into(), &mut pieces).unwrap();
            chunks.finish().unwrap();
            // Each piece comes as line, data, break; the last line is the end.
            let data: Vec<u8> = pieces.iter().skip(1).step_by(3).flatten().copied().collect();
            let data = &data[..whole.len().min(data.len())];
            prop_assert_eq!(data, &whole[..]);
        }
    }
}
