use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Uri};
use tintype_model::{JobQueue, MetadataStore, ObjectStore, Recipe};

use crate::auth::Auth;
use crate::cache::RenditionCache;
use crate::error::Result;
use crate::guard;
use crate::metrics::Metrics;
use crate::port::{Health, UploadSigner};

/// What the edge works with.
pub struct Edge {
    /// The uploaded objects. The edge reads their metadata and deletes; it never reads their bytes.
    pub sources: Arc<dyn ObjectStore>,
    /// The rendered files, read by the object keys that records name.
    pub renditions: Arc<dyn ObjectStore>,
    /// The records.
    pub metadata: Arc<dyn MetadataStore>,
    /// Where reprocessing is asked for.
    pub queue: Arc<dyn JobQueue>,
    /// Signs uploads.
    pub uploads: Arc<dyn UploadSigner>,
    /// Tells how the rest is doing.
    pub health: Arc<dyn Health>,
    /// The recipe in force: which variants keep the aspect, and which keys can be served.
    pub recipe: Arc<Recipe>,
    /// What the API, the pages and the metrics ask for. When it is empty nobody gets in.
    pub admin_token: String,
    /// This server as clients see it, `https://host[:port][/path]`; none takes `http://` and the request's `Host`.
    pub public_url: Option<String>,
    /// Hosts to answer for besides loopback and `public_url`, each with or without a port.
    pub allowed_hosts: Vec<String>,
    /// Memory for cached renditions, in bytes.
    pub cache_bytes: u64,
}

impl fmt::Debug for Edge {
    /// Leaves out the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("recipe", &self.recipe)
            .field("public_url", &self.public_url)
            .field("allowed_hosts", &self.allowed_hosts)
            .field("cache_bytes", &self.cache_bytes)
            .finish_non_exhaustive()
    }
}

/// What every handler sees.
#[derive(Debug)]
pub(crate) struct State {
    pub edge: Edge,
    pub auth: Auth,
    pub cache: RenditionCache,
    pub metrics: Metrics,
    /// Hash of the recipe in force.
    pub recipe_hash: String,
}

pub(crate) type Shared = axum::extract::State<Arc<State>>;

impl State {
    pub(crate) fn new(edge: Edge) -> Self {
        Self {
            auth: Auth::new(&edge.admin_token, edge.public_url.as_deref()),
            cache: RenditionCache::new(edge.cache_bytes),
            metrics: Metrics::new(),
            recipe_hash: edge.recipe.hash(),
            edge,
        }
    }

    /// This server as the client sees it, without a slash at the end. Only the checked `Host` counts: forwarding
    /// headers are anybody's to send.
    pub(crate) fn base_url(&self, uri: &Uri, headers: &HeaderMap) -> Result<String> {
        match &self.edge.public_url {
            Some(url) => Ok(url.trim_end_matches('/').to_owned()),
            None => Ok(format!("http://{}", guard::request_host(uri, headers)?)),
        }
    }
}
