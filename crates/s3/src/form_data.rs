//! Reads `multipart/form-data` (RFC 7578) part by part, without keeping the file in memory.
//!
//! S3 limits the fields in front of the file, and a form is refused by its policy before any of its file is read. The
//! crate `multer` (3.1) can do neither: it has no limit for the head of a part, and before it gives out a field it
//! buffers all that the connection has ready, the file included.

use axum::body::Body;
use bytes::{Buf as _, Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, header};
use memchr::memmem;
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::body::BodyError;
use super::error::fail;

/// All fields before the file with their headers, in bytes. S3 allows 20 KB.
const MAX_FIELDS_BYTES: usize = 64 << 10;

fn malformed(reason: &str) -> S3Error {
    fail(
        S3ErrorCode::MalformedPOSTRequest,
        format!("The body of your POST request is not well-formed multipart/form-data: {reason}."),
    )
}

/// The boundary between parts (RFC 2046 section 5.1.1).
pub(crate) fn boundary(headers: &HeaderMap) -> S3Result<String> {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    parameter(value, "boundary")
        .filter(|boundary| (1..=70).contains(&boundary.len()))
        .ok_or_else(|| malformed("it has no boundary of 1 to 70 characters"))
}

/// A parameter of a header such as `form-data; name="a"`. Browsers escape quotes in names as `%22`, other clients
/// with a backslash.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, tail) = rest.split_once('=')?;
        let (value, end) = match tail.strip_prefix('"') {
            Some(quoted) => {
                let mut value = String::new();
                let mut characters = quoted.char_indices();
                let end = loop {
                    match characters.next()? {
                        (at, '"') => break at + 1,
                        (_, '\\') if quoted.contains("\\\"") => value.push(characters.next()?.1),
                        (_, other) => value.push(other),
                    }
                };
                (value, &quoted[end..])
            }
            None => {
                let end = tail.find(';').unwrap_or(tail.len());
                (tail[..end].trim().to_owned(), &tail[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = end.trim_start().strip_prefix(';')?;
    }
}

/// The head of a part.
#[derive(Debug)]
pub(crate) struct Part {
    /// The name, in lower case.
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
}

/// Reads `multipart/form-data` (RFC 7578) part by part.
#[derive(Debug)]
pub(crate) struct Form {
    body: axum::body::BodyDataStream,
    buffer: BytesMut,
    /// A line break, two dashes and the boundary.
    delimiter: memmem::Finder<'static>,
    /// Bytes of fields and heads so far.
    read: usize,
    /// The delimiter at the end of the current part was consumed.
    at_delimiter: bool,
    ended: bool,
}

impl Form {
    pub(crate) fn new(body: Body, boundary: &str) -> Self {
        Self {
            body: body.into_data_stream(),
            // The first boundary has no line break before it.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: memmem::Finder::new(&format!("\r\n--{boundary}")).into_owned(),
            read: 0,
            at_delimiter: false,
            ended: false,
        }
    }

    /// Reads more; a body that ends where more has to follow is cut off.
    async fn fill(&mut self) -> S3Result<()> {
        match self.body.next().await {
            Some(Ok(bytes)) => {
                self.buffer.extend_from_slice(&bytes);
                Ok(())
            }
            Some(Err(_)) | None => Err(BodyError::Incomplete.into()),
        }
    }

    /// The head of the next part; the part before it must have been read.
    pub(crate) async fn next_part(&mut self) -> S3Result<Option<Part>> {
        if !self.at_delimiter && !self.ended {
            // What stands before the first boundary is for people.
            self.text().await?;
        }
        if self.ended {
            return Ok(None);
        }
        self.at_delimiter = false;
        let end = loop {
            if let Some(at) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            self.limit()?;
            self.fill().await?;
        };
        let head = self.take(end);
        self.buffer.advance(4);
        let head =
            std::str::from_utf8(&head).map_err(|_| malformed("a part has a head that is not UTF-8"))?;
        let disposition = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim()
                .eq_ignore_ascii_case("content-disposition")
                .then_some(value)
        });
        let disposition = disposition.ok_or_else(|| malformed("a part has no Content-Disposition"))?;
        let name = parameter(disposition, "name").ok_or_else(|| malformed("a part has no name"))?;
        Ok(Some(Part {
            name: name.to_ascii_lowercase(),
            filename: parameter(disposition, "filename"),
        }))
    }

    fn limit(&self) -> S3Result<()> {
        if self.read + self.buffer.len() > MAX_FIELDS_BYTES {
            Err(fail(
                S3ErrorCode::MaxPostPreDataLengthExceededError,
                "Your POST request fields preceding the upload file were too large.",
            ))
        } else {
            Ok(())
        }
    }

    fn take(&mut self, length: usize) -> Bytes {
        self.read += length;
        self.buffer.split_to(length).freeze()
    }

    /// The rest of the current part, which must be short and text.
    pub(crate) async fn text(&mut self) -> S3Result<String> {
        let mut text = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            self.read += bytes.len();
            text.extend_from_slice(&bytes);
            self.limit()?;
        }
        String::from_utf8(text).map_err(|_| malformed("a field is not UTF-8"))
    }

    /// The next bytes of the current part; `None` behind the last.
    pub(crate) async fn chunk(&mut self) -> S3Result<Option<Bytes>> {
        let length = self.delimiter.needle().len();
        loop {
            if self.at_delimiter || self.ended {
                return Ok(None);
            }
            if let Some(at) = self.delimiter.find(&self.buffer) {
                if at > 0 {
                    return Ok(Some(self.buffer.split_to(at).freeze()));
                }
                // Behind the delimiter comes a line break, or two dashes at the very end; blanks may precede them.
                while self.buffer.len() < length + 2 {
                    self.fill().await?;
                }
                self.buffer.advance(length);
                match &self.buffer[..2] {
                    b"--" => self.ended = true,
                    b"\r\n" => self.at_delimiter = true,
                    _ => {
                        return Err(malformed(
                            "a boundary is followed by something else than a line break",
                        ));
                    }
                }
                // The line break stays: heads end at an empty line, which comes at once where there is none.
                continue;
            }
            // What could be the beginning of a delimiter stays.
            let safe = self.buffer.len().saturating_sub(length - 1);
            if safe > 0 {
                return Ok(Some(self.buffer.split_to(safe).freeze()));
            }
            self.fill().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use proptest::prelude::*;

    async fn parse(text: &[u8], step: usize) -> S3Result<Vec<(String, Option<String>, Vec<u8>)>> {
        let pieces: Vec<_> = text
            .chunks(step)
            .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
            .collect();
        let mut form = Form::new(Body::from_stream(stream::iter(pieces)), "b");
        let mut parts = Vec::new();
        while let Some(part) = form.next_part().await? {
            let mut content = Vec::new();
            while let Some(bytes) = form.chunk().await? {
                content.extend_from_slice(&bytes);
            }
            parts.push((part.name, part.filename, content));
        }
        Ok(parts)
    }

    #[tokio::test]
    async fn parts_are_read_in_any_pieces() {
        let text = b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"Key\"\r\n\r\na\r\n--b\r\n\
            content-disposition: form-data; filename=\"x;y.png\"; name=file\r\nContent-Type: image/png\r\n\r\n\
            \r\n--\r\n--bb is not it\r\n\r\n--b--\r\nepilogue";
        // "--bb" begins with the boundary but is followed by something else: that is malformed, not data.
        assert!(parse(text, 100).await.is_err());
        let text = String::from_utf8(text.to_vec())
            .unwrap()
            .replace("--bb is", "--c is");
        for step in 1..40 {
            let parts = parse(text.as_bytes(), step).await.unwrap();
            assert_eq!(parts.len(), 2);
            assert_eq!(parts[0], ("key".into(), None, b"a".to_vec()));
            assert_eq!(parts[1].1.as_deref(), Some("x;y.png"));
            assert_eq!(parts[1].2, b"\r\n--\r\n--c is not it\r\n");
        }
    }

    #[tokio::test]
    async fn cut_off_forms_are_incomplete() {
        let text = b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc\r\n--b--";
        assert!(parse(text, 7).await.is_ok());
        for length in 0..text.len() {
            assert!(parse(&text[..length], 7).await.is_err(), "{length}");
        }
    }

    #[tokio::test]
    async fn endless_heads_and_fields_are_refused() {
        let head = [b"--b\r\n", &vec![b'x'; MAX_FIELDS_BYTES + 1][..]].concat();
        let error = parse(&head, 1000).await.unwrap_err();
        assert_eq!(*error.code(), S3ErrorCode::MaxPostPreDataLengthExceededError);
    }

    #[test]
    fn parameters_are_read_as_clients_write_them() {
        let header = r#"form-data; name="a \"b\""; filename=plain.png ; other="x;y=z""#;
        assert_eq!(parameter(header, "name").as_deref(), Some("a \"b\""));
        assert_eq!(parameter(header, "filename").as_deref(), Some("plain.png"));
        assert_eq!(parameter(header, "Other").as_deref(), Some("x;y=z"));
        assert_eq!(parameter(header, "missing"), None);
        assert_eq!(
            parameter(r#"form-data; filename="C:\photo.png""#, "filename").as_deref(),
            Some(r"C:\photo.png")
        );
        assert_eq!(parameter("form-data; name=\"open", "name"), None);
    }

    proptest! {
        #[test]
        fn any_content_comes_out_as_it_went_in(content in prop::collection::vec(any::<u8>(), 0..200), step in 1..60_usize) {
            prop_assume!(memmem::find(&content, b"\r\n--b").is_none() && !content.starts_with(b"--b"));
            let mut text = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\r\n".to_vec();
            text.extend_from_slice(&content);
            text.extend_from_slice(b"\r\n--b--\r\n");
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let parts = runtime.block_on(parse(&text, step)).unwrap();
            prop_assert_eq!(&parts[0].2, &content);
        }
    }
}
