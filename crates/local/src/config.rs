//! The configuration file. Nothing else in the one-machine shape reads configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tintype_jail::RequiredLevel;
use tintype_model::{Limits, MetadataPolicy, Recipe, Rgb, Variant};
use tintype_store::Pace;

/// Name of the configuration file in the data folder.
pub const FILE_NAME: &str = "tintype.toml";

/// The folder that a server keeps everything in.
pub(crate) fn default_data() -> PathBuf {
    PathBuf::from("tintype-data")
}

/// Everything that can be configured. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port to serve on; port 0 picks a free one.
    ///
    /// Default: `127.0.0.1:8080`
    pub listen: SocketAddr,
    /// The beginning of generated and presigned URLs, behind a proxy or in a container.
    ///
    /// Default: `http://` and the request's `Host`
    pub public_url: Option<String>,
    /// Further `Host` names, without a port, that the API and the admin pages answer to.
    ///
    /// Default: none; loopback names and the host of `public_url` are always allowed
    pub allowed_hosts: Vec<String>,
    /// Origins (`https://example.com`) whose pages may upload to the S3 endpoint with presigned requests (CORS).
    ///
    /// Default: none
    pub allowed_origins: Vec<String>,
    /// What transparent pixels are flattened onto in formats without alpha.
    ///
    /// Default: `#ffffff`
    background: Rgb,
    /// Whether the record tells the score of every rendition.
    ///
    /// Default: `false`; those whose quality is chosen by their score always tell it
    scores: bool,
    /// The recipe; naming any variant replaces the default recipe.
    #[serde(rename = "variant")]
    variants: Option<Vec<Variant>>,
    /// What one source may cost.
    limits: Limits,
    /// The choice of what records tell about sources.
    metadata: MetadataPolicy,
    /// The processes that render.
    pub render: RenderConfig,
    /// Their confinement.
    pub jail: JailConfig,
    /// Delivery.
    pub delivery: DeliveryConfig,
    /// The queue.
    pub queue: QueueConfig,
    /// Connections.
    pub http: HttpConfig,
    /// The search for damage.
    pub scrub: ScrubConfig,
}

/// The confinement of the processes that render.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JailConfig {
    /// The level without which nothing starts: `available`, whatever this machine grants, or `full`.
    ///
    /// Default: `available`
    pub level: RequiredLevel,
}

/// The search for damage: every stored file is read and compared with the digest that it was stored with.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScrubConfig {
    /// Bytes that are read in a second at most; 0 switches the search off.
    ///
    /// Default: 8 MiB
    pub bytes_per_second: u64,
    /// Days from the beginning of one search through all files to that of the next.
    ///
    /// Default: 30
    pub days: u64,
}

impl ScrubConfig {
    /// The rate and the period at which files are read; `None` when they are never read.
    #[must_use]
    pub fn pace(&self) -> Option<Pace> {
        (self.bytes_per_second > 0).then_some(Pace {
            bytes_per_second: self.bytes_per_second,
            days: self.days,
        })
    }
}

impl Default for ScrubConfig {
    fn default() -> Self {
        Self {
            bytes_per_second: 8 << 20,
            days: 30,
        }
    }
}

/// Connections.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Connections that are held open at once.
    ///
    /// Default: 2048
    pub connections: usize,
    /// Connections from one address, or from one network of 64 bits in IPv6, beyond which the slowest of them make
    /// room for new ones.
    ///
    /// Default: 512
    pub connections_per_address: usize,
    /// Seconds that a client may keep its connection waiting: for the head of a request, or for bytes of a body.
    ///
    /// Default: 30
    pub patience_seconds: u64,
    /// Bytes of a body, in either direction, that make up for a second of waiting.
    ///
    /// Default: 1024
    pub least_bytes_per_second: u64,
}

/// The processes that render.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RenderConfig {
    /// How many sources are rendered at once, each in a process of its own.
    ///
    /// Default: the number of processors
    pub workers: usize,
    /// Threads that encode the renditions of one source.
    ///
    /// Default: the number of processors
    pub threads: usize,
    /// Memory that one rendering process may use, in bytes.
    ///
    /// Default: 2 GiB
    pub memory_bytes: u64,
    /// Seconds after which a rendering process is killed.
    ///
    /// Default: 60
    pub deadline_seconds: u64,
}

/// Delivery.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryConfig {
    /// Memory for renditions that were asked for lately, in bytes.
    ///
    /// Default: 128 MiB
    pub cache_bytes: u64,
}

