//! The OpenAPI document, made from the handlers.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

// By glob, with what `utoipa` puts beside a handler: a path through the module would add a tag to the operation.
use super::image::*;
use super::{dead, list, stats, upload};
use crate::error::PROBLEM;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tintype",
        description = "Uploads, records and URLs of pictures. Errors are problem documents (RFC 9457).",
    ),
    paths(
        upload::create_upload,
        list::list_images,
        get_image,
        delete_image,
        reprocess_image,
        dead::list_dead,
        dead::redrive_dead,
        stats::get_stats,
        get_document,
    ),
    security(("token" = [])),
    modifiers(&Common),
)]
pub(super) struct Document;

/// A modifier that adds to the document the parts that all operations have in common.
struct Common;

/// Answers that any operation may give, besides its own.
const REFUSALS: [(&str, &str); 4] = [
    ("401", "There is no valid token or session"),
    (
        "403",
        "The write comes from another origin, or the gateway in front did not let the request through",
    ),
    ("421", "The Host is not one that this server answers for"),
    ("503", "A store did not answer; try again"),
];

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The admin token. Behind API Gateway instead what its authorizer asks for: a JWT, or a signature \
                 (AWS Signature Version 4) for the service execute-api",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        for path in document.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.post, &mut path.delete];
            for operation in operations.into_iter().flatten() {
                for (status, description) in REFUSALS {
                    let problem = Ref::from_schema_name("Problem");
                    let content = ContentBuilder::new().schema(Some(problem)).build();
                    let response = ResponseBuilder::new()
                        .description(description)
                        .content(PROBLEM, content)
                        .build();
                    operation
                        .responses
                        .responses
                        .insert(status.to_owned(), response.into());
                }
            }
        }
    }
}

/// Describes this API (OpenAPI 3.1).
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    responses((status = 200, description = "This document", body = serde_json::Value)),
)]
pub(super) async fn get_document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
