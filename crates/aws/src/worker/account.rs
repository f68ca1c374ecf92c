use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lambda_runtime::Context;
use serde_json::{Map, Value, json};
use tintype_model::{Outcome, UnixMillis};

use super::rendering::Renders;
use crate::telemetry::{Metric, Unit, metric_document};

/// The number of outcomes of each kind in one invocation, and its renders.
#[derive(Debug, Default)]
pub(super) struct Account {
    processed: AtomicU64,
    rejected: AtomicU64,
    skipped: AtomicU64,
    ignored: AtomicU64,
    foreign: AtomicU64,
    failed: AtomicU64,
    pub(super) renders: Arc<Mutex<Renders>>,
}

impl Account {
    pub(super) fn count(&self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Processed => &self.processed,
            Outcome::Rejected(_) => &self.rejected,
            Outcome::Skipped(_) => &self.skipped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn skipped(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ignored(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn foreign(&self) {
        self.foreign.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Eight series for an environment, and two more once there is something to count: `Foreign` for events of another
    /// bucket, and `AvifTilesRefused`. A series is charged for the hours in which it gets values.
    pub(super) fn document(&self, environment: &str, at: UnixMillis, context: &Context) -> Value {
        let count = |name, counter: &AtomicU64| Metric {
            name,
            unit: Unit::Count,
            values: vec![counter.load(Ordering::Relaxed)],
        };
        let renders = self
            .renders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let tiles_refused = renders.tiles_refused;
        let mut metrics = vec![
            count("Processed", &self.processed),
            count("Rejected", &self.rejected),
            count("Skipped", &self.skipped),
            count("Ignored", &self.ignored),
            count("Failed", &self.failed),
            Metric {
                name: "RenderMilliseconds",
                unit: Unit::Milliseconds,
                values: renders.milliseconds,
            },
            Metric {
                name: "SourceBytes",
                unit: Unit::Bytes,
                values: renders.source_bytes,
            },
            Metric {
                name: "RenditionBytes",
                unit: Unit::Bytes,
                values: renders.rendition_bytes,
            },
        ];
        if self.foreign.load(Ordering::Relaxed) > 0 {
            metrics.push(count("Foreign", &self.foreign));
        }
        if tiles_refused > 0 {
            metrics.push(Metric {
                name: "AvifTilesRefused",
                unit: Unit::Count,
                values: vec![tiles_refused],
            });
        }
        let properties = [
            ("request_id", json!(context.request_id)),
            ("trace_id", json!(context.xray_trace_id)),
        ];
        let properties = Map::from_iter(properties.map(|(name, value)| (name.to_owned(), value)));
        metric_document(environment, at, metrics, properties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_tiles_are_a_metric_when_there_are_any() {
        let account = Account::default();
        let document = || account.document("dev", UnixMillis(1), &Context::default());
        assert_eq!(document().get("AvifTilesRefused"), None);
        account.renders.lock().unwrap().tiles_refused = 2;
        assert_eq!(document()["AvifTilesRefused"], 2);
    }
}