/// The queue.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// The number of times that a job is tried at least before it is given up, and that the server may end while it
    /// works on one.
    ///
    /// Default: 5
    pub max_receives: u32,
    /// Hours from its first failure on for which a job is tried at least before it is given up.
    ///
    /// Default: 24
    pub retry_hours: u64,
    /// Seconds before the first retry; each further one waits twice as long, 15 minutes at most.
    ///
    /// Default: 2
    pub retry_base_seconds: u64,
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            background: Rgb::default(),
            scores: false,
            variants: None,
            limits: Limits::default(),
            metadata: MetadataPolicy::default(),
            render: RenderConfig::default(),
            delivery: DeliveryConfig::default(),
            queue: QueueConfig::default(),
            http: HttpConfig::default(),
            scrub: ScrubConfig::default(),
            jail: JailConfig::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connections: 2048,
            connections_per_address: 512,
            patience_seconds: 30,
            least_bytes_per_second: 1024,
        }
    }
}

impl Default for RenderConfig {
    fn default() -> Self {
        Self {
            workers: processors(),
            threads: processors(),
            memory_bytes: 2 << 30,
            deadline_seconds: 60,
        }
    }
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 128 << 20,
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            max_receives: 5,
            retry_hours: 24,
            retry_base_seconds: 2,
        }
    }
}

impl QueueConfig {
    /// The time for which a job that fails is tried again.
    #[must_use]
    pub const fn retry_for(&self) -> Duration {
        Duration::from_secs(self.retry_hours.saturating_mul(3600))
    }
}

