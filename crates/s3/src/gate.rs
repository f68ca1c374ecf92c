//! Refusals before any signature is computed, for other mechanisms than Signature Version 4, missing signatures,
//! signatures that leave headers open, and validity beyond what S3 allows. `s3s` accepts Signature Version 2, any
//! validity, any algorithm name in the `Authorization` header and unsigned `x-amz-*` headers.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request};
use jiff::{Timestamp, civil};
use percent_encoding::percent_decode_str;
use s3s::{S3Error, S3ErrorCode};
use tintype_http::{ALGORITHM, Credential, amz_date};

use super::error::fail;
use super::sigv4::MAX_EXPIRES;

/// Tells whether a request is a form, whose policy is signed instead of the request.
///
/// Every request that `s3s` could take for a form is one here, so that its own handling of forms is never reached.
pub(crate) fn is_form(request: &request::Parts) -> bool {
    request.method == Method::POST
        && request.headers.get_all(header::CONTENT_TYPE).iter().any(|value| {
            let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            value.contains("multipart/form-data")
        })
}

/// Checks the form of a signature, not yet the signature itself.
pub(crate) fn check(request: &request::Parts) -> Result<(), S3Error> {
    let query = request.uri.query().unwrap_or_default();
    let parameter = |wanted: &str| {
        query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name)? == wanted).then(|| decode(value)).flatten()
        })
    };
    if parameter("Signature").is_some() || parameter("AWSAccessKeyId").is_some() {
        return Err(version_2());
    }
    let presigned = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
    ]
    .iter()
    .any(|name| parameter(name).is_some());
    match (request.headers.get(header::AUTHORIZATION), presigned) {
        (None, false) => Err(fail(
            S3ErrorCode::AccessDenied,
            "Access Denied: requests must be signed.",
        )),
        (Some(_), true) => Err(fail(
            S3ErrorCode::InvalidArgument,
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header \
             should be specified.",
        )),
        (Some(value), false) => {
            let malformed = || {
                fail(
                    S3ErrorCode::AuthorizationHeaderMalformed,
                    "The authorization header is malformed.",
                )
            };
            let value = value.to_str().map_err(|_| malformed())?;
            let (algorithm, rest) = value.split_once(' ').ok_or_else(malformed)?;
            if algorithm != ALGORITHM {
                return Err(version_2());
            }
            let field = |name: &str| {
                rest.split(',')
                    .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
            };
            check_scope(
                field("Credential").ok_or_else(malformed)?,
                S3ErrorCode::AuthorizationHeaderMalformed,
            )?;
            check_signed_headers(field("SignedHeaders").ok_or_else(malformed)?, &request.headers)
        }
        (None, true) => {
            let missing = || {
                fail(
                    S3ErrorCode::AuthorizationQueryParametersError,
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                     X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
                )
            };
            check_scope(
                &parameter("X-Amz-Credential").ok_or_else(missing)?,
                S3ErrorCode::AuthorizationQueryParametersError,
            )?;
            let expires = parameter("X-Amz-Expires").ok_or_else(missing)?;
            let seconds: u64 = expires.parse().map_err(|_| {
                fail(
                    S3ErrorCode::AuthorizationQueryParametersError,
                    "X-Amz-Expires should be a number.",
                )
            })?;
            if seconds == 0 || seconds > MAX_EXPIRES.as_secs() {
                return Err(fail(
                    S3ErrorCode::AuthorizationQueryParametersError,
                    "X-Amz-Expires must be at least 1 second and less than a week (604800 seconds).",
                ));
            }
            check_signed_headers(
                &parameter("X-Amz-SignedHeaders").ok_or_else(missing)?,
                &request.headers,
            )
        }
    }
}

