//! `/admin`: plain pages for people. No scripts, nothing from elsewhere; all text is escaped.

mod browse;
mod challenge;
mod login;
mod page;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use self::challenge::{LOGIN_PATH, challenge};
use crate::error::ProblemDetail;
use crate::route::{Callers, Class, Needs, Route};
use crate::state::State;

pub(crate) use page::login as login_page;

/// The needs of the pages.
pub(crate) const NEEDS: Needs = Needs::new(Class::Admin, Callers::Admins);

/// The needs of the page that opens sessions: a browser that asks for it has no session yet.
const LOGIN: Needs = Needs::new(Class::Admin, Callers::Visitors).with_body(LOGIN_BYTES);

/// The largest form that opens a session, in bytes.
const LOGIN_BYTES: usize = 16 << 10;

/// Every page with its methods and needs.
pub(crate) fn routes() -> [Route<Arc<State>>; 5] {
    let route = |path, handlers| Route {
        path,
        needs: NEEDS,
        handlers,
    };
    [
        route("/admin", get(browse::list)),
        route("/admin/", get(browse::list)),
        route("/admin/image", get(browse::show)),
        Route {
            path: LOGIN_PATH,
            needs: LOGIN,
            handlers: get(login::login_by_link).post(login::login_by_form),
        },
        route("/admin/logout", post(login::logout)),
    ]
}

/// The answer as a page in place of a problem document, which is for programs.
pub(crate) fn for_people(response: Response) -> Response {
    let Some(ProblemDetail(detail)) = response.extensions().get::<ProblemDetail>().cloned() else {
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