impl Config {
    /// Reads the file, or takes the defaults when there is none to read.
    ///
    /// # Errors
    /// When the file cannot be read or says something that cannot be done; the message names the file and the key.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the configuration {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("in the configuration {}", file.display()))
    }

    /// Reads `explicit`, else the file in the data folder if there is one.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_for(data: &Path, explicit: Option<&Path>) -> anyhow::Result<Self> {
        let in_data = data.join(FILE_NAME);
        let file = explicit
            .map(Path::to_path_buf)
            .or_else(|| in_data.is_file().then_some(in_data));
        Self::load(file.as_deref())
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it says something that cannot be done; the message names the key.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text)?;
        config.recipe().validate()?;
        if let Some(url) = &config.public_url {
            let uri: http::Uri = url.parse().with_context(|| format!("public_url {url:?}"))?;
            if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.path() != "/" || url.ends_with('/')
            {
                bail!("public_url {url:?} must look like \"https://images.example.com\", without a path");
            }
        }
        for origin in &config.allowed_origins {
            let uri: http::Uri = origin
                .parse()
                .with_context(|| format!("allowed_origins: {origin:?}"))?;
            if uri.scheme().is_none() || uri.path() != "/" || origin.ends_with('/') {
                bail!("allowed_origins: {origin:?} must look like \"https://example.com\", without a path");
            }
        }
        let positive = [
            ("limits.max_bytes", config.limits.max_bytes),
            ("limits.max_pixels", config.limits.max_pixels),
            ("limits.max_frames", config.limits.max_frames.into()),
            ("limits.max_animation_pixels", config.limits.max_animation_pixels),
            ("render.workers", config.render.workers as u64),
            ("render.threads", config.render.threads as u64),
            ("render.deadline_seconds", config.render.deadline_seconds),
            ("queue.max_receives", config.queue.max_receives.into()),
            ("http.connections", config.http.connections as u64),
            (
                "http.connections_per_address",
                config.http.connections_per_address as u64,
            ),
            ("http.patience_seconds", config.http.patience_seconds),
            ("http.least_bytes_per_second", config.http.least_bytes_per_second),
        ];
        for (name, value) in positive {
            if value == 0 {
                bail!("{name} must be at least 1; no limit can be switched off");
            }
        }
        const MIN_MEMORY: u64 = 128 << 20;
        if config.render.memory_bytes < MIN_MEMORY {
            bail!(
                "render.memory_bytes is {}, at least {MIN_MEMORY} is needed",
                config.render.memory_bytes
            );
        }
        Ok(config)
    }

    /// The variants to make.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        let default = Recipe::default();
        Recipe {
            variants: self.variants.clone().unwrap_or(default.variants),
            background: self.background,
            scores: self.scores,
        }
    }

    /// What one source may cost.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The settings of the rendering processes: this very program again, `workers` of them at most, or as many as are
    /// configured.
    #[must_use]
    pub fn jail(&self, workers: Option<usize>) -> tintype_jail::Config {
        let mut jail = tintype_jail::Config::new("/proc/self/exe", vec![crate::RENDER_WORKER.into()]);
        jail.workers = workers.unwrap_or(self.render.workers);
        jail.threads = self.render.threads;
        jail.memory_bytes = self.render.memory_bytes;
        jail.deadline = Duration::from_secs(self.render.deadline_seconds);
        jail.limits = self.limits();
        jail.metadata = self.metadata;
        jail.level = self.jail.level;
        jail
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_model::{Format, Gravity, Quality};

    fn error(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn everything_has_a_default() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.recipe(), Recipe::default());
        assert_eq!(config.limits(), Limits::default());
        assert!(!config.jail(None).metadata.gps);
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn the_documented_example_is_read() {
        let config = Config::parse(
            r##"
            background = "#102030"
            scores = true
            [[variant]]
            name = "medium"
            width = 800
            height = 600
            fit = "inside"
            formats = ["avif", "webp", "jpeg"]
            quality = { avif = "auto", jpeg = 85 }
            [[variant]]
            name = "avatar"
            width = 200
            height = 200
            fit = "cover"
            gravity = "attention"
            quality = "auto:60"
            [limits]
            max_pixels = 10_000_000
            [metadata]
            gps = true
            [scrub]
            bytes_per_second = 1_000_000
            days = 7
            "##,
        )
        .unwrap();
        let recipe = config.recipe();
        assert_eq!(recipe.variants[1].gravity, Gravity::Attention);
        assert!(config.jail(None).metadata.gps);
        assert_eq!((recipe.variants.len(), recipe.scores), (2, true));
        assert_eq!(recipe.background, Rgb([0x10, 0x20, 0x30]));
        assert_eq!(recipe.variants[0].quality(Format::Jpeg), Quality::Fixed(85));
        assert_eq!(recipe.variants[0].quality(Format::Webp), Quality::Fixed(80));
        let target = |variant: usize| recipe.variants[variant].quality(Format::Avif);
        assert_eq!(
            target(0),
            Quality::Auto {
                target: Quality::DEFAULT_TARGET
            }
        );
        assert_eq!(target(1), Quality::Auto { target: 60 });
        assert_eq!(config.limits().max_pixels, 10_000_000);
        assert_eq!(config.limits().max_frames, Limits::default().max_frames);
        let pace = Pace {
            bytes_per_second: 1_000_000,
            days: 7,
        };
        assert_eq!(config.scrub.pace(), Some(pace));
        assert!(Config::parse("").unwrap().scrub.pace().is_some());
        let off = Config::parse("[scrub]\nbytes_per_second = 0").unwrap();
        assert_eq!(off.scrub.pace(), None);
    }

    #[test]
    fn mistakes_are_explained() {
        assert!(error("colour = 1").contains("unknown field `colour`"));
        assert!(error("[render]\nworkers = 0").contains("render.workers must be at least 1"));
        assert!(error("[limits]\nmax_pixels = 0").contains("limits.max_pixels"));
        assert!(error("[http]\nconnections = 0").contains("http.connections"));
        assert!(error("[http]\nleast_bytes_per_second = 0").contains("http.least_bytes_per_second"));
        assert!(error("[[variant]]\nname = \"a/b\"").contains("variant name \"a/b\""));
        assert!(
            error("[[variant]]\nname = \"a\"\nformats = [\"avif\"]").contains("needs \"jpeg\" or \"png\"")
        );
        assert!(error("public_url = \"images.example.com\"").contains("https://images.example.com"));
        assert!(error("public_url = \"https://example.com/x\"").contains("without a path"));
        assert!(
            error("[[variant]]\nname = \"a\"\nformats = [\"jpeg\"]\ngravity = \"north\"")
                .contains("needs fit \"cover\"")
        );
        assert!(error("[[variant]]\nname = \"a\"\ngravity = \"up\"").contains("unknown variant `up`"));
        assert!(error("[scrub]\nweeks = 4").contains("unknown field `weeks`"));
        assert!(error("[metadata]\nlens = true").contains("unknown field `lens`"));
        assert!(error("[[variant]]\nname = \"a\"\nquality = { jpeg = \"best\" }").contains("1 to 100"));
        assert!(error("[[variant]]\nname = \"a\"\nquality = \"auto:20\"").contains("variant \"a\""));
        assert!(error("background = \"white\"").contains("#rrggbb"));
        assert!(error("[render]\nmemory_bytes = 1000").contains("render.memory_bytes"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::load(Some(Path::new("no/such/file.toml"))).unwrap_err();
        assert!(format!("{error:#}").contains("no/such/file.toml"));
    }
}
