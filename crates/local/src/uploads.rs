//! Presigned uploads to this server's own S3 endpoint.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tintype_edge::{PresignedUpload, UploadSigner};
use tintype_model::{ObjectKey, StoreError};

use crate::s3::{S3Config, presign_put};

/// Signs uploads with the installation's key.
#[derive(Debug)]
pub(crate) struct LocalUploads {
    config: S3Config,
}

impl LocalUploads {
    pub(crate) fn new(config: S3Config) -> Self {
        Self { config }
    }
}

#[async_trait]
impl UploadSigner for LocalUploads {
    async fn presign_put(
        &self,
        base_url: &str,
        key: &ObjectKey,
        content_type: Option<&str>,
        expires: Duration,
    ) -> Result<PresignedUpload, StoreError> {
        let url = presign_put(&self.config, base_url, key.as_str(), content_type, expires)
            .map_err(StoreError::unavailable)?;
        let headers = content_type.map(|value| ("content-type".to_owned(), value.to_owned()));
        Ok(PresignedUpload {
            method: "PUT".to_owned(),
            url,
            headers: headers.into_iter().collect(),
            fields: BTreeMap::new(),
            expires_in: expires,
        })
    }
}
