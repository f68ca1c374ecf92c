//! The state of the queues.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesError;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::future::try_join;
use tintype_edge::{Health, HealthReport, QueueDepth};
use tintype_model::error_chain;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The time that a report is used for. The counts are approximate and up to a minute old as it is.
const FRESH: Duration = Duration::from_secs(5);

/// Asks SQS about the queue of jobs and the one of given-up messages.
#[derive(Debug)]
pub struct QueueHealth {
    client: aws_sdk_sqs::Client,
    queue_url: String,
    dead_letter_queue_url: String,
    workers: u32,
    /// The time that a report is used for.
    pub(super) fresh: Duration,
    last: Mutex<Option<(Instant, HealthReport)>>,
}

impl QueueHealth {
    /// A report on these two queues, which at most `workers` invocations at once take jobs from.
    #[must_use]
    pub fn new(
        client: aws_sdk_sqs::Client,
        queue_url: String,
        dead_letter_queue_url: String,
        workers: u32,
    ) -> Self {
        Self {
            client,
            queue_url,
            dead_letter_queue_url,
            workers,
            fresh: FRESH,
            last: Mutex::new(None),
        }
    }

    async fn depth(&self) -> Result<QueueDepth, SdkError<GetQueueAttributesError>> {
        let (jobs, dead) = try_join(
            self.messages(&self.queue_url),
            self.messages(&self.dead_letter_queue_url),
        )
        .await?;
        Ok(QueueDepth {
            ready: jobs.visible + jobs.delayed,
            leased: jobs.in_flight,
            dead: dead.visible + dead.delayed + dead.in_flight,
        })
    }

    async fn messages(&self, queue_url: &str) -> Result<Messages, SdkError<GetQueueAttributesError>> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed,
            ApproximateNumberOfMessagesNotVisible,
        };
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(queue_url)
            .attribute_names(ApproximateNumberOfMessages)
            .attribute_names(ApproximateNumberOfMessagesDelayed)
            .attribute_names(ApproximateNumberOfMessagesNotVisible)
            .send()
            .await?;
        let attributes = answer.attributes.unwrap_or_default();
        Ok(Messages {
            visible: count(&attributes, &ApproximateNumberOfMessages),
            delayed: count(&attributes, &ApproximateNumberOfMessagesDelayed),
            in_flight: count(&attributes, &ApproximateNumberOfMessagesNotVisible),
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Messages {
    visible: u64,
    delayed: u64,
    in_flight: u64,
}

fn count(attributes: &HashMap<QueueAttributeName, String>, name: &QueueAttributeName) -> u64 {
    let value = attributes.get(name).and_then(|value| value.parse().ok());
    value.unwrap_or(0)
}

#[async_trait]
impl Health for QueueHealth {
    /// A report that is not ready without its queue: nothing that is uploaded would become a picture. Callers at the
    /// same time wait for one answer.
    async fn report(&self) -> HealthReport {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < self.fresh
        {
            return report.clone();
        }
        let queue = match self.depth().await {
            Ok(depth) => Some(depth),
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "the queues did not say how they are");
                None
            }
        };
        let report = HealthReport {
            ready: queue.is_some(),
            problems: match queue {
                Some(_) => Vec::new(),
                None => vec!["the queues do not say how they are".to_owned()],
            },
            jail: None,
            jail_steps: Vec::new(),
            workers: self.workers,
            queue,
            files: None,
            avif_tiles_refused: None,
            connections: None,
        };
        *last = Some((Instant::now(), report.clone()));
        report
    }
}
