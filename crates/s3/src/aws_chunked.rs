//! The framing of aws-chunked bodies, checked and passed on in pieces that `s3s` can hold.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use super::body::BodyError;

/// The largest chunk of a signed aws-chunked body, in bytes: checking it needs all of it in memory. SDKs sign chunks
/// of 64 KiB to 1 MiB.
pub(crate) const MAX_SIGNED_CHUNK: u64 = 16 << 20;
/// The longest line before a chunk: a size in hexadecimal and a signature.
const MAX_CHUNK_LINE: usize = 128;
/// The largest size of all trailers together, in bytes.
const MAX_TRAILERS: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The line before a chunk.
    Line,
    /// The bytes of a chunk, with the number that is left.
    Data(u64),
    /// The line break behind them, with the number of its bytes that were read.
    Break(usize),
    /// The trailers behind the last chunk.
    Trailers,
}

/// The framing of an aws-chunked body:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>.
#[derive(Debug)]
pub(crate) struct Chunks {
    signed: bool,
    announced: u64,
    decoded: u64,
    state: State,
    line: Vec<u8>,
    trailers: usize,
}

impl Chunks {
    /// The framing of a body that must have this number of decoded bytes.
    pub(crate) const fn new(signed: bool, announced: u64) -> Self {
        Self {
            signed,
            announced,
            decoded: 0,
            state: State::Line,
            line: Vec::new(),
            trailers: 0,
        }
    }

    /// Reads bytes of the body and appends those that `s3s` gets.
    pub(crate) fn push(&mut self, mut bytes: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), BodyError> {
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

    /// Checks that the body may end here.
    pub(crate) fn finish(&self) -> Result<(), BodyError> {
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
    use axum::body::Body;
    use http::HeaderMap;
    use http_body_util::BodyExt as _;

    use crate::body::{BodyReport, Inbound};
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
        let report = BodyReport::default();
        let inbound = Inbound::new(body, &headers, report.clone())
            .check_framing(&headers)
            .unwrap();
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
