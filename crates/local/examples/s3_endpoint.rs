//! Serves the S3 endpoint of a data folder alone: `s3_endpoint DATA ADDRESS ACCESS_KEY SECRET_KEY [ORIGIN]`.

use std::convert::Infallible;

use anyhow::Context as _;
use axum::body::Body;
use hyper_util::rt::{TokioIo, TokioTimer};
use tintype_local::s3::{S3Config, S3Endpoint};
use tintype_local::store::Store;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |name| arguments.next().with_context(|| format!("{name} is missing"));
    let (data, address) = (next("DATA")?, next("ADDRESS")?);
    let config = S3Config {
        access_key: next("ACCESS_KEY")?,
        secret_key: next("SECRET_KEY")?,
        region: "us-east-1".to_owned(),
        allowed_origins: next("ORIGIN").into_iter().collect(),
    };
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let endpoint = S3Endpoint::new(Store::open(data.as_ref())?, config);
    let listener = tokio::net::TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let endpoint = endpoint.clone();
        let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let endpoint = endpoint.clone();
            async move { Ok::<_, Infallible>(endpoint.handle(request.map(Body::new)).await) }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}
