//! Sessions are opened and closed here.

use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::header::{LOCATION, SET_COOKIE};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use tintype_http::{Peer, Refused};

use super::challenge::LOGIN_PATH;
use super::page::login as login_page;
use crate::error::{Error, Result};
use crate::extract::{FormBody, Params};
use crate::state::{Shared, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    #[serde(default)]
    token: Option<String>,
}

/// Opens a session for the link that the server prints when it starts; without a token shows the form.
pub(super) async fn login_by_link(
    Extract(state): Shared,
    headers: HeaderMap,
    extensions: Extensions,
    Params(Token { token }): Params<Token>,
) -> Response {
    match token {
        Some(token) => login(&state, &headers, &extensions, &token),
        None => login_page(StatusCode::OK, None),
    }
}

pub(super) async fn login_by_form(
    Extract(state): Shared,
    headers: HeaderMap,
    extensions: Extensions,
    FormBody(Token { token }): FormBody<Token>,
) -> Result<Response> {
    let token = token.ok_or_else(|| Error::BadRequest("the form has no token".to_owned()))?;
    Ok(login(&state, &headers, &extensions, token.trim()))
}

fn login(state: &State, headers: &HeaderMap, extensions: &Extensions, token: &str) -> Response {
    if state.auth.is_token(token) {
        return redirect("/admin", &state.auth.open_session(headers));
    }
    Refused {
        part: "admin",
        reason: "the login has another token",
        presented: None,
        peer: extensions.get().map(|Peer(address)| *address),
    }
    .log();
    login_page(StatusCode::UNAUTHORIZED, Some("That is not the admin token."))
}

pub(super) async fn logout(Extract(state): Shared, headers: HeaderMap) -> Response {
    redirect(LOGIN_PATH, &state.auth.close_session(&headers))
}

fn redirect(to: &'static str, cookie: &HeaderValue) -> Response {
    let headers = [
        (LOCATION, HeaderValue::from_static(to)),
        (SET_COOKIE, cookie.clone()),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}
