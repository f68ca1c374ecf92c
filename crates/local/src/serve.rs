//! `tintype serve`: wires the parts together, runs them, and stops them in order.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tintype_catalog::Catalog;
use tintype_edge::{Access, Edge, Pictures};
use tintype_jail::Jail;
use tintype_model::{JobQueue, MetadataStore, ObjectStore};
use tintype_pipeline::{Layout, Pipeline, Ports, Secret, Settings};
use tintype_s3::{S3Config, S3Endpoint};
use tintype_store::{Integrity, Store};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, HttpConfig, default_data};
use crate::credentials::{Credentials, REGION, write_env};
use crate::disk::Disk;
use crate::health::LocalHealth;
use crate::http::{App, Capacity, Connections, WaitLimit};

use crate::uploads::LocalUploads;
use crate::usage::UsageError;
use crate::worker;

/// Arguments of `tintype serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
On its first start it writes DATA/credentials (profile \"tintype\", for any S3 client), DATA/admin-token and
DATA/env (`source` it, then use the AWS CLI as it is). When it is ready it prints one line on standard output:
  listening on http://ADDR

Upload:   source tintype-data/env; aws s3 cp photo.jpg s3://raw/some/photo.jpg
See:      http://ADDR/img/some/photo.jpg/medium   (AVIF, WebP or JPEG, whichever the browser takes)
Manage:   http://ADDR/admin                       (sign in with DATA/admin-token)

SIGTERM or Ctrl-C stops it: requests and pictures in hand are finished or go back to the queue.")]
pub(crate) struct ServeArgs {
    /// Folder that everything is kept in; it is created and locked
    #[arg(long, value_name = "DIR", default_value_os_t = default_data())]
    data: PathBuf,
    /// Address and port; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Configuration file [default: DATA/tintype.toml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the whole system until SIGTERM or SIGINT.
pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load_for(&args.data, args.config.as_deref())
        .map_err(|error| UsageError(format!("{error:#}")))?;
    tintype_jail::forbid_inspection().context("cannot keep other processes from reading this one")?;
    let data = args.data.as_path();
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let disk = Disk::new(data);
    disk.make_room_for_start();
    let store = Store::open(data).map_err(|error| explain(error, data))?;
    let reserve = disk.clone();
    store.make_room_with(move || reserve.make_room());
    let credentials = Credentials::load_or_create(data)?;

    let jail = Arc::new(Jail::new(config.jail(None)));
    jail.warm().await.context("cannot start rendering processes")?;
    let level = jail.level();
    if level.missing().is_empty() {
        tracing::info!(jail.level = %level, "rendering processes are confined");
    } else {
        tracing::warn!(
            jail.level = %level,
            jail.missing = level.missing_names(),
            "rendering processes are confined less than they could be: `tintype jail --self-test` shows what is possible"
        );
    }

    let address = args.listen.unwrap_or(config.listen);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let address = listener
        .local_addr()
        .context("cannot tell the address that is listened on")?;
    if let Err(error) = write_env(data, address, config.public_url.as_deref()) {
        // These files are only for shells: a full disk must not prevent the start.
        tracing::warn!(
            error = format!("{error:#}"),
            "the exports for a shell are those of an earlier start"
        );
    }

    let recipe = Arc::new(config.recipe());
    let sources: Arc<dyn ObjectStore> = Arc::new(store.sources());
    let renditions: Arc<dyn ObjectStore> = Arc::new(store.renditions());
    let metadata: Arc<dyn MetadataStore> = Arc::new(store.metadata());
    let queue = store.queue();
    let s3_config = S3Config {
        access_key: credentials.access_key.clone(),
        secret_key: credentials.secret_key.clone(),
        region: REGION.to_owned(),
        allowed_origins: config.allowed_origins.clone(),
        public_url: config.public_url.clone(),
    };

    let ports = Ports {
        sources: sources.clone(),
        renditions: renditions.clone(),
        metadata: metadata.clone(),
        renderer: jail.clone(),
    };
    let connections = connections(&config.http);
    let settings = Settings {
        recipe: recipe.clone(),
        limits: config.limits(),
        secret: Secret::new(credentials.version_secret.clone()),
        layout: Layout::RandomSets,
    };
    let pipeline = Pipeline::new(ports, settings);
    let edge = Edge {
        catalog: Catalog {
            sources,
            metadata,
            queue: Arc::new(queue.clone()) as Arc<dyn JobQueue>,
            dead: Arc::new(queue.clone()),
        },
        uploads: Arc::new(LocalUploads::new(s3_config.clone())),
        health: Arc::new(LocalHealth {
            jail: jail.clone(),
            store: store.clone(),
            workers: config.render.workers,
            disk: disk.clone(),
            integrity: Integrity::new(data),
            connections: connections.clone(),
        }),
        recipe,
        max_upload_bytes: config.limits().max_bytes,
        access: Access::Token {
            admin_token: credentials.admin_token,
            public_url: config.public_url.clone(),
            allowed_hosts: config.allowed_hosts.clone(),
        },
        pictures: Some(Pictures {
            renditions,
            cache_bytes: config.delivery.cache_bytes,
        }),
    };
    let app = App {
        edge: tintype_edge::router(edge),
        s3: S3Endpoint::new(store.clone(), s3_config),
        disk: disk.clone(),
    };

    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let http = tokio::spawn(crate::http::serve(
        listener,
        app,
        connections,
        DRAIN,
        stop.clone(),
    ));
    let watch = tokio::spawn(disk.watch(stop.clone()));
    let workers = tokio::spawn(worker::run(
        queue,
        pipeline,
        config.queue,
        config.render.workers,
        stop.clone(),
    ));
    store.scrub(config.scrub.pace());
    announce(address)?;
    tracing::info!(
        "admin page http://{address}/admin, sign in with {}",
        data.join("admin-token").display()
    );

    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            // A closing terminal sends this. No configuration is read again: changes take effect at the next start.
            _ = hang_up.recv() => tracing::info!("SIGHUP changes nothing; SIGTERM stops the server"),
        }
    }
    tracing::info!("stopping: finishing or returning the work in hand");
    stop.cancel();
    for task in [http, workers, watch] {
        task.await.context("a part of the server panicked")?;
    }
    jail.shutdown().await;
    drop(store);
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Descriptors that are left for everything but connections.
const OTHER_FILES: u64 = 256;

