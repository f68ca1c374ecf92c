//! The routes of the whole site, and the layers that every request passes.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State as Extract};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tintype_model::CachePolicy;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::{self, Access, Asked};
use crate::cache::PictureCache;
use crate::error::{Error, NOTHING_HERE, Result, panicked};
use crate::port::HealthReport;
use crate::route::{Callers, Class, Needs, Route};
use crate::state::{Edge, Shared, State};
use crate::{admin, api, delivery, metrics};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The needs of paths that belong to no part of the site.
const NOBODYS: Needs = Needs::new(Class::Other, Callers::Visitors);
const HEALTH: Needs = Needs::new(Class::Health, Callers::Everybody);
const METRICS: Needs = Needs::new(Class::Metrics, Callers::Admins);

/// The router of everything that Tintype serves besides the S3 endpoint. Unknown paths are answered with a 404 problem
/// document.
pub fn router(edge: Edge) -> Router {
    let state = Arc::new(State::new(edge));
    let mut site = enclosed(Router::new().fallback(fallback), &state, None);
    for route in routes() {
        let router = Router::new()
            .route(route.path, route.handlers)
            .method_not_allowed_fallback(method_not_allowed);
        site = site.merge(enclosed(router, &state, Some(route.needs)));
    }
    site.with_state(state)
}

/// Puts the layers around a route with these needs, or around all paths without a route.
fn enclosed(router: Router<Arc<State>>, state: &Arc<State>, needs: Option<Needs>) -> Router<Arc<State>> {
    let entrance = Entrance {
        state: Arc::clone(state),
        needs,
    };
    router
        .layer(from_fn_with_state(Arc::clone(state), gate))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(entrance, observe))
}

/// Every route, with its needs.
fn routes() -> impl Iterator<Item = Route<Arc<State>>> {
    let own = [
        ("/", NOBODYS, get(async || Redirect::temporary("/admin"))),
        ("/healthz", HEALTH, get(healthz)),
        ("/readyz", HEALTH, get(readyz)),
        ("/metrics", METRICS, get(scrape)),
    ];
    own.into_iter()
        .map(|(path, needs, handlers)| Route {
            path,
            needs,
            handlers,
        })
        .chain(admin::routes())
        .chain(api::routes())
}

/// The needs of a path that no route has: those of the part of the site that it would be in.
fn needs_without_route(path: &str) -> Needs {
    let under = |root: &str| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if path.starts_with("/img/") || path.starts_with("/v/") {
        delivery::NEEDS
    } else if under("/api") {
        api::NEEDS
    } else if under("/admin") {
        admin::NEEDS
    } else if under("/metrics") {
        METRICS
    } else {
        NOBODYS
    }
}

/// The outermost layer of a route, or of all paths without one.
#[derive(Clone, Debug)]
struct Entrance {
    state: Arc<State>,
    needs: Option<Needs>,
}

/// Counts the request, and gives every answer the headers that no handler may forget. The needs of the request's path
/// are among its extensions from here on.
async fn observe(Extract(entrance): Extract<Entrance>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let Entrance { state, needs } = entrance;
    let needs = needs.unwrap_or_else(|| needs_without_route(request.uri().path()));
    request.extensions_mut().insert(needs);
    let mut response = next.run(request).await;
    if needs.class == Class::Admin && matches!(state.edge.access, Access::Token { .. }) {
        response = admin::for_people(response);
    }
    protect(needs.class, response.headers_mut());
    state
        .metrics
        .observe(needs.class, response.status(), started.elapsed());
    response
}

fn protect(class: Class, headers: &mut HeaderMap) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(CACHE_CONTROL, CachePolicy::NoStore.header_value());
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    match class {
        Class::Delivery => {
            set(CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
            set(RESOURCE_POLICY, "cross-origin");
            set(ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        }
        Class::Api | Class::Admin | Class::Health | Class::Metrics | Class::Other => {
            set(
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; frame-ancestors 'none'",
            );
            set(RESOURCE_POLICY, "same-origin");
            set(REFERRER_POLICY, referrer_policy(class));
        }
    }
}

/// With `no-referrer`, browsers say `Origin: null` even of a page's own form, and by plain HTTP under a name that is not
/// a loopback one they say nothing else (Fetch, "append a request `Origin` header"): nobody could sign in.
const fn referrer_policy(class: Class) -> &'static str {
    match class {
        Class::Admin => "same-origin",
        Class::Delivery | Class::Api | Class::Health | Class::Metrics | Class::Other => "no-referrer",
    }
}

