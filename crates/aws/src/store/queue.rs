use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use serde::Serialize;
use tintype_http::ascii_json;
use tintype_model::{Job, JobQueue, Result, StoreError};

use super::CallError;

/// Jobs in an SQS queue, beside the notifications that S3 sends to it.
///
/// A message's body is `{"tintype":1,"job":...}` with the job as `serde` writes it, in ASCII: SQS refuses U+FFFE,
/// U+FFFF and most control characters, and keys may contain them. The X-Ray trace of the invocation that enqueues
/// travels with the message.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Client,
    queue_url: String,
}

/// The form of a message of ours. Fields are only ever added.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) tintype: u32,
    pub(super) job: &'a Job,
}

impl SqsQueue {
    /// The queue of that URL.
    #[must_use]
    pub fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }

    /// Sends the job as part of an X-Ray trace, to be delivered when its work may begin ([`tintype_model::Work::delay`]).
    pub(super) async fn send(&self, job: &Job, trace: Option<String>) -> Result<()> {
        let message = Message { tintype: 1, job };
        let body = ascii_json(&message).map_err(StoreError::unavailable)?;
        let seconds = i32::try_from(job.work.delay().as_secs()).map_err(StoreError::unavailable)?;
        let mut call = self
            .client
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(body)
            .set_delay_seconds((seconds > 0).then_some(seconds));
        if let Some(trace) = trace {
            let value = MessageSystemAttributeValue::builder()
                .data_type("String")
                .string_value(trace)
                .build()
                .map_err(StoreError::unavailable)?;
            call = call.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
        }
        call.send()
            .await
            .map_err(|error| CallError::new("sqs:SendMessage", error))?;
        Ok(())
    }
}

#[async_trait]
impl JobQueue for SqsQueue {
    async fn enqueue(&self, job: &Job) -> Result<()> {
        self.send(job, current_trace()).await
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "not configuration: lambda_runtime sets it anew for every invocation"
)]
fn current_trace() -> Option<String> {
    std::env::var("_X_AMZN_TRACE_ID")
        .ok()
        .filter(|trace| !trace.is_empty())
}
