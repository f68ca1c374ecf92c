//! Presigned uploads to the raw bucket.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use tintype_edge::{PresignedUpload, UploadMethod, UploadSigner, UploadTerms};
use tintype_http::post_policy::PolicySigner;
use tintype_model::StoreError;

use crate::store::ExactKey;

/// Signs uploads to one bucket with the function's own credentials: an upload may do what the function's role may
/// do there, and only that.
///
/// The credentials of a role end, and what they signed ends with them, whatever it says itself. An upload is never
/// said to hold for longer than they do, where their end is known.
#[derive(Debug)]
pub struct S3Uploads {
    client: aws_sdk_s3::Client,
    path_style: aws_sdk_s3::Client,
    credentials: SharedCredentialsProvider,
    region: String,
    bucket: String,
}

impl S3Uploads {
    /// Uploads to `bucket` by way of `client`'s endpoint, signed with the region and the credentials of `config`,
    /// which the client was made of.
    ///
    /// # Errors
    /// When `config` has no region or no way to get credentials.
    pub fn new(client: aws_sdk_s3::Client, config: &SdkConfig, bucket: String) -> anyhow::Result<Self> {
        let region = config.region().context("AWS_REGION is not set")?;
        let credentials = config
            .credentials_provider()
            .context("there are no AWS credentials to sign uploads with")?;
        let path_style = client.config().to_builder().force_path_style(true).build();
        Ok(Self {
            client,
            path_style: aws_sdk_s3::Client::from_conf(path_style),
            credentials,
            region: region.to_string(),
            bucket,
        })
    }

    /// The SDK signs the host, and the media type when there is one. A length cannot be signed without knowing it.
    async fn put(
        &self,
        terms: &UploadTerms<'_>,
        expires_in: Duration,
        now: SystemTime,
    ) -> Result<PresignedUpload, StoreError> {
        let key = terms.key.as_str();
        // "Object key naming guidelines" of the S3 user guide.
        let client = if key == "soap" {
            &self.path_style
        } else {
            &self.client
        };
        let request = client
            .put_object()
            .bucket(&self.bucket)
            .key(ExactKey::stand_in(key))
            .set_content_type(terms.content_type.map(str::to_owned))
            .customize()
            .interceptor(ExactKey::new(key))
            .presigned(presigning(expires_in, now)?)
            .await
            .map_err(StoreError::unavailable)?;
        let headers = request
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(PresignedUpload {
            url: request.uri().to_owned(),
            headers: headers.collect(),
            fields: BTreeMap::new(),
            expires_in,
        })
    }

    async fn form(
        &self,
        terms: &UploadTerms<'_>,
        expires_in: Duration,
        now: SystemTime,
        credentials: &Credentials,
    ) -> Result<PresignedUpload, StoreError> {
        let signer = PolicySigner {
            bucket: &self.bucket,
            region: &self.region,
            access_key: credentials.access_key_id(),
            session_token: credentials.session_token(),
        };
        let terms = UploadTerms {
            expires: expires_in,
            ..*terms
        };
        let policy = terms.form(signer, now);
        let key = generate_signing_key(credentials.secret_access_key(), now, &self.region, "s3");
        let signature = calculate_signature(key, policy.string_to_sign().as_bytes());
        Ok(PresignedUpload {
            url: self.bucket_url(now).await?,
            headers: BTreeMap::new(),
            fields: policy.into_fields(signature),
            expires_in,
        })
    }

    /// The address of the bucket: on AWS the regional virtual-hosted address, elsewhere a path under the configured
    /// endpoint. The SDK returns it only as a part of requests, so a request for the bucket is made and not sent.
    async fn bucket_url(&self, now: SystemTime) -> Result<String, StoreError> {
        let request = self
            .client
            .list_object_versions()
            .bucket(&self.bucket)
            .presigned(presigning(Duration::from_secs(1), now)?)
            .await
            .map_err(StoreError::unavailable)?;
        let url = request.uri().split('?').next().unwrap_or_default();
        Ok(url.to_owned())
    }
}

fn presigning(expires_in: Duration, now: SystemTime) -> Result<PresigningConfig, StoreError> {
    PresigningConfig::builder()
        .start_time(now)
        .expires_in(expires_in)
        .build()
        .map_err(StoreError::unavailable)
}

/// The shorter of what was asked for and what the credentials have left.
fn remaining(asked: Duration, credentials: &Credentials, now: SystemTime) -> Result<Duration, StoreError> {
    let left = match credentials.expiry() {
        Some(end) => end.duration_since(now).unwrap_or_default(),
        None => asked,
    };
    // Signatures count whole seconds.
    let seconds = asked.min(left).as_secs();
    if seconds == 0 {
        return Err(StoreError::unavailable("the credentials end now"));
    }
    Ok(Duration::from_secs(seconds))
}

#[async_trait]
impl UploadSigner for S3Uploads {
    async fn presign(&self, terms: &UploadTerms<'_>) -> Result<PresignedUpload, StoreError> {
        let credentials = self
            .credentials
            .provide_credentials()
            .await
            .map_err(StoreError::unavailable)?;
        let now = SystemTime::now();
        let expires_in = remaining(terms.expires, &credentials, now)?;
        match terms.method {
            UploadMethod::Put => self.put(terms, expires_in, now).await,
            UploadMethod::Post => self.form(terms, expires_in, now, &credentials).await,
        }
    }
}
