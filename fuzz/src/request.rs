//! Requests written as HTTP/1.1 writes them, with line feeds alone: `GET /path?query`, headers, an empty line, the body.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};

/// Reads a request; `None` when hyper would never hand it on.
pub(crate) fn read(data: &[u8]) -> Option<Request<Bytes>> {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &data[data.len()..]),
    };
    let mut lines = head.split(|&byte| byte == b'\n');
    let line = lines.next()?;
    let space = line.iter().position(|&byte| byte == b' ')?;
    let mut request = Request::new(Bytes::copy_from_slice(body));
    *request.method_mut() = Method::from_bytes(&line[..space]).ok()?;
    *request.uri_mut() = Uri::try_from(&line[space + 1..]).ok()?;
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}
