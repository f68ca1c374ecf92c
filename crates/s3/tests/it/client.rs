//! A server in this process and a client that signs requests by itself, so that what goes over the wire is exactly
//! what a test says.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use crc_fast::CrcAlgorithm;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tintype_model::{encode_component, encode_path};
use tintype_s3::{S3Config, S3Endpoint};
use tintype_store::{Clock, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ACCESS_KEY: &str = "TESTKEY";
pub(crate) const SECRET_KEY: &str = "test/secret+key";
pub(crate) const ORIGIN: &str = "https://app.example";
/// The region that the server says it is in and that requests are signed for.
pub(crate) const REGION: &str = "local";

/// The endpoint on a port of its own, over an empty store.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) config: S3Config,
    folder: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_at(None).await
    }

    /// The uploads in parts that are under way.
    pub(crate) async fn uploads(&self) -> Answer {
        let call = self.call("GET", "/raw").query("uploads", "");
        call.send(b"").await.ok()
    }

    /// A server that is reached at this address from outside.
    pub(crate) async fn start_at(public_url: Option<&str>) -> Self {
        Self::start_as(public_url, Clock::system()).await
    }

    /// A server whose store has another clock.
    pub(crate) async fn start_on(clock: Clock) -> Self {
        Self::start_as(None, clock).await
    }

    async fn start_as(public_url: Option<&str>, clock: Clock) -> Self {
        let config = S3Config {
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            region: REGION.into(),
            allowed_origins: vec![ORIGIN.into()],
            public_url: public_url.map(str::to_owned),
        };
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_with_clock(&folder.path().join("data"), clock).unwrap();
        let endpoint = S3Endpoint::new(store, config.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let endpoint = endpoint.clone();
                let service =
                    hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                        let endpoint = endpoint.clone();
                        // Layers in between do not pass on how long a body is.
                        let request = request.map(|body| Body::from_stream(body.into_data_stream()));
                        async move { Ok::<_, Infallible>(endpoint.handle(request).await) }
                    });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .max_headers(512)
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            address,
            config,
            folder,
        }
    }

    /// The folder above the data folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A request for an object.
    pub(crate) fn object(&self, method: &'static str, key: &str) -> Call {
        self.call(method, &format!("/raw/{}", encode_path(key)))
    }

    /// A request for this raw path.
    pub(crate) fn call(&self, method: &'static str, path: &str) -> Call {
        Call {
            address: self.address,
            method,
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            unsigned_headers: Vec::new(),
            payload: Payload::Digest,
            has_http_date: false,
            at: Timestamp::now(),
            region: REGION,
            access_key: ACCESS_KEY,
            secret_key: SECRET_KEY,
        }
    }

    pub(crate) async fn put(&self, key: &str, body: &[u8]) -> Answer {
        self.object("PUT", key).send(body).await
    }

    pub(crate) async fn get(&self, key: &str) -> Answer {
        self.object("GET", key).send(b"").await
    }

    /// Tells whether there is an object of this key.
    pub(crate) async fn has(&self, key: &str) -> bool {
        let status = self.object("HEAD", key).send(b"").await.status;
        assert!(matches!(status, 200 | 404), "HEAD answered {status}");
        status == 200
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload {
    /// The SHA-256 of the body.
    Digest,
    /// This text, whatever the body is.
    Text(&'static str),
}

/// A request to be signed and sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    address: SocketAddr,
    method: &'static str,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    unsigned_headers: Vec<(String, String)>,
    pub(crate) payload: Payload,
    has_http_date: bool,
    pub(crate) at: Timestamp,
    pub(crate) region: &'static str,
    pub(crate) access_key: &'static str,
    pub(crate) secret_key: &'static str,
}

pub(crate) fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn amz_date(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The key that signs requests, chunks, trailers and policies of one day and region.
pub(crate) fn signing_key(secret_key: &str, date: &str, region: &str) -> Vec<u8> {
    let key = hmac(format!("AWS4{secret_key}").as_bytes(), date);
    hmac(&hmac(&hmac(&key, region), "s3"), "aws4_request")
}

/// A CRC in Base64, as checksum headers have it.
pub(crate) fn crc(algorithm: CrcAlgorithm, bytes: &[u8]) -> String {
    let digest = crc_fast::checksum(algorithm, bytes).to_be_bytes();
    let length = if matches!(algorithm, CrcAlgorithm::Crc64Nvme) {
        8
    } else {
        4
    };
    STANDARD.encode(&digest[8 - length..])
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

impl Call {
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn unsigned_header(mut self, name: &str, value: &str) -> Self {
        self.unsigned_headers.push((name.into(), value.into()));
        self
    }

    /// Tells the time in `Date`, as HTTP writes it, instead of `x-amz-date`.
    pub(crate) fn http_date(mut self) -> Self {
        self.has_http_date = true;
        self
    }

    pub(crate) fn payload(mut self, text: &'static str) -> Self {
        self.payload = Payload::Text(text);
        self
    }

    fn encoded_query(&self) -> String {
        let mut pairs: Vec<(String, String)> = self
            .query
            .iter()
            .map(|(name, value)| (encode_component(name), encode_component(value)))
            .collect();
        pairs.sort();
        pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("&")
    }

    pub(crate) fn scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", &amz_date(self.at)[..8], self.region)
    }

    /// The signature over these headers, and their names.
    fn sign(&self, headers: &[(String, String)], digest: &str) -> (String, String) {
        let mut joined: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, value) in headers {
            joined
                .entry(name.to_ascii_lowercase())
                .or_default()
                .push(value.trim());
        }
        let names = joined.keys().cloned().collect::<Vec<_>>().join(";");
        let lines: String = joined
            .iter()
            .map(|(name, values)| format!("{name}:{}\n", values.join(",")))
            .collect();
        let request = format!(
            "{}\n{}\n{}\n{lines}\n{names}\n{digest}",
            self.method,
            self.path,
            self.encoded_query()
        );
        let date = amz_date(self.at);
        let text = format!(
            "AWS4-HMAC-SHA256\n{date}\n{}\n{}",
            self.scope(),
            sha256(request.as_bytes())
        );
        let key = signing_key(self.secret_key, &date[..8], self.region);
        (hex::encode(hmac(&key, &text)), names)
    }

    pub(crate) async fn send(self, body: &[u8]) -> Answer {
        let body = body.to_vec();
        self.send_with(move |_| body).await
    }

    /// Sends a body that is made from the signature of the request, as signed chunks are.
    pub(crate) async fn send_with(self, body: impl FnOnce(&str) -> Vec<u8>) -> Answer {
        let date = amz_date(self.at);
        let mut headers = self.headers.clone();
        headers.push(("host".into(), self.address.to_string()));
        headers.push(if self.has_http_date {
            (
                "date".into(),
                self.at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            )
        } else {
            ("x-amz-date".into(), date)
        });
        let (digest, body) = match self.payload {
            Payload::Digest => {
                let body = body("");
                (sha256(&body), Err(body))
            }
            Payload::Text(text) => (text.to_owned(), Ok(body)),
        };
        headers.push(("x-amz-content-sha256".into(), digest.clone()));
        let (signature, names) = self.sign(&headers, &digest);
        let body = match body {
            Ok(make) => make(&signature),
            Err(body) => body,
        };
        let credential = format!("{}/{}", self.access_key, self.scope());
        headers.push((
            "authorization".into(),
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"),
        ));
        headers.extend(self.unsigned_headers.clone());
        let target = self.target(&self.encoded_query());
        exchange(self.address, self.method, &target, &headers, &body).await
    }

    fn target(&self, query: &str) -> String {
        if query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{query}", self.path)
        }
    }

    /// The path and query of a presigned URL for this request.
    pub(crate) fn presign(mut self, seconds: u64) -> String {
        let mut headers = self.headers.clone();
        headers.push(("host".into(), self.address.to_string()));
        let mut names: Vec<String> = headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        names.sort();
        let credential = format!("{}/{}", self.access_key, self.scope());
        self = self
            .clone()
            .query("X-Amz-Algorithm", "AWS4-HMAC-SHA256")
            .query("X-Amz-Credential", &credential)
            .query("X-Amz-Date", &amz_date(self.at))
            .query("X-Amz-Expires", &seconds.to_string())
            .query("X-Amz-SignedHeaders", &names.join(";"));
        let (signature, _) = self.sign(&headers, "UNSIGNED-PAYLOAD");
        self.target(&format!("{}&X-Amz-Signature={signature}", self.encoded_query()))
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The contents of every element of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let text = self.text();
        text.split(&open)
            .skip(1)
            .filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned()))
            .collect()
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.all("Code").pop().unwrap_or_default())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Fails unless the request succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            self.text()
        );
        self
    }
}

/// One request on a connection of its own.
pub(crate) async fn exchange(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Answer {
    let mut head = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n");
    let chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
    if !chunked && (!body.is_empty() || matches!(method, "PUT" | "POST")) {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    parse(&answer, method == "HEAD")
}

fn parse(answer: &[u8], is_head: bool) -> Answer {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("the answer has a head");
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: http::HeaderMap = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
        })
        .collect();
    let mut rest = &answer[end + 4..];
    let mut body = Vec::new();
    if headers
        .get("transfer-encoding")
        .is_some_and(|value| value == "chunked")
    {
        loop {
            let at = rest
                .windows(2)
                .position(|window| window == b"\r\n")
                .expect("a chunk has a size");
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
            body.extend_from_slice(&rest[at + 2..at + 2 + size]);
            rest = &rest[at + 2 + size + 2..];
            if size == 0 {
                break;
            }
        }
    } else {
        body.extend_from_slice(rest);
        if let Some(length) = headers.get("content-length").filter(|_| !is_head) {
            assert_eq!(
                length.to_str().unwrap(),
                body.len().to_string(),
                "the answer is complete"
            );
        }
    }
    Answer {
        status,
        headers,
        body,
    }
}
