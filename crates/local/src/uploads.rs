//! Presigned uploads to this server's own S3 endpoint.

use std::collections::BTreeMap;
use std::time::SystemTime;

use async_trait::async_trait;
use tintype_edge::{PresignedUpload, UploadMethod, UploadSigner, UploadTerms};
use tintype_http::post_policy::PolicySigner;
use tintype_model::StoreError;
use tintype_s3::{BUCKET, PresignError, S3Config, presign_put, sign_policy};

/// Signs uploads with the installation's key.
#[derive(Debug)]
pub struct LocalUploads {
    config: S3Config,
}

impl LocalUploads {
    /// Uploads to the endpoint that has this configuration.
    #[must_use]
    pub fn new(config: S3Config) -> Self {
        Self { config }
    }

    fn put(&self, terms: &UploadTerms<'_>) -> Result<PresignedUpload, PresignError> {
        let url = presign_put(
            &self.config,
            terms.base_url,
            terms.key.as_str(),
            terms.content_type,
            terms.expires,
        )?;
        let headers = terms
            .content_type
            .map(|value| ("content-type".to_owned(), value.to_owned()));
        Ok(PresignedUpload {
            url,
            headers: headers.into_iter().collect(),
            fields: BTreeMap::new(),
            expires_in: terms.expires,
        })
    }

    /// A form that holds from `now` on.
    #[must_use]
    pub fn form(&self, terms: &UploadTerms<'_>, now: SystemTime) -> PresignedUpload {
        let signer = PolicySigner {
            bucket: BUCKET,
            region: &self.config.region,
            access_key: &self.config.access_key,
            session_token: None,
        };
        let policy = terms.form(signer, now);
        let signature = sign_policy(&self.config, policy.day(), policy.string_to_sign());
        PresignedUpload {
            url: format!("{}/{BUCKET}", terms.base_url.trim_end_matches('/')),
            headers: BTreeMap::new(),
            fields: policy.into_fields(signature),
            expires_in: terms.expires,
        }
    }
}

#[async_trait]
impl UploadSigner for LocalUploads {
    async fn presign(&self, terms: &UploadTerms<'_>) -> Result<PresignedUpload, StoreError> {
        match terms.method {
            UploadMethod::Put => self.put(terms).map_err(StoreError::unavailable),
            UploadMethod::Post => Ok(self.form(terms, SystemTime::now())),
        }
    }
}
