//! `POST /api/v1/uploads`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};
use tintype_model::{Focus, FocusError, ObjectKey, Rejection, RejectionCode};
use utoipa::ToSchema;

use crate::error::{Error, PROBLEM, Problem, Result};
use crate::extract::{JsonBody, object_key};
use crate::port::{MAX_UPLOAD_EXPIRY, PresignedUpload, UploadMethod, UploadTerms};
use crate::state::Shared;

/// The placeholder in the key of a form that S3 replaces with the name of the file.
const FILENAME: &str = "${filename}";

/// An upload to be signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadRequest {
    /// The key to upload to.
    #[schema(min_length = 1, max_length = 1024, example = "some/photo.jpg")]
    key: String,
    /// The method by which the upload will be sent. Default: `POST`, which binds its size
    #[serde(default)]
    method: UploadMethod,
    /// The media type that the upload will be sent with, and no other.
    #[serde(default)]
    #[schema(example = "image/jpeg")]
    content_type: Option<String>,
    /// The place of the subject of the picture, as fractions from the left and from the top of the upright picture:
    /// variants that crop it keep this point. For `POST` only; a `PUT` may send it as `x-amz-meta-focus` if it signs
    /// that itself.
    #[serde(default)]
    #[schema(example = "0.3,0.7")]
    focus: Option<String>,
    /// The seconds for which the upload may start, 1 to 900. Default: 900
    #[serde(default)]
    #[schema(minimum = 1, maximum = 900)]
    expires_in: Option<u64>,
}

/// A signed upload: send the picture with this method to this URL, with these headers or form fields.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Upload {
    /// The key that it uploads to.
    key: String,
    /// The method by which to send it.
    method: UploadMethod,
    /// The URL to send it to.
    url: String,
    /// Headers to send.
    headers: BTreeMap<String, String>,
    /// Form fields to send before the file, which is the last field and named `file`.
    fields: BTreeMap<String, String>,
    /// The seconds for which the upload may start.
    expires_in: u64,
    /// The largest picture that is rendered, in bytes. A form is refused above it; what is larger and sent by `PUT`
    /// is stored and then rejected.
    max_bytes: u64,
}

impl Upload {
    fn new(terms: &UploadTerms<'_>, upload: PresignedUpload) -> Self {
        Self {
            key: terms.key.as_str().to_owned(),
            method: terms.method,
            url: upload.url,
            headers: upload.headers,
            fields: upload.fields,
            expires_in: upload.expires_in.as_secs(),
            max_bytes: terms.max_bytes,
        }
    }
}

/// Signs an upload.
#[utoipa::path(
    post,
    path = "/api/v1/uploads",
    request_body = UploadRequest,
    responses(
        (status = 200, description = "The signed upload", body = Upload),
        (status = 400, description = "The request is wrong", body = Problem, content_type = PROBLEM),
        (status = 408, description = "The body came too slowly", body = Problem, content_type = PROBLEM),
        (status = 413, description = "The body is too large", body = Problem, content_type = PROBLEM),
        (status = 415, description = "The body is not JSON", body = Problem, content_type = PROBLEM),
        (status = 422, description = "Pictures could not be delivered under this key", body = Problem,
            content_type = PROBLEM),
    ),
)]
pub(super) async fn create_upload(
    Extract(state): Shared,
    uri: Uri,
    headers: HeaderMap,
    JsonBody(request): JsonBody<UploadRequest>,
) -> Result<Json<Upload>> {
    let key = object_key(request.key)?;
    key.check_servable(&state.edge.recipe).map_err(|reason| {
        Error::Rejected(Rejection::new(RejectionCode::UnservableKey, reason.to_string()))
    })?;
    check_method(request.method, &key)?;
    let content_type = request.content_type.as_deref();
    check_content_type(content_type)?;
    let base_url = state.base_url(&uri, &headers)?;
    let terms = UploadTerms {
        base_url: &base_url,
        key: &key,
        method: request.method,
        content_type,
        focus: focus(request.focus.as_deref(), request.method)?,
        max_bytes: state.edge.max_upload_bytes,
        expires: expiry(request.expires_in)?,
    };
    let upload = state.edge.uploads.presign(&terms).await?;
    Ok(Json(Upload::new(&terms, upload)))
}

fn expiry(asked_seconds: Option<u64>) -> Result<Duration> {
    let expires = asked_seconds.map_or(MAX_UPLOAD_EXPIRY, Duration::from_secs);
    if expires.is_zero() || expires > MAX_UPLOAD_EXPIRY {
        let max = MAX_UPLOAD_EXPIRY.as_secs();
        return Err(Error::BadRequest(format!(
            "expires_in is {}, it must be 1 to {max} seconds",
            expires.as_secs()
        )));
    }
    Ok(expires)
}

fn focus(asked: Option<&str>, method: UploadMethod) -> Result<Option<Focus>> {
    let read = |text: &str| match method {
        UploadMethod::Post => text
            .parse()
            .map_err(|error: FocusError| Error::BadRequest(error.to_string())),
        UploadMethod::Put => Err(Error::BadRequest("focus goes with method POST".to_owned())),
    };
    asked.map(read).transpose()
}

fn check_method(method: UploadMethod, key: &ObjectKey) -> Result<()> {
    match method {
        UploadMethod::Post if key.as_str().contains(FILENAME) => Err(Error::BadRequest(format!(
            "forms cannot upload to keys with {FILENAME} in them, ask for method PUT"
        ))),
        UploadMethod::Put | UploadMethod::Post => Ok(()),
    }
}

/// Signatures cover header values without spaces around them and with single ones inside, so that nothing else could
/// be sent as it was signed.
fn check_content_type(value: Option<&str>) -> Result<()> {
    let fits = |value: &str| {
        let plain = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        plain && !value.is_empty() && value.trim() == value && !value.contains("  ")
    };
    if value.is_none_or(fits) {
        Ok(())
    } else {
        Err(Error::BadRequest(
            "content_type cannot be sent as a header".to_owned(),
        ))
    }
}
