use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Uri};
use tintype_catalog::Catalog;
use tintype_model::Recipe;

use crate::access::Access;
use crate::auth::Auth;
use crate::cache::{PictureCache, Pictures};
use crate::error::Result;
use crate::guard;
use crate::metrics::Metrics;
use crate::port::{Health, UploadSigner};

/// The ports and the settings that the edge works with.
pub struct Edge {
    /// The operations on images.
    pub catalog: Catalog,
    /// Signs uploads.
    pub uploads: Arc<dyn UploadSigner>,
    /// Reports the health of the rest.
    pub health: Arc<dyn Health>,
    /// The recipe in force: which variants keep the aspect, and which keys can be served.
    pub recipe: Arc<Recipe>,
    /// Largest source that is rendered, in bytes: what uploads are signed for.
    pub max_upload_bytes: u64,
    /// The callers that may use the API, and the way in which that is decided.
    pub access: Access,
    /// The renditions to deliver; none where a CDN delivers.
    pub pictures: Option<Pictures>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("recipe", &self.recipe)
            .field("max_upload_bytes", &self.max_upload_bytes)
            .field("access", &self.access)
            .field("pictures", &self.pictures)
            .finish_non_exhaustive()
    }
}

/// The state that all handlers share.
#[derive(Debug)]
pub(crate) struct State {
    pub edge: Edge,
    pub auth: Auth,
    pub pictures: Option<PictureCache>,
    pub metrics: Metrics,
    /// Hash of the recipe in force.
    pub recipe_hash: String,
}

pub(crate) type Shared = axum::extract::State<Arc<State>>;

impl State {
    pub(crate) fn new(edge: Edge) -> Self {
        Self {
            auth: match &edge.access {
                Access::Token {
                    admin_token,
                    public_url,
                    ..
                } => Auth::new(admin_token, public_url.as_deref()),
                Access::Gateway { .. } => Auth::nobody(),
            },
            pictures: edge.pictures.clone().map(PictureCache::new),
            metrics: Metrics::new(),
            recipe_hash: edge.recipe.hash(),
            edge,
        }
    }

    /// This server as the client sees it, without a slash at the end. Only the checked `Host` counts: any
    /// client can send forwarding headers.
    pub(crate) fn base_url(&self, uri: &Uri, headers: &HeaderMap) -> Result<String> {
        match &self.edge.access {
            Access::Token {
                public_url: Some(url),
                ..
            }
            | Access::Gateway { public_url: url } => Ok(url.trim_end_matches('/').to_owned()),
            Access::Token { public_url: None, .. } => {
                Ok(format!("http://{}", guard::request_host(uri, headers)?))
            }
        }
    }
}
