//! Interceptors that add to the S3 client: keys of white space, and the number of its requests.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::{
    BeforeSerializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::operation::delete_object::DeleteObjectInput;
use aws_sdk_s3::operation::get_object::GetObjectInput;
use aws_sdk_s3::operation::head_object::HeadObjectInput;
use aws_sdk_s3::operation::put_object::PutObjectInput;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

/// Sends keys of white space only, which the SDK takes for a missing key when it computes the endpoint: the SDK is
/// given another key, and the request is written with the right one.
#[derive(Debug)]
pub(crate) struct ExactKey(String);

impl ExactKey {
    pub(crate) fn new(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// The key to build a request with that [`ExactKey::new`] is added to.
    pub(crate) fn stand_in(key: &str) -> &str {
        if key.trim().is_empty() { "white-space" } else { key }
    }
}

#[dyn_dispatch_hint]
impl Intercept for ExactKey {
    fn name(&self) -> &'static str {
        "ExactKey"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        let key = if let Some(input) = input.downcast_mut::<GetObjectInput>() {
            &mut input.key
        } else if let Some(input) = input.downcast_mut::<HeadObjectInput>() {
            &mut input.key
        } else if let Some(input) = input.downcast_mut::<PutObjectInput>() {
            &mut input.key
        } else if let Some(input) = input.downcast_mut::<DeleteObjectInput>() {
            &mut input.key
        } else {
            return Err("ExactKey does not know this operation".into());
        };
        *key = Some(self.0.clone());
        Ok(())
    }
}

/// Counts the times that a request is sent: the SDK tries again when an answer is lost, and does not report it.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts(Arc<Mutex<Sent>>);

#[derive(Debug, Default)]
struct Sent {
    unanswered: u32,
    checksum: Option<String>,
}

impl Attempts {
    fn with<T>(&self, f: impl FnOnce(&mut Sent) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells whether the request was sent before, with an answer that was lost.
    pub(super) fn lost_an_answer(&self) -> bool {
        self.with(|sent| sent.unanswered > 1)
    }

    /// Notes that the last request had no effect.
    pub(super) fn was_refused(&self) {
        self.with(|sent| sent.unanswered = sent.unanswered.saturating_sub(1));
    }

    /// The CRC-32 that the SDK sent with the body.
    pub(super) fn checksum(&self) -> Option<String> {
        self.with(|sent| sent.checksum.clone())
    }
}

#[dyn_dispatch_hint]
impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.with(|sent| {
            sent.unanswered += 1;
            sent.checksum = context
                .request()
                .headers()
                .get("x-amz-checksum-crc32")
                .map(str::to_owned);
        });
        Ok(())
    }
}
