//! `GET /api/v1/images`.

use std::io;

use axum::Json;
use axum::extract::State as Extract;
use serde::Serialize;
use tintype_model::{Page, Record, RecordFilter};
use utoipa::ToSchema;

use super::dto::{Image, ListQuery, MAX_LIMIT};
use crate::error::{Error, PROBLEM, Problem, Result};
use crate::extract::Params;
use crate::state::Shared;

/// The longest answer in bytes. Functions behind API Gateway may answer with 6 MB including what wraps the answer and
/// escapes its quotes, and a client should meet the same pages in both shapes.
const MAX_PAGE_BYTES: usize = 4_000_000;

/// Room for what is around the items: mostly `next`, a key of at most 1,024 bytes, each of which JSON may write as
/// six (`\u0001`).
const ENVELOPE_BYTES: usize = 8 << 10;

/// A page of pictures, in byte order of their keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImagePage {
    /// The pictures.
    items: Vec<Image>,
    /// Pass it as `after` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl ImagePage {
    /// The part of the page that fits, at least one picture.
    fn new(page: Page<Record>, recipe_hash: &str) -> Self {
        let mut items: Vec<Image> = Vec::with_capacity(page.items.len());
        let mut room = MAX_PAGE_BYTES - ENVELOPE_BYTES;
        for record in &page.items {
            let image = Image::new(record, recipe_hash);
            let taken = json_bytes(&image) + ",".len();
            if let Some(last) = items.last()
                && taken > room
            {
                let next = Some(last.key.clone());
                return Self { items, next };
            }
            room = room.saturating_sub(taken);
            items.push(image);
        }
        let next = page.next;
        Self { items, next }
    }
}

/// Length of the value's JSON in bytes.
fn json_bytes(value: &impl Serialize) -> usize {
    struct Length(usize);
    impl io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value).expect("an image has only strings and numbers");
    length.0
}

/// A digest as records have it.
fn digest(sha256: &str) -> Result<String> {
    if sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(sha256.to_ascii_lowercase())
    } else {
        Err(Error::BadRequest(
            "sha256 must be 64 hexadecimal digits".to_owned(),
        ))
    }
}

/// Lists pictures.
#[utoipa::path(
    get,
    path = "/api/v1/images",
    params(ListQuery),
    responses(
        (status = 200, description = "A page of pictures", body = ImagePage),
        (status = 400, description = "The request is wrong", body = Problem, content_type = PROBLEM),
    ),
)]
pub(super) async fn list_images(
    Extract(state): Shared,
    Params(query): Params<ListQuery>,
) -> Result<Json<ImagePage>> {
    if !(1..=MAX_LIMIT).contains(&query.limit) {
        return Err(Error::BadRequest(format!(
            "limit is {}, it must be 1 to {MAX_LIMIT}",
            query.limit
        )));
    }
    let filter = RecordFilter {
        prefix: query.prefix,
        status: query.status.map(Into::into),
        sha256: query.sha256.as_deref().map(digest).transpose()?,
    };
    let page = state
        .edge
        .catalog
        .list(&filter, query.after.as_deref(), query.limit)
        .await?;
    Ok(Json(ImagePage::new(page, &state.recipe_hash)))
}