/// Rewrites headers for `s3s` in a way that their signature allows: repeated metadata becomes one value with commas
/// (RFC 9110 section 5.3), and a `Date` replaces a missing `x-amz-date`.
pub(crate) fn complete(headers: &mut HeaderMap) {
    let repeated: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-amz-meta-") && headers.get_all(*name).iter().count() > 1)
        .cloned()
        .collect();
    for name in repeated {
        let values: Vec<&[u8]> = headers
            .get_all(&name)
            .iter()
            .map(|value| value.as_bytes().trim_ascii())
            .collect();
        if let Ok(joined) = HeaderValue::from_bytes(&values.join(&b","[..])) {
            headers.insert(name, joined);
        }
    }
    if headers.contains_key(header::AUTHORIZATION) && !headers.contains_key("x-amz-date") {
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        if let Some(Ok(date)) = date.and_then(amz_date_of).map(HeaderValue::try_from) {
            headers.insert("x-amz-date", date);
        }
    }
}

/// A `Date` in the form that is signed; clients send it in that form or in HTTP's.
fn amz_date_of(date: &str) -> Option<String> {
    let is_short = civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).is_ok();
    if is_short {
        return Some(date.to_owned());
    }
    let http = tintype_http::parse_date(date).and_then(|date| Timestamp::try_from(date).ok());
    // The examples of S3's older signatures have an offset in place of `GMT`.
    let mail = || jiff::fmt::rfc2822::parse(date).ok().map(|date| date.timestamp());
    http.or_else(mail).map(amz_date)
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

fn version_2() -> S3Error {
    let message =
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
    fail(S3ErrorCode::InvalidRequest, message)
}

/// Checks the form of the credential. `s3s` checks the key and the date; any region is taken.
fn check_scope(credential: &str, code: S3ErrorCode) -> Result<(), S3Error> {
    let message = "The credential must have the form KEY/DATE/REGION/s3/aws4_request. REGION may be any name of letters, \
                   digits and hyphens.";
    Credential::parse(credential)
        .map(|_| ())
        .ok_or_else(|| fail(code, message))
}

