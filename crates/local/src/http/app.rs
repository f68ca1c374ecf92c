//! The choice between the edge and the S3 endpoint for each request.

use axum::body::Body;
use axum::response::Response;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderValue, Method, Request, StatusCode, Uri, request};
use http_body_util::{BodyExt as _, Limited};
use tintype_edge::names_its_host;
use tintype_http::{Peer, Refused};
use tower::ServiceExt as _;

use crate::disk::Disk;

/// Refusals of the S3 endpoint are short documents; this is read of one to log its reason, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 << 10;

/// The edge and the S3 endpoint, behind one address.
#[derive(Clone)]
pub(crate) struct App {
    /// Delivery, API and pages.
    pub(crate) edge: axum::Router,
    /// The S3 endpoint.
    pub(crate) s3: tintype_s3::S3Endpoint,
    /// The disk of the data folder.
    pub(crate) disk: Disk,
}

impl App {
    /// Answers one request.
    pub(super) async fn answer(self, request: Request<Body>) -> Response {
        let (mut parts, body) = request.into_parts();
        let is_named = names_its_host(parts.version, &parts.uri, &parts.headers);
        if is_named {
            to_origin_form(&mut parts);
        }
        // The edge refuses what does not name its host, whoever it was for.
        let is_s3 = is_named && tintype_s3::is_s3_request(&parts);
        let response = self.ask(is_s3, Request::from_parts(parts, body)).await;
        if response.status() == StatusCode::INSUFFICIENT_STORAGE {
            self.disk.check().await;
        }
        response
    }

    async fn ask(&self, is_s3: bool, request: Request<Body>) -> Response {
        if is_s3 {
            // A form is logged where its fields are read: the id of its key is one of them.
            let presented = key_id(&request).or_else(|| origin(&request));
            let peer = request.extensions().get::<Peer>().copied();
            let response = self.s3.handle(request).await;
            log_refusal(response, presented.as_deref(), peer).await
        } else {
            let Ok(response) = self.edge.clone().oneshot(request).await;
            response
        }
    }
}

/// Takes the authority of an absolute target for the request's `Host`, whatever that says (RFC 9112 section 3.2.2).
fn to_origin_form(parts: &mut request::Parts) {
    let (Some(authority), Some(_)) = (parts.uri.authority(), parts.uri.scheme()) else {
        return;
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let (Ok(host), Ok(target)) = (HeaderValue::from_str(authority.as_str()), target.parse::<Uri>()) else {
        return;
    };
    parts.headers.insert(HOST, host);
    parts.uri = target;
}

/// The id of the key that a request was signed with, which is no secret.
fn key_id(request: &Request<Body>) -> Option<String> {
    let in_header = request.headers().get(AUTHORIZATION).and_then(|value| {
        let value = value.to_str().ok()?;
        let from = value.split_once("Credential=")?.1;
        from.split([',', ' ', '/']).next()
    });
    let in_query = || {
        request.uri().query()?.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let from = match name {
                "X-Amz-Credential" | "AWSAccessKeyId" => value,
                _ => return None,
            };
            Some(from.split(['/', '%']).next().unwrap_or_default())
        })
    };
    in_header.or_else(in_query).map(str::to_owned)
}

/// The origin of a page that asks whether it may send a request.
fn origin(request: &Request<Body>) -> Option<String> {
    let origin = request.headers().get(ORIGIN)?.to_str().ok()?;
    (request.method() == Method::OPTIONS).then(|| origin.to_owned())
}

/// Logs the answer if it is a refusal of a signed request or an origin, with the code that the client is told.
async fn log_refusal(response: Response, presented: Option<&str>, peer: Option<Peer>) -> Response {
    let is_refusal = matches!(
        response.status(),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED
    );
    if !is_refusal || presented.is_none() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = match Limited::new(body, MAX_REFUSAL_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Response::from_parts(parts, Body::empty()),
    };
    let text = String::from_utf8_lossy(&body);
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| Some(rest.split_once("</Code>")?.0));
    Refused {
        part: "s3",
        reason: code.unwrap_or("refused"),
        presented,
        peer: peer.map(|Peer(address)| address),
    }
    .log();
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&'static str, &str)]) -> request::Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn an_absolute_target_decides_the_authority() {
        let mut request = parts("GET", "http://a.example:81/raw/k?x=1", &[("host", "b.example")]);
        to_origin_form(&mut request);
        assert_eq!(request.uri, "/raw/k?x=1");
        assert_eq!(request.headers["host"], "a.example:81");
        let mut request = parts("GET", "http://a.example", &[]);
        to_origin_form(&mut request);
        assert_eq!(request.uri, "/");
        for untouched in ["/raw/k", "*", "a.example:443"] {
            let mut request = parts("OPTIONS", untouched, &[("host", "b.example")]);
            to_origin_form(&mut request);
            assert_eq!(request.uri, untouched);
            assert_eq!(request.headers["host"], "b.example");
        }
    }

    #[test]
    fn key_ids_are_found_and_secrets_are_not() {
        let id = |uri: &str, authorization: Option<&str>| {
            let headers: Vec<_> = authorization
                .iter()
                .map(|value| ("authorization", *value))
                .collect();
            key_id(&Request::from_parts(parts("GET", uri, &headers), Body::empty()))
        };
        let signed = "AWS4-HMAC-SHA256 Credential=KEY/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, \
                      Signature=secret";
        assert_eq!(id("/raw", Some(signed)).as_deref(), Some("KEY"));
        assert_eq!(
            id("/raw?X-Amz-Credential=KEY%2F2026&X-Amz-Signature=secret", None).as_deref(),
            Some("KEY")
        );
        assert_eq!(
            id("/raw?AWSAccessKeyId=KEY&Signature=x", None).as_deref(),
            Some("KEY")
        );
        assert_eq!(id("/raw", Some("Bearer secret")), None);
        assert_eq!(id("/raw", None), None);
    }
}