/// Time for the requests in hand when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// The connections as configured, as far as the files that this process may open reach. A connection needs two, itself
/// and the file that it sends or stores.
fn connections(config: &HttpConfig) -> Arc<Connections> {
    let possible = raise_open_files().saturating_sub(OTHER_FILES).max(2) / 2;
    let possible = usize::try_from(possible).unwrap_or(usize::MAX);
    if possible < config.connections {
        tracing::warn!(
            configured = config.connections,
            possible,
            "the limit of open files (ulimit -n) leaves room for fewer connections"
        );
    }
    let capacity = Capacity {
        connections: config.connections.min(possible),
        per_address: config.connections_per_address,
    };
    let limit = WaitLimit {
        timeout: Duration::from_secs(config.timeout_seconds),
        min_rate: config.min_bytes_per_second,
    };
    Connections::new(capacity, limit)
}

/// Raises the limit of open files as far as this process may, and returns it.
fn raise_open_files() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => now.maximum,
        Err(_) => now.current,
    };
    current.unwrap_or(u64::MAX)
}

/// The reason why a data folder cannot be used, and the remedy.
fn explain(error: tintype_store::Error, data: &Path) -> anyhow::Error {
    let is_damaged = matches!(error, tintype_store::Error::Corrupt(_));
    let mut message = format!("cannot use the data folder {}", data.display());
    if is_damaged {
        message.push_str(&format!(
            " (nothing was removed; put tintype.db back from a backup, or make it again from the pictures: tintype \
             verify --rebuild --data {})",
            data.display()
        ));
    }
    anyhow::Error::new(error).context(message)
}

/// Prints the line on standard output that scripts wait for.
fn announce(address: SocketAddr) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    let announced = writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush());
    match announced {
        // The reader of standard output may be gone.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}