/// Checks that the host and every `x-amz-*` header are signed, so that nothing can be added on the way. The digest of
/// the body is checked by itself, and clients send it unsigned with presigned URLs.
fn check_signed_headers(signed: &str, headers: &HeaderMap) -> Result<(), S3Error> {
    let is_signed = |name: &str| signed.split(';').any(|signed| signed == name);
    if !is_signed("host") {
        return Err(fail(S3ErrorCode::AccessDenied, "The host header must be signed."));
    }
    let unsigned = headers
        .keys()
        .map(HeaderName::as_str)
        .find(|name| name.starts_with("x-amz-") && *name != "x-amz-content-sha256" && !is_signed(name));
    match unsigned {
        Some(name) => Err(fail(
            S3ErrorCode::AccessDenied,
            format!("There were headers present in the request which were not signed: {name}."),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=K/20261123/us-east-1/s3/aws4_request, \
                          SignedHeaders=host;x-amz-date, Signature=00";

    fn code(uri: &str, headers: &[(&'static str, &str)]) -> String {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match check(&request.body(()).unwrap().into_parts().0) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.code().as_str().to_owned(),
        }
    }

    fn query(expires: &str, signed: &str) -> String {
        format!(
            "/raw/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K%2F20261123%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20261123T000000Z&X-Amz-Expires={expires}&X-Amz-SignedHeaders={signed}&X-Amz-Signature=00"
        )
    }

    #[test]
    fn only_version_4_passes() {
        assert_eq!(
            code("/raw/k", &[("authorization", SIGNED), ("x-amz-date", "x")]),
            "ok"
        );
        assert_eq!(code("/raw/k", &[]), "AccessDenied");
        assert_eq!(
            code("/raw/k", &[("authorization", "AWS K:signature")]),
            "InvalidRequest"
        );
        assert_eq!(
            code("/raw/k?AWSAccessKeyId=K&Signature=x&Expires=1", &[]),
            "InvalidRequest"
        );
        assert_eq!(
            code("/raw/k?%53ignature=x", &[("authorization", SIGNED)]),
            "InvalidRequest"
        );
        let ecdsa = SIGNED.replace("HMAC", "ECDSA-P256");
        assert_eq!(code("/raw/k", &[("authorization", &ecdsa)]), "InvalidRequest");
        let sts = SIGNED.replace("/s3/", "/sts/");
        assert_eq!(
            code("/raw/k", &[("authorization", &sts)]),
            "AuthorizationHeaderMalformed"
        );
    }

    #[test]
    fn any_region_passes_that_can_be_one() {
        let signed = |region| {
            let value = SIGNED.replace("us-east-1", region);
            code("/raw/k", &[("authorization", &value), ("x-amz-date", "x")])
        };
        let presigned = |region| code(&query("60", "host").replace("us-east-1", region), &[]);
        for region in ["eu-central-1", "local", "auto"] {
            assert_eq!(signed(region), "ok");
            assert_eq!(presigned(region), "ok");
        }
        for region in ["", "a.b", "a%20b"] {
            assert_eq!(signed(region), "AuthorizationHeaderMalformed", "{region:?}");
            assert_eq!(
                presigned(region),
                "AuthorizationQueryParametersError",
                "{region:?}"
            );
        }
    }

    #[test]
    fn validity_is_capped() {
        assert_eq!(code(&query("604800", "host"), &[]), "ok");
        for expires in ["604801", "0", "-1", "x", "99999999999999999999"] {
            assert_eq!(
                code(&query(expires, "host"), &[]),
                "AuthorizationQueryParametersError",
                "{expires}"
            );
        }
        assert_eq!(
            code("/raw/k?X-Amz-Algorithm=AWS4-HMAC-SHA256", &[]),
            "AuthorizationQueryParametersError"
        );
        assert_eq!(
            code(&query("60", "host"), &[("authorization", SIGNED)]),
            "InvalidArgument"
        );
    }

    #[test]
    fn amz_headers_must_be_signed() {
        assert_eq!(
            code("/raw/k", &[("authorization", SIGNED), ("x-amz-meta-a", "b")]),
            "AccessDenied"
        );
        assert_eq!(
            code(&query("60", "host"), &[("x-amz-meta-a", "b")]),
            "AccessDenied"
        );
        assert_eq!(
            code(&query("60", "host%3Bx-amz-meta-a"), &[("x-amz-meta-a", "b")]),
            "ok"
        );
        assert_eq!(
            code(
                &query("60", "host"),
                &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]
            ),
            "ok"
        );
        assert_eq!(code(&query("60", "content-type"), &[]), "AccessDenied");
    }

    #[test]
    fn headers_are_completed_as_they_are_signed() {
        let completed = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_static(value));
            }
            complete(&mut headers);
            headers
        };
        let headers = completed(&[
            ("x-amz-meta-a", "1 "),
            ("x-amz-meta-b", "x"),
            ("x-amz-meta-a", "2, 3"),
        ]);
        assert_eq!(
            (&headers["x-amz-meta-a"], headers.len()),
            (&HeaderValue::from_static("1,2, 3"), 2)
        );
        for date in [
            "Tue, 24 Nov 2026 05:25:00 GMT",
            "Tuesday, 24-Nov-26 05:25:00 GMT",
            "Tue, 24 Nov 2026 06:25:00 +0100",
            "20261124T052500Z",
        ] {
            let headers = completed(&[("authorization", SIGNED), ("date", date)]);
            assert_eq!(headers["x-amz-date"], "20261124T052500Z", "{date}");
        }
        let headers = completed(&[("authorization", SIGNED), ("date", "yesterday")]);
        assert!(!headers.contains_key("x-amz-date"));
        let both = completed(&[
            ("authorization", SIGNED),
            ("date", "Tue, 24 Nov 2026 05:25:00 GMT"),
            ("x-amz-date", "20261125T000000Z"),
        ]);
        assert_eq!(both["x-amz-date"], "20261125T000000Z");
    }

    #[test]
    fn every_spelling_of_a_form_is_seen() {
        for value in [
            "multipart/form-data; boundary=x",
            "Multipart/Form-Data;boundary=x",
            " multipart/form-data",
        ] {
            let request = http::Request::post("/raw")
                .header("content-type", value)
                .body(())
                .unwrap();
            assert!(is_form(&request.into_parts().0), "{value}");
        }
        let request = http::Request::put("/raw/k")
            .header("content-type", "multipart/form-data")
            .body(())
            .unwrap();
        assert!(!is_form(&request.into_parts().0));
    }
}
