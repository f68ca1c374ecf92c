//! The settings of the endpoint, its fixed limits, and the addresses of its objects.

use std::fmt;

use http::{HeaderMap, header};
use tintype_model::{ObjectKey, encode_path};

/// The only bucket.
pub const BUCKET: &str = "raw";

/// The name of the owner of the bucket and its objects, which S3 requires.
pub(crate) const OWNER: &str = "tintype";

/// The largest object, or part of one, that one request may carry, in bytes: S3's own limit.
pub(crate) const MAX_PUT_BYTES: u64 = 5 << 30;

/// The largest document that a request may carry, in bytes: 1,000 keys of 1,024 bytes to delete, each escaped.
pub(crate) const MAX_XML_BYTES: usize = 8 << 20;

/// The settings of the endpoint: its keys, region, allowed origins and public address.
#[derive(Clone)]
pub struct S3Config {
    /// The access key that requests are signed with.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// The region that clients are told and that presigned URLs are signed for. Requests signed for any other region
    /// are taken as well: there is only one place.
    pub region: String,
    /// Origins (`https://example.com`) whose pages may send cross-origin requests.
    pub allowed_origins: Vec<String>,
    /// The address that clients reach the server at, such as `https://images.example.com`; else it is the `Host` that
    /// they ask for, over HTTP.
    pub public_url: Option<String>,
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("access_key", &self.access_key)
            .field("region", &self.region)
            .field("allowed_origins", &self.allowed_origins)
            .finish_non_exhaustive()
    }
}

/// The address of an object, for a client that sent these headers.
pub(crate) fn location(public_url: Option<&str>, headers: &HeaderMap, key: &ObjectKey) -> String {
    let path = format!("/{BUCKET}/{}", encode_path(key.as_str()));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match (public_url, host) {
        (Some(url), _) => format!("{}{path}", url.trim_end_matches('/')),
        (None, Some(host)) => format!("http://{host}{path}"),
        (None, None) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let config = S3Config {
            access_key: "key".into(),
            secret_key: "hush".into(),
            region: "us-east-1".into(),
            allowed_origins: Vec::new(),
            public_url: None,
        };
        assert!(!format!("{config:?}").contains("hush"));
    }
}
