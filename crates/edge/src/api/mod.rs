//! `/api/v1`: what programs ask for. Keys travel as a query parameter, because gateways rewrite paths.

mod dead;
mod delivery;
mod document;
mod dto;
mod facts;
mod image;
mod list;
mod outcome;
mod stats;
mod status;
mod time;
mod upload;

use std::sync::Arc;

use axum::routing::{get, post};

use crate::route::{Callers, Class, Needs, Route};
use crate::state::State;

pub(crate) use status::UnrecordedWords;
pub(crate) use time::timestamp;

/// The needs of the API. Bodies are requests in JSON; pictures are not uploaded here.
pub(crate) const NEEDS: Needs = Needs::new(Class::Api, Callers::Admins);

/// The largest request for an upload, in bytes.
const UPLOAD_BYTES: usize = 16 << 10;

/// Every path of the API with its methods and needs. The router is made from this list and nothing else.
pub(crate) fn routes() -> [Route<Arc<State>>; 8] {
    let route = |path, handlers| Route {
        path,
        needs: NEEDS,
        handlers,
    };
    [
        Route {
            path: "/api/v1/uploads",
            needs: NEEDS.with_body(UPLOAD_BYTES),
            handlers: post(upload::create_upload),
        },
        route("/api/v1/images", get(list::list_images)),
        route("/api/v1/image", get(image::get_image).delete(image::delete_image)),
        route("/api/v1/image/reprocess", post(image::reprocess_image)),
        route("/api/v1/dead", get(dead::list_dead)),
        route("/api/v1/dead/redrive", post(dead::redrive_dead)),
        route("/api/v1/stats", get(stats::get_stats)),
        route("/api/v1/openapi.json", get(document::get_document)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use utoipa::OpenApi as _;

    #[test]
    fn the_document_has_the_paths_of_the_router() {
        let routed: BTreeSet<String> = routes().into_iter().map(|route| route.path.to_owned()).collect();
        let documented: BTreeSet<String> = document::Document::openapi().paths.paths.into_keys().collect();
        assert_eq!(routed, documented);
    }
}
