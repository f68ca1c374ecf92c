//! Metrics for Prometheus to scrape. Every router has its own registry, so that several can live in one process.

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tintype_model::{StatusCounts, StatusKind};

use crate::cache::CacheStats;
use crate::port::{ConnectionCounts, HealthReport, StoredFiles};
use crate::route::Class;

/// Media type of the text format.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds: cached deliveries take microseconds, reads from a disk milliseconds, timeouts seconds.
const LATENCY_BUCKETS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    class: Class,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabels {
    class: Class,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BucketLabels {
    bucket: &'static str,
}

impl EncodeLabelValue for Class {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(self.name())
    }
}

type GaugeU64 = Gauge<u64, AtomicU64>;

/// Counts since the router was made.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<ClassLabels, Histogram, fn() -> Histogram>,
    delivered_bytes: Counter,
}

fn latency_histogram() -> Histogram {
    Histogram::new(LATENCY_BUCKETS)
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tintype");
        let requests = Family::default();
        registry.register(
            "http_requests",
            "Requests by class of route and status code",
            requests.clone(),
        );
        let latency = Family::new_with_constructor(latency_histogram as fn() -> Histogram);
        registry.register(
            "http_request_duration_seconds",
            "Time from a request's head to its response's head, by class of route",
            latency.clone(),
        );
        let delivered_bytes = Counter::default();
        registry.register(
            "delivered_bytes",
            "Bytes of pictures sent",
            delivered_bytes.clone(),
        );
        Self {
            registry,
            requests,
            latency,
            delivered_bytes,
        }
    }

    pub(crate) fn observe(&self, class: Class, status: StatusCode, took: Duration) {
        let status = status.as_u16();
        self.requests
            .get_or_create(&RequestLabels { class, status })
            .inc();
        self.latency
            .get_or_create(&ClassLabels { class })
            .observe(took.as_secs_f64());
    }

    pub(crate) fn delivered(&self, bytes: u64) {
        self.delivered_bytes.inc_by(bytes);
    }

    /// All counts, and the gauges as they are now. A gauge whose source did not answer is left out, so that an old
    /// value never looks like a new one.
    pub(crate) fn encode(
        &self,
        cache: Option<CacheStats>,
        health: &HealthReport,
        images: Option<StatusCounts>,
    ) -> String {
        let now = gauges(cache, health, images);
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &now))
            .and_then(|()| encode_eof(&mut text))
            .expect("writing to a string cannot fail");
        text
    }
}

fn gauges(cache: Option<CacheStats>, health: &HealthReport, images: Option<StatusCounts>) -> Registry {
    let mut registry = Registry::with_prefix("tintype");
    if let Some(level) = &health.jail {
        registry.register(
            "jail",
            "Level of confinement of rendering processes",
            Info::new([("level", level.clone())]),
        );
    }
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge = GaugeU64::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    if let Some(cache) = cache {
        gauge("cache_bytes", "Memory taken by cached renditions", cache.bytes);
        gauge(
            "cache_capacity_bytes",
            "Memory that cached renditions may take",
            cache.capacity_bytes,
        );
        gauge("cache_entries", "Number of cached renditions", cache.entries);
    }
    gauge(
        "workers",
        "Number of workers that take jobs",
        u64::from(health.workers),
    );
    gauge(
        "ready",
        "1 when requests should be sent here",
        u64::from(health.ready),
    );
    if let Some(cache) = cache {
        for (name, help, value) in [
            ("cache_hits", "Renditions read from the cache", cache.hits),
            ("cache_misses", "Renditions read from the store", cache.misses),
        ] {
            register_counter(&mut registry, name, help, value);
        }
    }
    if let Some(refused) = health.avif_tiles_refused {
        register_counter(
            &mut registry,
            "avif_tiles_refused",
            "AVIF renditions that were encoded at once, in more memory, because their tiles did not fit together",
            refused,
        );
    }
    if let Some(files) = health.files {
        register_files(&mut registry, files);
    }
    if let Some(connections) = health.connections {
        register_connections(&mut registry, connections);
    }
    if let Some(queue) = health.queue {
        let family = Family::<StateLabels, GaugeU64>::default();
        for (state, jobs) in [
            ("ready", queue.ready),
            ("leased", queue.leased),
            ("dead", queue.dead),
        ] {
            family.get_or_create(&StateLabels { state }).set(jobs);
        }
        registry.register("queue_jobs", "Jobs by state", family);
    }
    if let Some(images) = images {
        let family = Family::<StatusLabels, GaugeU64>::default();
        let counts = [
            (StatusKind::Pending, images.pending),
            (StatusKind::Ready, images.ready),
            (StatusKind::Rejected, images.rejected),
            (StatusKind::Failed, images.failed),
        ];
        for (status, images) in counts {
            let status = status.name();
            family.get_or_create(&StatusLabels { status }).set(images);
        }
        registry.register("images", "Images by status", family);
    }
    registry
}

fn register_counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

fn register_connections(registry: &mut Registry, connections: ConnectionCounts) {
    let open = GaugeU64::default();
    open.set(connections.open);
    registry.register("connections", "Connections that are open", open);
    for (name, help, value) in [
        (
            "connections_accepted",
            "Connections that were accepted",
            connections.accepted,
        ),
        (
            "connections_refused",
            "Connections that were refused, from addresses with too many requests in hand",
            connections.refused,
        ),
    ] {
        register_counter(registry, name, help, value);
    }
    let family = Family::<ReasonLabels, Counter>::default();
    for (reason, value) in [
        ("timeout", connections.timed_out),
        ("malformed", connections.malformed),
        ("room", connections.closed_for_room),
    ] {
        family.get_or_create(&ReasonLabels { reason }).inc_by(value);
    }
    registry.register(
        "connections_closed",
        "Connections that the server closed, by reason",
        family,
    );
}

fn register_files(registry: &mut Registry, files: StoredFiles) {
    let family = Family::<BucketLabels, GaugeU64>::default();
    for (bucket, damaged) in [
        ("sources", files.damaged_sources),
        ("renditions", files.damaged_renditions),
    ] {
        family.get_or_create(&BucketLabels { bucket }).set(damaged);
    }
    registry.register(
        "damaged_files",
        "Stored files that are known to be damaged",
        family,
    );
    for (name, help, value) in [
        (
            "scrubbed_files",
            "Stored files read to look for damage",
            files.scrubbed,
        ),
        (
            "scrubbed_bytes",
            "Bytes read to look for damage",
            files.scrubbed_bytes,
        ),
        (
            "scrub_passes",
            "Finished searches for damage through all files",
            files.scrub_passes,
        ),
    ] {
        register_counter(registry, name, help, value);
    }
}
