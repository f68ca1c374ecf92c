//! `/admin`: plain pages for people. No scripts, nothing from elsewhere; all text is escaped.

mod page;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State as Extract};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Deserialize;
use tintype_model::{RecordFilter, Status, StoreError};

use crate::api::{Delivery, Params, StatusName, live_record, object_key};
use crate::error::{Error, Result};
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
async fn login_by_link(Extract(state): Shared, Params(Token { token }): Params<Token>) -> Response {
    match token {
        Some(token) => login(&state, &token),
        None => login_page(StatusCode::OK, None),
    }
}

async fn login_by_form(
    Extract(state): Shared,
    form: Result<Form<Token>, axum::extract::rejection::FormRejection>,
) -> Response {
    match form {
        Ok(Form(Token { token: Some(token) })) => login(&state, token.trim()),
        Ok(Form(Token { token: None })) => {
            Error::BadRequest("the form has no token".to_owned()).into_response()
        }
        Err(error) => Error::BadRequest(error.body_text()).into_response(),
    }
}

fn login(state: &State, token: &str) -> Response {
    if state.auth.is_token(token) {
        redirect("/admin", &state.auth.open_session())
    } else {
        login_page(StatusCode::UNAUTHORIZED, Some("That is not the admin token."))
    }
}

async fn logout(Extract(state): Shared) -> Response {
    redirect(LOGIN_PATH, &state.auth.close_session())
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
    let status = StatusName::ALL
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
    let metadata = &state.edge.metadata;
    let page = metadata
        .list(&filter, params.after.as_deref(), PAGE_LENGTH)
        .await?;
    let counts = metadata.counts().await?;
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
    let Some(record) = live_record(&state, &key).await? else {
        return match state.edge.sources.head(key.as_str()).await {
            Ok(_) => Ok(page::unprocessed(&key)),
            Err(StoreError::NotFound) => {
                Err(Error::NotFound("there is no source and no record with this key"))
            }
            Err(error) => Err(error.into()),
        };
    };
    let picture = match &record.status {
        Status::Ready { renditions, .. } => {
            let base = state.base_url(&uri, &headers)?;
            Some(Delivery::new(&base, &key, None, renditions, &state.edge.recipe).into_picture())
        }
        Status::Pending | Status::Rejected { .. } | Status::Failed { .. } | Status::Deleted => None,
    };
    Ok(page::image(&record, picture.as_deref()))
}

/// Browsers show the page that comes with a 401 when they do not know the scheme.
fn challenge(response: &mut Response) {
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer realm=\"tintype\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
}
