use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

/// The most times that one call is tried before its error reaches the caller, the first time included.
const ATTEMPTS: u32 = 4;
/// The time that making a connection may take; within a region it takes milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The time until an answer must have begun. Small requests only: DynamoDB, SQS and CloudFront.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for S3, where a request may carry a rendition of many megabytes before the answer begins.
const S3_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The AWS clients that the functions use, over one pool of connections.
///
/// TLS is rustls with *ring*: the same as everywhere in Tintype, and no C is built for it.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The configuration that the clients were made of; its credentials provider signs uploads.
    pub config: SdkConfig,
    /// Amazon S3. Path style when an endpoint URL is configured, since emulators have no DNS for buckets.
    pub s3: aws_sdk_s3::Client,
    /// Amazon DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Amazon SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Amazon CloudFront.
    pub cloudfront: aws_sdk_cloudfront::Client,
}

impl Clients {
    /// Clients for the region, the credentials and, if it is set, the `AWS_ENDPOINT_URL` of the environment. Sends
    /// nothing: credentials are looked for when the first call needs them.
    pub async fn load() -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts(ANSWER_TIMEOUT))
            .load()
            .await;
        Self::new(config)
    }

    /// Clients of that configuration.
    #[must_use]
    pub fn new(config: SdkConfig) -> Self {
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(config.endpoint_url().is_some())
            .timeout_config(timeouts(S3_ANSWER_TIMEOUT))
            .build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            cloudfront: aws_sdk_cloudfront::Client::new(&config),
            config,
        }
    }
}

fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

fn timeouts(answer: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(answer)
        .build()
}
