//! `/admin`: plain pages for people. No scripts, nothing from elsewhere; all text is escaped.

mod page;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{
    CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Deserialize;
use tintype_catalog::Shown;
use tintype_http::{Peer, Refused};
use tintype_model::{RecordFilter, Status};

use crate::api::ListedStatus;
use crate::error::{Error, NO_IMAGE, Result, Told};
use crate::extract::{FormBody, Params, object_key};
use crate::markup::{Urls, markup};
use crate::state::{Shared, State};

pub(crate) use page::login as login_page;

/// The only page that needs no session.
pub(crate) const LOGIN_PATH: &str = "/admin/login";

const PAGE_LENGTH: usize = 50;

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/admin", get(list))
        .route("/admin/", get(list))
        .route("/admin/image", get(show))
        .route(LOGIN_PATH, get(login_by_link).post(login_by_form))
        .route("/admin/logout", post(logout))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    #[serde(default)]
    token: Option<String>,
}

/// Opens a session for the link that the server prints when it starts; without a token shows the form.
async fn login_by_link(
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

async fn login_by_form(
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

async fn logout(Extract(state): Shared, headers: HeaderMap) -> Response {
    redirect(LOGIN_PATH, &state.auth.close_session(&headers))
}

/// The answer as a page, where it is a problem document: programs ask the API.
pub(crate) fn for_people(response: Response) -> Response {
    let Some(Told(detail)) = response.extensions().get::<Told>().cloned() else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    let (page, body): (_, Body) = page::problem(parts.status, &detail).into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    for name in [CONTENT_TYPE, CONTENT_SECURITY_POLICY] {
        if let Some(value) = page.headers.get(&name) {
            parts.headers.insert(name, value.clone());
        }
    }
    Response::from_parts(parts, body)
}

fn redirect(to: &'static str, cookie: &HeaderValue) -> Response {
    let headers = [
        (LOCATION, HeaderValue::from_static(to)),
        (SET_COOKIE, cookie.clone()),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    #[serde(default)]
    prefix: String,
    /// Empty, as forms send it, means all.
    #[serde(default)]
    status: String,
    #[serde(default)]
    after: Option<String>,
}

async fn list(Extract(state): Shared, Params(params): Params<ListParams>) -> Result<Response> {
    let status = ListedStatus::ALL
        .into_iter()
        .find(|status| status.name() == params.status);
    if status.is_none() && !params.status.is_empty() {
        return Err(Error::BadRequest(format!(
            "there is no status {:?}",
            params.status
        )));
    }
    let filter = RecordFilter {
        prefix: params.prefix,
        status: status.map(|status| status.name().to_owned()),
        sha256: None,
    };
    let catalog = &state.edge.catalog;
    let page = catalog
        .list(&filter, params.after.as_deref(), PAGE_LENGTH)
        .await?;
    let counts = catalog.counts().await?;
    let health = state.edge.health.report().await;
    Ok(page::list(&page, &filter, counts, &health))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowParams {
    key: String,
}

async fn show(
    Extract(state): Shared,
    uri: Uri,
    headers: HeaderMap,
    Params(params): Params<ShowParams>,
) -> Result<Response> {
    let key = object_key(params.key)?;
    let record = match state.edge.catalog.show(&key).await? {
        Shown::Recorded(record) => record,
        Shown::Unrecorded(found) => return Ok(page::unrecorded(&key, &found)),
        Shown::Missing => return Err(Error::NotFound(NO_IMAGE)),
    };
    let picture = match &record.status {
        Status::Ready { renditions, .. } => {
            let base = state.base_url(&uri, &headers)?;
            let urls = Urls {
                base: &base,
                key: &key,
                version: None,
            };
            Some(markup(urls, renditions, &state.edge.recipe).picture)
        }
        Status::Pending | Status::Rejected { .. } | Status::Failed { .. } | Status::Deleted => None,
    };
    let damage = state.edge.health.source_damage(&key).await;
    Ok(page::image(&record, damage, picture.as_deref()))
}

/// Browsers show the page that comes with a 401 when they do not know the scheme.
fn challenge(response: &mut Response) {
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer realm=\"tintype\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
}
