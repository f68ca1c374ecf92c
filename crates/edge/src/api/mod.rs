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
mod upload;

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};

use crate::state::State;

pub(crate) use dto::timestamp;
pub(crate) use status::{ListedStatus, UnrecordedWords};
pub(crate) use tintype_catalog::Unrecorded;

/// Every path of the API with its methods. The router is made from this list and nothing else.
pub(crate) fn routes() -> [(&'static str, MethodRouter<Arc<State>>); 8] {
    [
        ("/api/v1/uploads", post(upload::create_upload)),
        ("/api/v1/images", get(list::list_images)),
        ("/api/v1/image", get(image::get_image).delete(image::delete_image)),
        ("/api/v1/image/reprocess", post(image::reprocess_image)),
        ("/api/v1/dead", get(dead::list_dead)),
        ("/api/v1/dead/redrive", post(dead::redrive_dead)),
        ("/api/v1/stats", get(stats::get_stats)),
        ("/api/v1/openapi.json", get(document::get_document)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use utoipa::OpenApi as _;

    #[test]
    fn the_document_has_the_paths_of_the_router() {
        let routed: BTreeSet<String> = routes().into_iter().map(|(path, _)| path.to_owned()).collect();
        let documented: BTreeSet<String> = document::Document::openapi().paths.paths.into_keys().collect();
        assert_eq!(routed, documented);
    }
}
