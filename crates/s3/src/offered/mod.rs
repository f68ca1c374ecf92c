//! The operations that are offered, and the names that a request for each of them may carry.
//!
//! `s3s` takes a request that it does not know for the plainest operation of its method, and the plainest ones write
//! and delete objects. This table decides first: a request that carries a name that is not listed reaches no operation.
//! Names of query parameters are compared as S3 does, with their letter case.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>

mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use http::{HeaderMap, Method, StatusCode, Uri, header};
use percent_encoding::percent_decode_str;
use s3s::{S3Error, S3ErrorCode, S3Result};

use self::table::{ANYWHERE, FORM, OFFERED, PUT_OBJECT};
use super::error::{custom, fail, not_implemented};

/// The resource that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Service,
    Bucket,
    Object,
}

/// An operation, and what its requests may carry.
#[derive(Debug)]
pub(crate) struct Operation {
    /// S3's name for it, which SDKs repeat as `x-id`.
    name: &'static str,
    method: &'static str,
    target: Target,
    /// The query names that choose it: all of them are there.
    chosen_by: &'static [&'static str],
    /// Other query names that it may carry.
    query: &'static [&'static str],
    /// The `x-amz-*` headers that it may carry besides [those of every request](table::ANYWHERE), by group. A name that
    /// ends in `-` stands for all longer ones that begin with it.
    headers: &'static [&'static [&'static str]],
    /// `true` when the header `x-amz-copy-source` is required.
    copies: bool,
    /// The conditions that it heeds, where it writes. Those of reads are heeded or can be ignored safely.
    conditions: &'static [&'static str],
}

/// Query names of multipart uploads; some of them without the others are half of a request.
const MULTIPART: &[&str] = &["partNumber", "uploadId", "uploads"];

/// Conditions on the state of an object (RFC 9110 section 13.1).
const CONDITIONS: &[&str] = &[
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
];

/// Headers whose value is a list, which may be spread over several of the same name.
const LISTS: &[&str] = &[
    "x-amz-object-attributes",
    "x-amz-optional-object-attributes",
    "x-amz-trailer",
];

/// Finds the operation that a request is for. Signatures are no longer in its query, and headers that a client moved
/// there are among its headers.
///
/// # Errors
/// 501 when the request carries a name that no offered operation of its method and target knows, 400 when it is half of
/// a request for a part of an upload.
pub(crate) fn choose(method: &Method, uri: &Uri, headers: &HeaderMap) -> S3Result<&'static Operation> {
    let target = target(uri)?;
    let parameters = parameters(uri.query().unwrap_or_default())?;
    let lists = *method == Method::GET && target == Target::Bucket;
    let names: Vec<&str> = parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        // The first is compared with what is found; the second says what listings are without it.
        .filter(|pair| pair.0 != "x-id" && !(lists && *pair == ("list-type", "1")))
        .map(|(name, _)| name)
        .collect();
    let copies = headers.contains_key("x-amz-copy-source");
    let is_put = *method == Method::PUT && target == Target::Object;
    let found = OFFERED
        .iter()
        .filter(|operation| operation.method == method.as_str() && operation.target == target)
        .filter(|operation| !is_put || operation.copies == copies)
        .find(|operation| operation.takes(&names));
    let operation = found.ok_or_else(|| unknown(method, target, &names))?;
    for (name, value) in &parameters {
        match name.as_str() {
            "x-id" if value != operation.name => return Err(not_implemented(&format!("x-id={value}"))),
            "list-type" if !matches!(value.as_str(), "1" | "2") => {
                let message =
                    format!("Invalid List Type specified in Request: {value:?}. It must be 1 or 2.");
                return Err(fail(S3ErrorCode::InvalidArgument, message));
            }
            _ => {}
        }
    }
    operation.check_headers(headers)?;
    Ok(operation)
}

/// Checks the request that carries a form.
///
/// # Errors
/// 501 when it has a query, or a header that says something about the object.
pub(crate) fn check_form(uri: &Uri, headers: &HeaderMap) -> S3Result<()> {
    if uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(not_implemented("a form with a query"));
    }
    FORM.check_headers(headers)
}

/// Checks the fields of a form, as the headers of an upload.
pub(crate) fn check_fields(headers: &HeaderMap) -> S3Result<()> {
    PUT_OBJECT.check_headers(headers)
}

impl Operation {
    /// Tells whether the function of `s3s` with this name is this operation.
    pub(crate) fn is(&self, function: &str) -> bool {
        let letters = function.bytes().filter(|byte| *byte != b'_');
        self.name
            .bytes()
            .map(|byte| byte.to_ascii_lowercase())
            .eq(letters)
    }

