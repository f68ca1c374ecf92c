use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tintype_jail::Jail;
use tintype_model::{Recipe, RenderError, Rendered, Renderer};
use tokio::time::Instant;

/// A source of renderers that work within a given time.
pub trait Rendering: Send + Sync + std::fmt::Debug {
    /// A renderer that tries at most twice, each time for at most `deadline`.
    fn within(&self, deadline: Duration) -> Arc<dyn Renderer>;
}

impl Rendering for Jail {
    fn within(&self, deadline: Duration) -> Arc<dyn Renderer> {
        Arc::new(self.with_deadline(deadline))
    }
}

/// The durations of the renders of one invocation, and the sizes of their sources and renditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Renders {
    pub(super) milliseconds: Vec<u64>,
    pub(super) source_bytes: Vec<u64>,
    pub(super) rendition_bytes: Vec<u64>,
    /// Number of AVIF renditions whose tiles did not fit together.
    pub(super) tiles_refused: u64,
}

/// Keeps account of what a renderer does.
#[derive(Debug)]
pub(super) struct Metered {
    pub(super) renderer: Arc<dyn Renderer>,
    pub(super) renders: Arc<Mutex<Renders>>,
}

#[async_trait]
impl Renderer for Metered {
    async fn render(&self, source: Bytes, recipe: &Recipe) -> Result<Rendered, RenderError> {
        let source_bytes = source.len() as u64;
        let started = Instant::now();
        let rendered = self.renderer.render(source, recipe).await;
        let mut renders = self.renders.lock().unwrap_or_else(PoisonError::into_inner);
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        renders.milliseconds.push(milliseconds);
        renders.source_bytes.push(source_bytes);
        if let Ok(rendered) = &rendered {
            let bytes = rendered.files.iter().map(|file| file.bytes.len() as u64).sum();
            renders.rendition_bytes.push(bytes);
            renders.tiles_refused += rendered.tiles_refused();
        }
        rendered
    }
}