/// Stops a request whose caller may not use its path. Handlers find the [`Principal`] among the extensions of the others.
///
/// [`Principal`]: crate::access::Principal
async fn gate(
    Extract(state): Shared,
    Extension(needs): Extension<Needs>,
    mut request: Request,
    next: Next,
) -> Response {
    let asked = Asked {
        needs,
        method: request.method(),
        version: request.version(),
        uri: request.uri(),
        headers: request.headers(),
        extensions: request.extensions(),
    };
    match access::admit(&state.edge.access, &state.auth, &asked) {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(error) => {
            access::log_refusal(&error, &asked);
            match error {
                Error::Unauthorized(_) if needs.class == Class::Admin => {
                    admin::login_page(StatusCode::UNAUTHORIZED, None)
                }
                error => error.into_response(),
            }
        }
    }
}

/// Delivery is not a route, because routes decode paths and a delivery path is split before it is decoded.
async fn fallback(Extract(state): Shared, Extension(needs): Extension<Needs>, request: Request) -> Response {
    match (needs.class, &state.pictures) {
        (Class::Delivery, Some(pictures)) => {
            delivery::respond(&state, pictures, &request.into_parts().0).await
        }
        (Class::Delivery, None)
        | (Class::Api | Class::Admin | Class::Health | Class::Metrics | Class::Other, _) => {
            Error::NotFound(NOTHING_HERE).into_response()
        }
    }
}

/// The answer to a method that the path does not take. The router adds `Allow`.
async fn method_not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        delivery::empty(StatusCode::NO_CONTENT)
    } else {
        Error::MethodNotAllowed(None).into_response()
    }
}

/// Answers as long as the process does.
async fn healthz(Extract(state): Shared) -> Json<HealthReport> {
    Json(state.edge.health.report().await)
}

/// Answers 503 when requests should go elsewhere.
async fn readyz(Extract(state): Shared) -> Result<Json<HealthReport>> {
    let report = state.edge.health.report().await;
    if report.ready {
        Ok(Json(report))
    } else {
        let problems = report.problems.join("; ");
        Err(Error::NotReady(if problems.is_empty() {
            "a part of it does not answer".to_owned()
        } else {
            problems
        }))
    }
}

async fn scrape(Extract(state): Shared) -> Response {
    let health = state.edge.health.report().await;
    let images = match state.edge.catalog.counts().await {
        Ok(images) => Some(images),
        Err(error) => {
            tracing::warn!(error = %error, "metrics leave out the images");
            None
        }
    };
    let cache = state.pictures.as_ref().map(PictureCache::stats);
    let text = state.metrics.encode(cache, &health, images);
    (
        [(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE))],
        text,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_a_class() {
        let classes = [
            ("/img/a/medium", Class::Delivery),
            ("/v/a/0/medium", Class::Delivery),
            ("/img/../admin", Class::Delivery),
            ("/img", Class::Other),
            ("/api", Class::Api),
            ("/api/v1/images", Class::Api),
            ("/api/v2", Class::Api),
            ("/apis", Class::Other),
            ("/admin", Class::Admin),
            ("/admin/image", Class::Admin),
            ("/administrator", Class::Other),
            ("/metrics", Class::Metrics),
            ("/metrics/x", Class::Metrics),
            ("/healthz", Class::Health),
            ("/healthz/", Class::Other),
            ("/", Class::Other),
            ("//admin", Class::Other),
            ("/%61dmin", Class::Other),
            ("*", Class::Other),
        ];
        for (path, class) in classes {
            let route = routes().find(|route| route.path == path);
            let needs = route.map_or_else(|| needs_without_route(path), |route| route.needs);
            assert_eq!(needs.class, class, "{path}");
        }
    }
}