    /// Tells whether its answers have the form that only S3 gives to the attributes of an object.
    pub(crate) fn answers_attributes(&self) -> bool {
        self.name == "GetObjectAttributes"
    }

    /// Tells whether the body of its requests is read and checked as a whole before it is obeyed.
    pub(crate) fn takes_document(&self) -> bool {
        !matches!(self.method, "GET" | "HEAD") && !matches!(self.name, "PutObject" | "UploadPart")
    }

    /// Tells whether checksums in headers are those of the document in the body.
    pub(crate) fn checksums_document(&self) -> bool {
        self.name != "CompleteMultipartUpload"
    }

    /// Tells whether these query names choose it, and it may carry all of them.
    fn takes(&self, names: &[&str]) -> bool {
        self.chosen_by.iter().all(|name| names.contains(name))
            && names
                .iter()
                .all(|name| self.chosen_by.contains(name) || self.query.contains(name))
    }

    fn check_headers(&self, headers: &HeaderMap) -> S3Result<()> {
        let is_write = !matches!(self.method, "GET" | "HEAD");
        for name in headers.keys().map(header::HeaderName::as_str) {
            if name.starts_with("x-amz-") {
                if !self.takes_header(name) {
                    return Err(not_implemented(&format!("the header {name} of {}", self.name)));
                }
                let may_repeat = name.starts_with("x-amz-meta-") || LISTS.contains(&name);
                if !may_repeat && headers.get_all(name).iter().count() > 1 {
                    let message = format!("There are several {name} headers.");
                    return Err(fail(S3ErrorCode::InvalidArgument, message));
                }
            }
            let is_unheeded = CONDITIONS.contains(&name) && !self.conditions.contains(&name);
            if is_write && (is_unheeded || name == "content-range") {
                return Err(not_implemented(&format!("the header {name} of {}", self.name)));
            }
        }
        Ok(())
    }

    fn takes_header(&self, name: &str) -> bool {
        let listed = |listed: &&str| {
            name == *listed && !listed.ends_with('-')
                || listed.ends_with('-') && name.len() > listed.len() && name.starts_with(listed)
        };
        ANYWHERE.contains(&name) || self.headers.iter().any(|group| group.iter().any(listed))
    }
}

/// The resource that a path names, as `s3s` reads paths.
fn target(uri: &Uri) -> S3Result<Target> {
    let path = percent_decode_str(uri.path())
        .decode_utf8()
        .map_err(|_| S3Error::new(S3ErrorCode::InvalidURI))?;
    let path = path
        .strip_prefix('/')
        .ok_or_else(|| S3Error::new(S3ErrorCode::InvalidURI))?;
    Ok(match path.split_once('/') {
        None if path.is_empty() => Target::Service,
        None | Some((_, "")) => Target::Bucket,
        Some(_) => Target::Object,
    })
}

/// The names and values of a query, decoded.
///
/// # Errors
/// 400 when a name is there twice: which of its values was meant is not known.
pub(crate) fn parameters(query: &str) -> S3Result<Vec<(String, String)>> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name);
        if !known.insert(name.clone()) {
            let message = format!("The query parameter {name:?} is there more than once.");
            return Err(fail(S3ErrorCode::InvalidArgument, message));
        }
        found.push((name, decode(value)));
    }
    Ok(found)
}

/// The refusal of a request that no operation takes.
fn unknown(method: &Method, target: Target, names: &[&str]) -> S3Error {
    let candidates = || {
        OFFERED
            .iter()
            .filter(|operation| operation.method == method.as_str() && operation.target == target)
    };
    if candidates().next().is_none() {
        let message = "The specified method is not allowed against this resource.";
        return custom(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
    }
    let is_known = |name: &&str| {
        candidates().any(|operation| operation.chosen_by.contains(name) || operation.query.contains(name))
    };
    let is_half = target == Target::Object
        && names.iter().any(|name| MULTIPART.contains(name))
        && names
            .iter()
            .all(|name| MULTIPART.contains(name) || is_known(name));
    if is_half {
        let message = format!(
            "The request is neither one for an object nor one for a multipart upload: its query has {}. An upload is \
             begun with POST ?uploads; its parts are sent with PUT ?partNumber=N&uploadId=ID; it is listed, completed \
             and aborted with ?uploadId=ID.",
            names.join(" and ")
        );
        return fail(S3ErrorCode::InvalidRequest, message);
    }
    let strange: Vec<&str> = names.iter().copied().filter(|name| !is_known(name)).collect();
    let named = if strange.is_empty() { names } else { &strange };
    not_implemented(&match named {
        [] => format!("{method} without a query parameter"),
        named => format!("{method} with {}", named.join(" and ")),
    })
}
