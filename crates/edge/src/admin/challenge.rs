use axum::response::Response;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};

/// The only page that needs no session.
pub(crate) const LOGIN_PATH: &str = "/admin/login";

/// Browsers show the page that comes with a 401 when they do not know the scheme.
pub(super) fn challenge(response: &mut Response) {
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer realm=\"tintype\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
}
